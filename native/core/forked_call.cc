#include "forked_call.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interrupted.h"

namespace latchclock {
namespace {

// Exit statuses of the child: what the function returned, or this and the number of the signal that it got.
constexpr int kSignalStatus = 160;

void ExitBySignal(int signal_number) { _exit(kSignalStatus + signal_number); }

[[noreturn]] void CallAndExit(int (*work)(void*), void* argument) {
  // A handler of our own: that of the process must not run here (the JavaScript engine has one for SIGSEGV),
  // and an unhandled signal would leave a line in the kernel's log, and perhaps a core.
  struct sigaction action = {};
  action.sa_handler = ExitBySignal;
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
  // A function that hung would be ended by this.
  sigaction(SIGALRM, &action, nullptr);
  // All others stay blocked: the process's handlers must not run in a copy that shares its pipes. But that of
  // SIGSYS, by which a sandbox of the process may answer system calls itself.
  sigset_t blocked;
  sigfillset(&blocked);
  sigdelset(&blocked, SIGSEGV);
  sigdelset(&blocked, SIGBUS);
  sigdelset(&blocked, SIGALRM);
  sigdelset(&blocked, SIGSYS);
  sigprocmask(SIG_SETMASK, &blocked, nullptr);
  alarm(5);
  const int value = work(argument);
  // A sandbox may answer with any number below 4096: none of them is a signal.
  _exit(value >= 0 && value < kSignalStatus ? value : kSignalStatus - 1);
}

}  // namespace

Outcome CallInChild(int (*work)(void*), void* argument, ChildEnding* ending) {
  *ending = {};
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child = fork();
  const int fork_error = errno;
  if (child == 0) CallAndExit(work, argument);
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
    ending->value = WEXITSTATUS(status);
  }
  return {};
}

}  // namespace latchclock
