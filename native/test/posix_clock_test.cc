#include "../core/posix_clock.h"

#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

constexpr clockid_t kStaticIds[] = {CLOCK_REALTIME,
                                    CLOCK_MONOTONIC,
                                    CLOCK_PROCESS_CPUTIME_ID,
                                    CLOCK_THREAD_CPUTIME_ID,
                                    CLOCK_MONOTONIC_RAW,
                                    CLOCK_REALTIME_COARSE,
                                    CLOCK_MONOTONIC_COARSE,
                                    CLOCK_BOOTTIME,
                                    CLOCK_REALTIME_ALARM,
                                    CLOCK_BOOTTIME_ALARM,
                                    CLOCK_TAI};

// No such clocks: numbers between and beyond the kernel's, a descriptor that is not open, a process that is
// not.
constexpr clockid_t kBadIds[] = {
    10, 12, 15, 24, 100, 9999, INT_MAX, INT_MIN, -1, ~999 * 8 + 3, ~99999999 * 8 + 2};

constexpr ClockPath kPaths[] = {ClockPath::kVdso, ClockPath::kLibc, ClockPath::kSyscall};

int SyscallErrno(long number, clockid_t id, timespec* time) {
  return syscall(number, id, time) == 0 ? 0 : errno;
}

TEST("the three paths show one clock, for every clock that has a number") {
  if (!CheckClockPath(ClockPath::kVdso).ok()) SKIP("this process has no vDSO that it may use");
  for (const clockid_t id : kStaticIds) {
    timespec time;
    const int error = SyscallErrno(SYS_clock_gettime, id, &time);
    if (error != 0) {  // alarm clocks need a real-time clock
      for (const ClockPath path : kPaths) CHECK_EQ(ClockGettime(path, id, &time), error);
      continue;
    }
    for (const ClockPath path : kPaths) {
      for (int i = 0; i < 1000; i++) {
        // Once more than needed: somebody may set the clock between two readings.
        bool inside = false;
        for (int attempt = 0; attempt < 3 && !inside; attempt++) {
          timespec before, own = {-1, -1}, after;
          CHECK_EQ(SyscallErrno(SYS_clock_gettime, id, &before), 0);
          CHECK_EQ(ClockGettime(path, id, &own), 0);
          CHECK_EQ(SyscallErrno(SYS_clock_gettime, id, &after), 0);
          CHECK(own.tv_nsec >= 0 && own.tv_nsec < 1'000'000'000);
          inside = ToNanoseconds(before) <= ToNanoseconds(own) && ToNanoseconds(own) <= ToNanoseconds(after);
        }
        if (!CHECK(inside)) break;
      }
    }
  }
}

TEST("the three paths give one resolution, for every clock that has a number") {
  if (!CheckClockPath(ClockPath::kVdso).ok()) SKIP("this process has no vDSO that it may use");
  for (const clockid_t id : kStaticIds) {
    timespec expected = {-1, -1};
    const int error = SyscallErrno(SYS_clock_getres, id, &expected);
    for (const ClockPath path : kPaths) {
      timespec resolution = {-1, -1};
      CHECK_EQ(ClockGetres(path, id, &resolution), error);
      CHECK_EQ(ToNanoseconds(resolution), ToNanoseconds(expected));
    }
    if (error == 0) CHECK(expected.tv_sec == 0 && expected.tv_nsec >= 1);
  }
}

TEST("a clock that does not exist gives the system call's errno by every path") {
  for (const ClockPath path : kPaths) {
    if (!CheckClockPath(path).ok()) continue;
    for (const clockid_t id : kBadIds) {
      timespec time = {7, 7};
      const int expected = SyscallErrno(SYS_clock_gettime, id, &time);
      CHECK(expected > 0);
      errno = 0;
      CHECK_EQ(ClockGettime(path, id, &time), expected);
      CHECK_EQ(time.tv_sec, 7);
      const int expected_of_getres = SyscallErrno(SYS_clock_getres, id, &time);
      CHECK_EQ(ClockGetres(path, id, &time), expected_of_getres);
    }
  }
}

TEST("each path is the one asked for: only the system call enters the kernel for a coarse clock") {
  if (!CheckClockPath(ClockPath::kVdso).ok()) SKIP("this process has no vDSO that it may use");
  constexpr int kMarks[] = {4002, 4003};  // no errno of the kernel's
  bool marked = false;
  int coarse_time[kClockPaths], cpu_time[kClockPaths], coarse_resolution[kClockPaths],
      cpu_resolution[kClockPaths];
  RunInThread([&] {
    marked = AnswerInKernelsPlace(SYS_clock_gettime, kMarks[0]) &&
             AnswerInKernelsPlace(SYS_clock_getres, kMarks[1]);
    if (!marked) return;
    for (const ClockPath path : kPaths) {
      const auto i = static_cast<uint32_t>(path);
      timespec time;
      coarse_time[i] = ClockGettime(path, CLOCK_MONOTONIC_COARSE, &time);
      cpu_time[i] = ClockGettime(path, CLOCK_THREAD_CPUTIME_ID, &time);
      coarse_resolution[i] = ClockGetres(path, CLOCK_MONOTONIC_COARSE, &time);
      cpu_resolution[i] = ClockGetres(path, CLOCK_THREAD_CPUTIME_ID, &time);
    }
  });
  if (!marked) SKIP("seccomp filters are not allowed here");
  for (const ClockPath path : kPaths) {
    const auto i = static_cast<uint32_t>(path);
    const bool enters = path == ClockPath::kSyscall;
    CHECK_EQ(coarse_time[i], enters ? kMarks[0] : 0);
    CHECK_EQ(coarse_resolution[i], enters ? kMarks[1] : 0);
    CHECK_EQ(cpu_time[i], kMarks[0]);
    CHECK_EQ(cpu_resolution[i], kMarks[1]);
  }
}

TEST("a reading that works gives 0 whatever errno holds") {
  for (const ClockPath path : kPaths) {
    if (!CheckClockPath(path).ok()) continue;
    timespec time;
    errno = ENOTTY;
    CHECK_EQ(ClockGettime(path, CLOCK_MONOTONIC, &time), 0);
    errno = ENOTTY;
    CHECK_EQ(ClockGetres(path, CLOCK_MONOTONIC, &time), 0);
  }
}

TEST("the system call is always a usable path") {
  CHECK(CheckClockPath(ClockPath::kSyscall).ok());
  timespec time;
  CHECK_EQ(ClockGettime(ClockPath::kSyscall, CLOCK_MONOTONIC, &time), 0);
}

TEST("nanoseconds are counted below the seconds, before the epoch too") {
  CHECK_EQ(ToNanoseconds({0, 0}), 0);
  CHECK_EQ(ToNanoseconds({3, 7}), 3'000'000'007);
  CHECK_EQ(ToNanoseconds({-1, 999'999'999}), -1);
  CHECK_EQ(ToNanoseconds({9'223'372'036, 854'775'807}), INT64_MAX);
}

TEST("the discipline is read, and nothing of it is set") {
  timex first = {}, second = {};
  int state = -1;
  const Outcome outcome = ReadDiscipline(&first, &state);
  if (outcome.status == Status::kSystemCall && outcome.error_number == EPERM) {
    SKIP("adjtimex is not allowed here");
  }
  CHECK(outcome.ok());
  CHECK(state >= TIME_OK && state <= TIME_ERROR);
  CHECK_EQ(first.modes, 0);
  // The kernel holds USER_HZ ticks of 10 ms to within a tenth.
  CHECK(first.tick >= 9'000 && first.tick <= 11'000);
  CHECK(first.time.tv_sec > 1'000'000'000);
  // What a caller leaves in the structure is no order. This one asks for a tick of 0, which the kernel
  // refuses before it changes anything.
  second.modes = ADJ_TICK;
  second.tick = 0;
  CHECK(ReadDiscipline(&second, &state).ok());
  CHECK_EQ(second.modes, 0);
  CHECK_EQ(second.tick, first.tick);
  CHECK_EQ(second.freq, first.freq);
  CHECK_EQ(second.status, first.status);
  CHECK_EQ(second.tai, first.tai);
}

}  // namespace
}  // namespace latchclock::test
