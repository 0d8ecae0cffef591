#pragma once

#include <time.h>

#include <cstdint>

#include "status.h"

namespace latchclock {

// Every call by which the kernel tells time without a privilege, and getcpu, which the vDSO has beside them.
enum class ClockCall : uint32_t {
  kClockGettime = 0,
  kClockGetres = 1,
  kGettimeofday = 2,
  kTime = 3,
  kGetcpu = 4
};
inline constexpr uint32_t kClockCalls = 5;

// The ways to make one: the first three as in posix_clock.h, and the page at a fixed address that the kernel
// emulates for old programs, which has gettimeofday, time and getcpu only.
enum class CallPath : uint32_t { kVdso = 0, kLibc = 1, kSyscall = 2, kVsyscall = 3 };
inline constexpr uint32_t kCallPaths = 4;

// kOk if the call can be made by this path in this thread now. kNoVdso where the vDSO lacks the function; an
// errno of "vsyscall" where its page has no such call (ENOSYS), is not mapped or is refused (EFAULT): that is
// tried once in a forked child, so that this process is not ended by it.
Outcome CheckClockCall(ClockCall call, CallPath path);

// The words as the call left them, before anything is made of them.
struct CallAnswer {
  // Seconds and their fraction; of time the value returned, and what was stored less that; of getcpu the CPU
  // and its node.
  int64_t words[2] = {0, 0};
};

// 0 or an errno (positive). CheckClockCall must have said kOk. `id` is for the first two calls.
int MakeClockCall(ClockCall call, CallPath path, clockid_t id, CallAnswer* answer);

// The same with a pointer of the caller's for the answer: whatever it is worth, nobody looks at it first.
int MakeClockCallAt(ClockCall call, CallPath path, clockid_t id, void* out);

// Nanoseconds in a unit of the second word; 0 where it is no fraction of a second (time, getcpu).
int64_t FractionUnitNs(ClockCall call);

// True if seconds and fraction are as the interface promises: 0 <= tv_nsec < 10^9, 0 <= tv_usec < 10^6; for
// time, that the value returned is the value stored.
bool IsWellFormed(ClockCall call, const CallAnswer& answer);

}  // namespace latchclock
