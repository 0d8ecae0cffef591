#pragma once

#include <time.h>

#include <cstdint>

#include "posix_clock.h"
#include "status.h"

namespace latchclock {

// Pointers that a clock must not be written through. Chosen here: an address from a caller might be a good
// one.
enum class BadPointer : uint32_t { kNull = 0, kReadOnly = 1, kKernel = 2 };
inline constexpr uint32_t kBadPointers = 3;

// How a call ended that was given a bad pointer.
struct BadPointerEnding {
  int error_number = 0;  // the errno that it returned; 0 also if it claims to have worked
  int signal = 0;        // the signal that killed the child, or 0
};

// Calls clock_gettime with a bad pointer by a path. The system call is made here: the kernel answers EFAULT.
// The other paths write in user space, so they are tried in a forked child, which may die of it.
Outcome ProbeBadPointer(ClockPath path, clockid_t id, BadPointer pointer, BadPointerEnding* ending);

}  // namespace latchclock
