#include "../core/posix_clock.h"

#include <vector>

#include "../core/clock_call.h"
#include "../core/fast_path_probe.h"
#include "arguments.h"
#include "binding.h"

namespace latchclock::binding {
namespace {

constexpr uint32_t kMostCalls = 10'000'000;

// Path and clock id, the first two arguments of each function here; false after an exception.
bool PathAndClock(const Napi::CallbackInfo& info, Arguments* arguments, ClockPath* path, clockid_t* id) {
  *path = static_cast<ClockPath>(arguments->Integer(0, "path", 0, kClockPaths - 1));
  *id = static_cast<clockid_t>(arguments->Integer(1, "clockId", INT32_MIN, INT32_MAX));
  if (!arguments->ok()) return false;
  const Outcome usable = CheckClockPath(*path);
  if (!usable.ok()) ThrowOutcome(info.Env(), usable, arguments->function());
  return usable.ok();
}

using ReadFunction = int (*)(ClockPath, clockid_t, timespec*);

Napi::Value ReadOnce(const Napi::CallbackInfo& info, const char* function, const char* call,
                     ReadFunction read) {
  Arguments arguments(info, function);
  ClockPath path;
  clockid_t id;
  if (!PathAndClock(info, &arguments, &path, &id)) return {};
  timespec time;
  const int error = read(path, id, &time);
  if (error != 0) {
    ThrowOutcome(info.Env(), Outcome::FailedCall(call, error), function);
    return {};
  }
  return Napi::BigInt::New(info.Env(), ToNanoseconds(time));
}

Napi::Value ReadClock(const Napi::CallbackInfo& info) {
  return ReadOnce(info, "readClock", "clock_gettime", ClockGettime);
}

Napi::Value ClockResolution(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "clockResolution");
  const auto path = static_cast<CallPath>(arguments.Integer(0, "path", 0, kClockPaths - 1));
  if (!arguments.ok()) return {};
  const Outcome usable = CheckClockCall(ClockCall::kClockGetres, path);
  if (!Succeeded(info.Env(), usable, arguments.function())) return {};
  return ReadOnce(info, "clockResolution", "clock_getres", ClockGetres);
}

void ReadClocks(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "readClocks");
  ClockPath path;
  clockid_t id;
  if (!PathAndClock(info, &arguments, &path, &id)) return;
  size_t length = 0;
  int64_t* values = arguments.Words64(2, "ns", &length);
  if (!arguments.ok()) return;
  for (size_t i = 0; i < length; i++) {
    timespec time;
    const int error = ClockGettime(path, id, &time);
    if (error != 0) {
      ThrowOutcome(info.Env(), Outcome::FailedCall("clock_gettime", error), arguments.function());
      return;
    }
    values[i] = ToNanoseconds(time);
  }
}

Napi::Value Adjtimex(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  timex discipline;
  int state;
  if (!Succeeded(env, ReadDiscipline(&discipline, &state), "adjtimex")) return {};
  auto result = Napi::Object::New(env);
  result.Set("state", Napi::Number::New(env, state));
  result.Set("status", Napi::Number::New(env, discipline.status));
  result.Set("frequency", Napi::BigInt::New(env, static_cast<int64_t>(discipline.freq)));
  result.Set("offset", Napi::BigInt::New(env, static_cast<int64_t>(discipline.offset)));
  result.Set("maxErrorUs", Napi::BigInt::New(env, static_cast<int64_t>(discipline.maxerror)));
  result.Set("estErrorUs", Napi::BigInt::New(env, static_cast<int64_t>(discipline.esterror)));
  result.Set("tickUs", Napi::BigInt::New(env, static_cast<int64_t>(discipline.tick)));
  result.Set("taiOffsetSeconds", Napi::Number::New(env, discipline.tai));
  return result;
}

Napi::Value CountKernelEntries(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info, "countKernelEntries");
  size_t count = 0;
  const uint32_t* ids = arguments.Words32(0, "clockIds", &count);
  const auto calls = static_cast<uint32_t>(arguments.Integer(1, "calls", 1, 1'000'000));
  if (!arguments.ok()) return {};
  // Together, since the calls are made without a pause.
  if (count > 0 && calls > kMostCalls / count) {
    ThrowError(env, "ERR_BAD_ARGUMENT", "too many calls for all clocks together", arguments.function());
    return {};
  }
  std::vector<FastPathCount> clocks(count);
  for (size_t i = 0; i < count; i++) clocks[i].id = static_cast<clockid_t>(ids[i]);
  if (!Succeeded(env, ProbeFastPath(clocks.data(), count, calls), arguments.function())) return {};
  auto result = Napi::Array::New(env, count);
  for (size_t i = 0; i < count; i++) {
    auto entry = Napi::Object::New(env);
    entry.Set("calls", Napi::Number::New(env, clocks[i].calls));
    entry.Set("kernelEntries", Napi::Number::New(env, clocks[i].kernel_entries));
    entry.Set("errorNumber", Napi::Number::New(env, clocks[i].error_number));
    result.Set(static_cast<uint32_t>(i), entry);
  }
  return result;
}

}  // namespace

void ExportPosixClock(Napi::Env env, Napi::Object exports) {
  exports.Set("readClock", Napi::Function::New(env, ReadClock, "readClock"));
  exports.Set("readClocks", Napi::Function::New(env, ReadClocks, "readClocks"));
  exports.Set("clockResolution", Napi::Function::New(env, ClockResolution, "clockResolution"));
  exports.Set("adjtimex", Napi::Function::New(env, Adjtimex, "adjtimex"));
  exports.Set("countKernelEntries", Napi::Function::New(env, CountKernelEntries, "countKernelEntries"));
}

}  // namespace latchclock::binding
