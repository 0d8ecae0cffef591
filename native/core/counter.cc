#include "counter.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace latchclock {
namespace {

bool CpuidTraps() { return syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0) == 0; }

bool HasRdtscp() {
  uint32_t registers[4];
  return ReadCpuid(0x80000001u, 0, registers).ok() && (registers[3] & (1u << 27)) != 0;
}

}  // namespace

CounterState CounterStateOfThread() {
  int state = 0;
  if (prctl(PR_GET_TSC, &state, 0, 0, 0) != 0) return CounterState::kUnknown;
  return state == PR_TSC_SIGSEGV ? CounterState::kDisabled : CounterState::kEnabled;
}

Outcome CheckCounter(CounterMethod method) {
  if (CounterStateOfThread() == CounterState::kDisabled) return Outcome::Failed(Status::kCounterDisabled);
  if (method == CounterMethod::kRdtscp) {
    // A thread whose CPUID traps cannot ask, and its failure is not the answer for the other threads.
    if (CpuidTraps()) return Outcome::Failed(Status::kCounterUnsupported);
    // A property of the CPU, the same for every thread: asked once, since CPUID traps to the hypervisor.
    static const bool has_rdtscp = HasRdtscp();
    if (!has_rdtscp) return Outcome::Failed(Status::kCounterUnsupported);
  }
  return {};
}

Outcome ReadCpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]) {
  if (CpuidTraps()) return Outcome::Failed(Status::kCounterUnsupported);
  __cpuid_count(leaf, subleaf, registers[0], registers[1], registers[2], registers[3]);
  return {};
}

}  // namespace latchclock
