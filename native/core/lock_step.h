#pragma once

#include <cstddef>
#include <cstdint>

#include "current_cpu.h"
#include "reading.h"
#include "status.h"

namespace latchclock {

struct LockStepRequest {
  ClockRequest clock;
  const int* cpus;  // a thread on each
  size_t cpu_count;
  uint64_t reads;        // of each thread
  uint64_t most_cycles;  // each thread stops after so many cycles, too
};

struct LockStepTally {
  uint64_t reads = 0;
  // Readings whose predecessor was another thread's, while both threads were on the CPUs asked for.
  uint64_t hand_overs = 0;
  uint64_t backwards = 0;  // readings below their predecessor, while the page kept its count
  uint64_t worst = 0;      // largest step back of these, nanoseconds or cycles
  // The same across a change of the page's count: kernels are not monotonic there.
  uint64_t backwards_across_update = 0;
  uint64_t worst_across_update = 0;
  uint64_t smallest_step = ~uint64_t{0};  // smallest step forward
  Stray stray;                            // threads that were not on the CPU asked for
};

// Threads take turns under a lock: each reads, and compares with the last reading of all, which it then
// replaces. This is how the kernel tests counters for warps when a CPU comes up (arch/x86/kernel/tsc_sync.c):
// a reading that follows another in real time must not be less. In each turn the thread looks where it is.
Outcome RunLockStep(const LockStepRequest& request, LockStepTally* tally);

}  // namespace latchclock
