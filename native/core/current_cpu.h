#pragma once

#include <cstdint>

#include "counter.h"

namespace latchclock {

// A thread that is not where it was sent: an affinity can be accepted and ignored (a sandbox, a library that
// is loaded before libc), and a CPU can be taken away.
struct Stray {
  uint64_t looks = 0;   // how often a thread looked where it is
  uint64_t astray = 0;  // of these, elsewhere
  // Of the first look that found a thread elsewhere; `seen` is -1 where nobody tells.
  int asked = -1;
  int seen = -1;

  // True if `seen` is the CPU asked for.
  bool Look(int asked_for, int seen_now);
  void Add(const Stray& part);
};

// Where the calling thread runs: by TSC_AUX, in which Linux keeps node << 12 | cpu (arch/x86/entry/vdso), and
// by the kernel's getcpu. A sandbox may answer the one and not the other, so that both are asked.
class CurrentCpu {
 public:
  // Asks CPUID, which traps to a hypervisor: once a thread, and not in a loop.
  CurrentCpu() : has_aux_(CheckCounter(CounterMethod::kRdtscp).ok()) {}

  // -1 where the call is refused. By the system call itself, since the functions of libc can be replaced.
  static int ByKernel();
  bool HasAux() const { return has_aux_; }
  // The low 12 bits of the CPU's number. Only where HasAux.
  static int ByAux() { return static_cast<int>(Rdtscp().aux & kCpuMask); }

  // Looks by the cheapest way: some tens of cycles where there is TSC_AUX, else a system call.
  bool IsOn(int cpu, Stray* stray) const;
  // Looks by both ways. For the ends of a loop.
  bool IsOnByAll(int cpu, Stray* stray) const;

 private:
  static constexpr uint32_t kCpuMask = 0xfff;
  bool has_aux_;
};

}  // namespace latchclock
