#include "bad_pointer_probe.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interrupted.h"

namespace latchclock {
namespace {

// A constant that is never written, and so lies in a read-only segment.
alignas(timespec) const unsigned char kReadOnlyBytes[sizeof(timespec)] = {};

uintptr_t Address(BadPointer pointer) {
  switch (pointer) {
    case BadPointer::kNull:
      return 0;
    case BadPointer::kReadOnly:
      return reinterpret_cast<uintptr_t>(kReadOnlyBytes);
    case BadPointer::kKernel:
      return 0xffff'8000'0000'0000;
  }
  __builtin_unreachable();
}

// The libc declares that its pointer is never null, and a compiler may build on that: called through a
// pointer whose type says nothing of the kind, and that the compiler does not see through.
int (*volatile const libc_clock_gettime)(clockid_t, timespec*) = clock_gettime;

int Call(ClockPath path, clockid_t id, timespec* time) {
  if (path != ClockPath::kLibc) return ClockGettime(path, id, time);
  return libc_clock_gettime(id, time) == 0 ? 0 : errno;
}

// Exit statuses of the child: an errno, all of which are below, or this and the number of the signal that it
// got.
constexpr int kSignalStatus = 160;

void ExitBySignal(int signal_number) { _exit(kSignalStatus + signal_number); }

// Only async-signal-safe calls: the child is a copy of one thread of many.
[[noreturn]] void CallAndExit(ClockPath path, clockid_t id, timespec* time) {
  // A handler of our own: that of the process must not run here (the JavaScript engine has one for SIGSEGV),
  // and an unhandled signal would leave a line in the kernel's log, and perhaps a core.
  struct sigaction action = {};
  action.sa_handler = ExitBySignal;
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
  // A reader that hung would be ended by this.
  sigaction(SIGALRM, &action, nullptr);
  // All others stay blocked: the process's handlers must not run in a copy that shares its pipes.
  sigset_t blocked;
  sigfillset(&blocked);
  sigdelset(&blocked, SIGSEGV);
  sigdelset(&blocked, SIGBUS);
  sigdelset(&blocked, SIGALRM);
  sigprocmask(SIG_SETMASK, &blocked, nullptr);
  alarm(5);
  _exit(Call(path, id, time));
}

}  // namespace

Outcome ProbeBadPointer(ClockPath path, clockid_t id, BadPointer pointer, BadPointerEnding* ending) {
  const Outcome usable = CheckClockPath(path);
  if (!usable.ok()) return usable;
  auto* time = reinterpret_cast<timespec*>(Address(pointer));
  if (path == ClockPath::kSyscall) {
    ending->error_number = ClockGettime(path, id, time);
    return {};
  }
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child = fork();
  const int fork_error = errno;
  if (child == 0) CallAndExit(path, id, time);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) return Outcome::FailedCall("fork", fork_error);
  int status = 0;
  if (AgainWhenInterrupted([&] { return waitpid(child, &status, 0); }) < 0) {
    const int wait_error = errno;
    kill(child, SIGKILL);
    return Outcome::FailedCall("waitpid", wait_error);
  }
  if (WIFSIGNALED(status)) {
    ending->signal = WTERMSIG(status);
  } else if (WEXITSTATUS(status) >= kSignalStatus) {
    ending->signal = WEXITSTATUS(status) - kSignalStatus;
  } else {
    ending->error_number = WEXITSTATUS(status);
  }
  return {};
}

}  // namespace latchclock
