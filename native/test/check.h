#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

// A test is a claim and a function that holds it. CHECK notes a failure and goes on; SKIP ends the test and
// says why. Both belong to the thread that runs the tests: other threads hand their results back to it.
#define TEST_NAME_OF(line) Test##line
#define TEST_AT(claim, line)                                                            \
  static void TEST_NAME_OF(line)();                                                     \
  static const ::latchclock::test::Registration kRegistration##line(claim, Test##line); \
  static void TEST_NAME_OF(line)()
#define TEST_EXPANDED(claim, line) TEST_AT(claim, line)
#define TEST(claim) TEST_EXPANDED(claim, __LINE__)

// Both are expressions: true if it held.
#define CHECK(expression) \
  ::latchclock::test::Check(static_cast<bool>(expression), __FILE__, __LINE__, #expression)
#define CHECK_EQ(left, right) \
  ::latchclock::test::CheckEqual((left), (right), __FILE__, __LINE__, #left " == " #right)
#define SKIP(reason)                  \
  do {                                \
    ::latchclock::test::Skip(reason); \
    return;                           \
  } while (false)

namespace latchclock::test {

struct Registration {
  Registration(const char* claim, void (*run)());
};

bool Check(bool held, const char* file, int line, const std::string& what);
void Skip(const std::string& reason);

template <typename Value>
std::string Show(const Value& value) {
  if constexpr (std::is_enum_v<Value>) {
    return std::to_string(static_cast<std::underlying_type_t<Value>>(value));
  } else if constexpr (std::is_arithmetic_v<Value>) {
    return std::to_string(value);
  } else {
    return std::string(value);
  }
}

template <typename Left, typename Right>
bool CheckEqual(const Left& left, const Right& right, const char* file, int line, const char* what) {
  bool equal;
  if constexpr (std::is_integral_v<Left> && std::is_integral_v<Right> && !std::is_same_v<Left, bool>) {
    equal = std::cmp_equal(left, right);
  } else {
    equal = left == right;
  }
  if (equal) return true;
  return Check(false, file, line, std::string(what) + " (" + Show(left) + " and " + Show(right) + ")");
}

}  // namespace latchclock::test
