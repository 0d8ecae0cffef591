#include "../core/current_cpu.h"

#include <errno.h>
#include <sys/syscall.h>

#include <vector>

#include "../core/cpu_affinity.h"
#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

TEST("a thread that is pinned to a CPU is found there by every way, and on no other CPU") {
  for (const int cpu : AllowedCpus()) {
    RunInThread([&] {
      CHECK(SetCpuAffinity({cpu}).ok());
      const CurrentCpu current;
      Stray stray;
      CHECK_EQ(CurrentCpu::ByKernel(), cpu);
      if (current.HasAux()) CHECK_EQ(CurrentCpu::ByAux(), cpu & 0xfff);
      CHECK(current.IsOn(cpu, &stray));
      CHECK(current.IsOnByAll(cpu, &stray));
      CHECK_EQ(stray.astray, 0);
      CHECK(stray.looks >= 2);
      CHECK(!current.IsOn(cpu + 1, &stray));
      CHECK(!current.IsOnByAll(cpu + 1, &stray));
      CHECK(stray.astray >= 2);
      CHECK_EQ(stray.asked, cpu + 1);
      CHECK_EQ(stray.seen, cpu);
    });
  }
}

TEST("where getcpu is refused TSC_AUX tells, and where both are silent a thread is nowhere") {
  bool filtered = false;
  RunInThread([&] {
    const int cpu = AllowedCpus().front();
    CHECK(SetCpuAffinity({cpu}).ok());
    filtered = AnswerInKernelsPlace(SYS_getcpu, EPERM);
    if (!filtered) return;
    const CurrentCpu current;
    Stray stray;
    CHECK_EQ(CurrentCpu::ByKernel(), -1);
    CHECK_EQ(current.IsOn(cpu, &stray), current.HasAux());
    CHECK_EQ(current.IsOnByAll(cpu, &stray), current.HasAux());
    if (!current.HasAux()) CHECK_EQ(stray.seen, -1);
  });
  if (!filtered) SKIP("seccomp filters are not allowed here");
}

TEST("the first stray of several is kept, and all are counted") {
  Stray sum, none, first, second;
  none.Look(3, 3);
  first.Look(1, 0);
  first.Look(1, 1);
  first.Look(1, 2);
  second.Look(5, 4);
  for (const Stray& part : {none, first, second}) sum.Add(part);
  CHECK_EQ(sum.looks, 5);
  CHECK_EQ(sum.astray, 3);
  CHECK_EQ(sum.asked, 1);
  CHECK_EQ(sum.seen, 0);
}

}  // namespace
}  // namespace latchclock::test
