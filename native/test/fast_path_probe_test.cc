#include "../core/fast_path_probe.h"

#include <errno.h>

#include "../core/posix_clock.h"
#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

constexpr uint32_t kCalls = 100;

// Why the probe cannot run here, or null.
const char* WhyNot() {
  if (!CheckClockPath(ClockPath::kVdso).ok()) return "this process has no vDSO that it may use";
  FastPathCount clock = {CLOCK_MONOTONIC};
  const Outcome outcome = ProbeFastPath(&clock, 1, 1);
  if (outcome.status == Status::kSystemCall) return "seccomp filters are not allowed here";
  return nullptr;
}

TEST("coarse clocks never enter the kernel; CPU-time clocks and unknown ones always do") {
  if (const char* reason = WhyNot()) SKIP(reason);
  FastPathCount clocks[] = {{CLOCK_REALTIME_COARSE},
                            {CLOCK_MONOTONIC_COARSE},
                            {CLOCK_PROCESS_CPUTIME_ID},
                            {CLOCK_THREAD_CPUTIME_ID},
                            {9999},
                            {-1}};
  CHECK(ProbeFastPath(clocks, 6, kCalls).ok());
  for (const FastPathCount& clock : clocks) {
    const bool coarse = clock.id == CLOCK_REALTIME_COARSE || clock.id == CLOCK_MONOTONIC_COARSE;
    CHECK_EQ(clock.calls, kCalls);
    CHECK_EQ(clock.kernel_entries, coarse ? 0 : kCalls);
    CHECK_EQ(clock.error_number, 0);
  }
}

TEST("with the counter as clocksource the fine clocks never enter the kernel either") {
  if (const char* reason = WhyNot()) SKIP(reason);
  char source[32] = "";
  if (FILE* file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re")) {
    if (fscanf(file, "%31s", source) != 1) source[0] = 0;
    fclose(file);
  }
  if (std::string(source) != "tsc") SKIP(std::string("the clocksource is not tsc but ") + source);
  FastPathCount clocks[] = {
      {CLOCK_REALTIME}, {CLOCK_MONOTONIC}, {CLOCK_MONOTONIC_RAW}, {CLOCK_BOOTTIME}, {CLOCK_TAI}};
  CHECK(ProbeFastPath(clocks, 5, kCalls).ok());
  for (const FastPathCount& clock : clocks) {
    CHECK_EQ(clock.calls, kCalls);
    CHECK_EQ(clock.kernel_entries, 0);
    CHECK_EQ(clock.error_number, 0);
  }
}

TEST("the probe's filter and its renounced privileges end with it") {
  if (const char* reason = WhyNot()) SKIP(reason);
  const char* const kStatus = "/proc/thread-self/status";
  const std::string seccomp = ProcField(kStatus, "Seccomp");
  const std::string filters = ProcField(kStatus, "Seccomp_filters");
  const std::string no_new_privileges = ProcField(kStatus, "NoNewPrivs");
  FastPathCount clock = {CLOCK_THREAD_CPUTIME_ID};
  CHECK(ProbeFastPath(&clock, 1, kCalls).ok());
  CHECK_EQ(ProcField(kStatus, "Seccomp"), seccomp);
  CHECK_EQ(ProcField(kStatus, "Seccomp_filters"), filters);
  CHECK_EQ(ProcField(kStatus, "NoNewPrivs"), no_new_privileges);
  timespec time;
  CHECK_EQ(ClockGettime(ClockPath::kSyscall, CLOCK_MONOTONIC, &time), 0);
  RunInThread([&] {
    time = {};
    ClockGettime(ClockPath::kSyscall, CLOCK_MONOTONIC, &time);
  });
  CHECK(time.tv_sec > 0 || time.tv_nsec > 0);
}

TEST("nothing asked is nothing done") {
  if (const char* reason = WhyNot()) SKIP(reason);
  CHECK(ProbeFastPath(nullptr, 0, kCalls).ok());
  FastPathCount clock = {CLOCK_MONOTONIC};
  CHECK(ProbeFastPath(&clock, 1, 0).ok());
  CHECK_EQ(clock.calls, 0);
}

}  // namespace
}  // namespace latchclock::test
