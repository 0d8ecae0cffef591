#pragma once

#include <immintrin.h>
#include <x86intrin.h>

#include <cstdint>

#include "status.h"

namespace latchclock {

// What the counter does not promise: that it runs at one rate or in sleep (only where CPUID announces it as
// invariant), that two CPUs agree (firmware, TSC_ADJUST), that it stays in order with the instructions around
// it (Rdtsc is not fenced), that it moves by one (steps of tens of cycles are common), or that it keeps its
// meaning (a migrated or restored machine gets another host's counter).

// Unfenced: may execute before earlier loads have completed, or after later ones have begun.
inline uint64_t Rdtsc() { return __rdtsc(); }

// Fenced on the one side that clock readers need: every earlier instruction has completed, loads included,
// before the counter is read (lfence, on AMD with its serialising bit set, which Linux sets at boot). The
// clobber keeps the compiler from moving memory accesses across.
inline uint64_t FencedRdtsc() {
  uint32_t low, high;
  asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high)::"memory");
  return (static_cast<uint64_t>(high) << 32) | low;
}

struct CounterAndAux {
  uint64_t cycles;
  uint32_t aux;  // TSC_AUX; Linux keeps (node << 12 | cpu) there
};

// Waits for earlier instructions like FencedRdtsc; counter and CPU number are of one instant. Raises SIGILL
// where CPUID does not announce it: ask HasRdtscp first.
inline CounterAndAux Rdtscp() {
  uint32_t low, high, aux;
  asm volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux)::"memory");
  return {(static_cast<uint64_t>(high) << 32) | low, aux};
}

enum class CounterMethod : uint32_t { kRdtsc = 0, kFencedRdtsc = 1, kRdtscp = 2 };
inline constexpr uint32_t kCounterMethods = 3;

enum class CounterState { kEnabled, kDisabled, kUnknown };

// Whether this thread may read the counter (prctl PR_GET_TSC). kUnknown: the question itself was refused, as
// a seccomp filter may do; the kernel's default is enabled.
CounterState CounterStateOfThread();

// kOk if `method` can be used in this thread now. The state belongs to the thread and can be changed by it at
// any time: ask before each loop, not once for a process.
Outcome CheckCounter(CounterMethod method);

// CPUID leaf and subleaf, in the order eax, ebx, ecx, edx. kCounterUnsupported if this thread's CPUID traps
// (arch_prctl ARCH_SET_CPUID).
Outcome ReadCpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]);

inline uint64_t ReadCounter(CounterMethod method) {
  switch (method) {
    case CounterMethod::kRdtsc:
      return Rdtsc();
    case CounterMethod::kFencedRdtsc:
      return FencedRdtsc();
    case CounterMethod::kRdtscp:
      return Rdtscp().cycles;
  }
  __builtin_unreachable();
}

}  // namespace latchclock
