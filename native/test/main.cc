#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "check.h"

namespace latchclock::test {
namespace {

// Nothing here waits for ever; if something does, it ends with SIGALRM instead of hanging its caller.
constexpr unsigned kMostSeconds = 300;
constexpr int kMostFailuresShown = 5;

struct Test {
  const char* claim;
  void (*run)();
};

// A function, since registrations in other files may come before this file's variables.
std::vector<Test>& Tests() {
  static std::vector<Test> tests;
  return tests;
}

const char* claim = "";
int failures = 0;
bool skipped = false;

int RunAll(const char* only) {
  int passed = 0, failed = 0, skips = 0;
  for (const Test& test : Tests()) {
    if (strstr(test.claim, only) == nullptr) continue;
    claim = test.claim;
    failures = 0;
    skipped = false;
    test.run();
    if (failures > 0) {
      failed++;
    } else if (skipped) {
      skips++;
    } else {
      passed++;
    }
  }
  const bool plain = strcmp(BUILD_NAME, "plain") == 0;
  printf("native%s%s%s: %d passed, %d failed", plain ? "" : " (", plain ? "" : BUILD_NAME, plain ? "" : ")",
         passed, failed);
  if (skips > 0) printf(", %d skipped", skips);
  printf("\n");
  // A run in which nothing was shown is no success.
  return failed > 0 || passed == 0 ? 1 : 0;
}

}  // namespace

Registration::Registration(const char* claim, void (*run)()) { Tests().push_back({claim, run}); }

bool Check(bool held, const char* file, int line, const std::string& what) {
  if (held) return true;
  if (failures++ == 0) printf("FAILED: %s\n", claim);
  if (failures <= kMostFailuresShown) printf("  %s:%d: %s\n", file, line, what.c_str());
  return false;
}

void Skip(const std::string& reason) {
  skipped = true;
  printf("skipped: %s: %s\n", claim, reason.c_str());
}

}  // namespace latchclock::test

int main(int count, char** arguments) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  alarm(latchclock::test::kMostSeconds);
  return latchclock::test::RunAll(count > 1 ? arguments[1] : "");
}
