#include "posix_clock.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "counter.h"
#include "vdso_image.h"

namespace latchclock {
namespace {

int ErrnoOf(long result) { return result == 0 ? 0 : errno; }

}  // namespace

Outcome CheckClockPath(ClockPath path) {
  if (path == ClockPath::kSyscall) return {};
  const VdsoFunctions& vdso = GetVdsoFunctions();
  // clock_getres is asked for where it is called: a vDSO without it (gVisor's) still tells the time.
  if (path == ClockPath::kVdso && vdso.clock_gettime == nullptr) return Outcome::Failed(Status::kNoVdso);
  // The libc then makes system calls.
  if (vdso.clock_gettime == nullptr) return {};
  return CheckCounter(CounterMethod::kRdtsc);
}

int ClockGettime(ClockPath path, clockid_t id, timespec* time) {
  switch (path) {
    case ClockPath::kVdso:
      return -GetVdsoFunctions().clock_gettime(id, time);
    case ClockPath::kLibc:
      return ErrnoOf(clock_gettime(id, time));
    case ClockPath::kSyscall:
      return ErrnoOf(syscall(SYS_clock_gettime, id, time));
  }
  __builtin_unreachable();
}

int ClockGetres(ClockPath path, clockid_t id, timespec* resolution) {
  switch (path) {
    case ClockPath::kVdso:
      if (GetVdsoFunctions().clock_getres == nullptr) return ENOSYS;
      return -GetVdsoFunctions().clock_getres(id, resolution);
    case ClockPath::kLibc:
      return ErrnoOf(clock_getres(id, resolution));
    case ClockPath::kSyscall:
      return ErrnoOf(syscall(SYS_clock_getres, id, resolution));
  }
  __builtin_unreachable();
}

Outcome ReadDiscipline(timex* discipline, int* state) {
  *discipline = {};
  // By system call: libcs differ in what they do to the structure.
  *state = static_cast<int>(syscall(SYS_adjtimex, discipline));
  return *state < 0 ? Outcome::FailedCall("adjtimex", errno) : Outcome{};
}

}  // namespace latchclock
