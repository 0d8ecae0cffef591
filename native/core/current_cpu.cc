#include "current_cpu.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace latchclock {

bool Stray::Look(int asked_for, int seen_now) {
  looks++;
  if (seen_now == asked_for) return true;
  if (astray++ == 0) {
    asked = asked_for;
    seen = seen_now;
  }
  return false;
}

void Stray::Add(const Stray& part) {
  if (astray == 0 && part.astray > 0) {
    asked = part.asked;
    seen = part.seen;
  }
  looks += part.looks;
  astray += part.astray;
}

int CurrentCpu::ByKernel() {
  unsigned cpu = 0;
  if (syscall(SYS_getcpu, &cpu, nullptr, nullptr) != 0) return -1;
  return static_cast<int>(cpu);
}

bool CurrentCpu::IsOn(int cpu, Stray* stray) const {
  if (!has_aux_) return stray->Look(cpu, ByKernel());
  const int low_bits = ByAux();
  return stray->Look(cpu, low_bits == (cpu & static_cast<int>(kCpuMask)) ? cpu : low_bits);
}

bool CurrentCpu::IsOnByAll(int cpu, Stray* stray) const {
  const bool by_aux = IsOn(cpu, stray);
  if (!has_aux_) return by_aux;
  const int kernel = ByKernel();
  // Refused: the counter alone tells.
  return kernel < 0 ? by_aux : stray->Look(cpu, kernel) && by_aux;
}

}  // namespace latchclock
