#include "cpu_affinity.h"

#include <errno.h>
#include <sched.h>

#include <algorithm>
#include <memory>

namespace latchclock {
namespace {

constexpr int kMostCpus = 1 << 16;

struct FreeCpuSet {
  void operator()(cpu_set_t* set) const { CPU_FREE(set); }
};
using CpuSet = std::unique_ptr<cpu_set_t, FreeCpuSet>;

CpuSet MakeCpuSet(int cpus) {
  CpuSet set(CPU_ALLOC(cpus));
  if (set) CPU_ZERO_S(CPU_ALLOC_SIZE(cpus), set.get());
  return set;
}

}  // namespace

Outcome GetCpuAffinity(std::vector<int>* cpus) {
  // The kernel answers EINVAL while the mask is smaller than its own, whose size it does not tell.
  for (int capacity = 1024; capacity <= kMostCpus; capacity *= 2) {
    const CpuSet set = MakeCpuSet(capacity);
    if (!set) return Outcome::FailedCall("sched_getaffinity", ENOMEM);
    const size_t size = CPU_ALLOC_SIZE(capacity);
    if (sched_getaffinity(0, size, set.get()) != 0) {
      if (errno == EINVAL) continue;
      return Outcome::FailedCall("sched_getaffinity", errno);
    }
    cpus->clear();
    for (int cpu = 0; cpu < capacity; cpu++) {
      if (CPU_ISSET_S(cpu, size, set.get())) cpus->push_back(cpu);
    }
    return {};
  }
  return Outcome::FailedCall("sched_getaffinity", EINVAL);
}

Outcome SetCpuAffinity(const std::vector<int>& cpus) {
  const auto [lowest, highest] = std::minmax_element(cpus.begin(), cpus.end());
  // Before the highest sizes the mask: a negative number would ask for nearly all memory.
  if (cpus.empty() || *lowest < 0 || *highest >= kMostCpus) {
    return Outcome::FailedCall("sched_setaffinity", EINVAL);
  }
  const CpuSet set = MakeCpuSet(*highest + 1);
  if (!set) return Outcome::FailedCall("sched_setaffinity", ENOMEM);
  const size_t size = CPU_ALLOC_SIZE(*highest + 1);
  for (const int cpu : cpus) CPU_SET_S(static_cast<size_t>(cpu), size, set.get());
  if (sched_setaffinity(0, size, set.get()) != 0) return Outcome::FailedCall("sched_setaffinity", errno);
  return {};
}

}  // namespace latchclock
