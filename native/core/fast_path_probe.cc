#include "fast_path_probe.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "posix_clock.h"
#include "quiet_thread.h"

namespace latchclock {
namespace {

// No Linux errno has this number (the highest is 133), and seccomp passes on up to 4095.
constexpr int kTrapErrno = 4001;

Outcome TrapClockGettime() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | kTrapErrno),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Outcome::FailedCall("prctl", errno);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) return Outcome::FailedCall("prctl", errno);
  return {};
}

struct Probe {
  FastPathCount* clocks;
  size_t count;
  uint32_t calls;
  Outcome outcome;
};

void* RunProbe(void* argument) {
  auto* probe = static_cast<Probe*>(argument);
  probe->outcome = TrapClockGettime();
  if (!probe->outcome.ok()) return nullptr;
  for (size_t i = 0; i < probe->count; i++) {
    FastPathCount& clock = probe->clocks[i];
    for (uint32_t call = 0; call < probe->calls; call++) {
      timespec time;
      const int error = ClockGettime(ClockPath::kVdso, clock.id, &time);
      clock.calls++;
      if (error == kTrapErrno) {
        clock.kernel_entries++;
      } else if (error != 0) {
        clock.error_number = error;
      }
    }
  }
  return nullptr;
}

}  // namespace

Outcome ProbeFastPath(FastPathCount* clocks, size_t count, uint32_t calls) {
  const Outcome usable = CheckClockPath(ClockPath::kVdso);
  if (!usable.ok()) return usable;
  Probe probe = {clocks, count, calls, {}};
  pthread_t thread;
  const int error = CreateQuietThread(&thread, RunProbe, &probe);
  if (error != 0) return Outcome::FailedCall("pthread_create", error);
  pthread_join(thread, nullptr);
  return probe.outcome;
}

}  // namespace latchclock
