#pragma once

#include <sys/timex.h>
#include <time.h>

#include <cstdint>

#include "status.h"

namespace latchclock {

// The three ways to ask the kernel for a clock. The vDSO and the libc (which calls the vDSO) read the counter
// in user space: they fault where the counter is disabled, so callers ask CheckClockPath once before a loop.
enum class ClockPath : uint32_t { kVdso = 0, kLibc = 1, kSyscall = 2 };
inline constexpr uint32_t kClockPaths = 3;

Outcome CheckClockPath(ClockPath path);

// 0 or an errno (positive), by exactly the path asked for. CheckClockPath must have said kOk.
int ClockGettime(ClockPath path, clockid_t id, timespec* time);
int ClockGetres(ClockPath path, clockid_t id, timespec* resolution);

// The kernel's clock discipline (frequency, tick, status, TAI offset), read only: no mode bit is set. The
// clock state that adjtimex(2) returns goes to `state`.
Outcome ReadDiscipline(timex* discipline, int* state);

// Nanoseconds since the clock's epoch. The kernel keeps seconds below 2^63 / 10^9; a device's driver may
// answer anything, so the sum wraps rather than overflow.
inline int64_t ToNanoseconds(const timespec& time) {
  return static_cast<int64_t>(static_cast<uint64_t>(time.tv_sec) * 1'000'000'000u +
                              static_cast<uint64_t>(time.tv_nsec));
}

}  // namespace latchclock
