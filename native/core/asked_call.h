#pragma once

#include <time.h>

#include <cstddef>
#include <cstdint>

#include "clock_call.h"
#include "forked_call.h"
#include "status.h"

namespace latchclock {

// What a seccomp filter may kill for: a call of clock_call.h, or one of these.
enum class AskedCall : uint32_t {
  kClockCall = 0,
  kAdjtimex = 1,
  kCpuid = 2,     // arch_prctl(ARCH_GET_CPUID), and CPUID
  kFilter = 3,    // a filter of one's own
  kAffinity = 4,  // sched_setaffinity, to what it is
  kMemory = 5,    // process_vm_readv, of this process
};
inline constexpr uint32_t kAskedCalls = 6;

struct CallQuestion {
  AskedCall asked;
  ClockCall call;  // these for kClockCall
  CallPath path;
  clockid_t id;
};

// Makes the calls in forked children, one child for as many as it survives, and tells how each ended: with 0
// or an errno in `value`, or by the signal that it was killed with. A call by a path that is not there (a
// vDSO without the function) is not made, and ends with 0. Fails where there is no child to be had.
Outcome AskCalls(const CallQuestion* questions, size_t count, ChildEnding* endings);

}  // namespace latchclock
