#pragma once

#include <time.h>

#include <cstdint>

#include "clock_call.h"
#include "status.h"

namespace latchclock {

// Pointers that an answer must not be written through. Chosen here: an address from a caller might be a good
// one.
enum class BadPointer : uint32_t {
  kNull = 0,
  kReadOnly = 1,
  kKernel = 2,
  kNoAccess = 3,  // a page that nobody may touch
  kTop = 4,       // the last byte of the address space: unaligned, and the answer would wrap
  kCrossing = 5,  // unaligned: the first two bytes may be written, the rest lies in a page as above
};
inline constexpr uint32_t kBadPointers = 6;

// How a call ended that was given a bad pointer.
struct BadPointerEnding {
  int error_number = 0;  // the errno that it returned; 0 also if it claims to have worked
  int signal = 0;        // the signal that killed the child, or 0
};

// Makes a call with a bad pointer by a path. The system call is made here: the kernel answers EFAULT. The
// other paths write in user space, so they are tried in a forked child, which may die of it. Null is allowed
// where the interface says so: by clock_getres, gettimeofday, time and getcpu, which then work.
Outcome ProbeBadPointer(ClockCall call, CallPath path, clockid_t id, BadPointer pointer,
                        BadPointerEnding* ending);

}  // namespace latchclock
