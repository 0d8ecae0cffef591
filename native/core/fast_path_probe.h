#pragma once

#include <time.h>

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace latchclock {

struct FastPathCount {
  clockid_t id;
  uint32_t calls = 0;
  uint32_t kernel_entries = 0;  // calls of the vDSO's clock_gettime that made the system call
  int error_number = 0;         // of the last call that failed otherwise
};

// Counts, exactly and without timing anything, how many of `calls` calls of the vDSO's clock_gettime enter
// the kernel, for each of `clocks`. A thread of its own puts a seccomp filter on itself that turns the system
// call into an errno no clock returns, calls, and ends; the filter ends with it. Needs no privilege.
Outcome ProbeFastPath(FastPathCount* clocks, size_t count, uint32_t calls);

}  // namespace latchclock
