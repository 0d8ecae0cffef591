#include "../core/bad_pointer_probe.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "../core/clock_call.h"
#include "../core/forked_call.h"
#include "../core/posix_clock.h"
#include "check.h"
#include "support.h"

// The module once more under another name, with an alarm that comes after one second.
namespace latchclock {
namespace {
unsigned AlarmSoon(unsigned) { return alarm(1); }
bool waits_forever = false;
pid_t WaitOrBeInterrupted(pid_t child, int* status, int options) {
  if (!waits_forever) return waitpid(child, status, options);
  errno = EINTR;
  return -1;
}

}  // namespace
}  // namespace latchclock
#define alarm AlarmSoon
#define waitpid WaitOrBeInterrupted
#define CallInChild CallInChildSoon
#include "../core/forked_call.cc"
#undef alarm
#undef waitpid
#undef CallInChild

namespace latchclock::test {
namespace {

constexpr ClockCall kGettime = ClockCall::kClockGettime;
constexpr CallPath kPaths[] = {CallPath::kVdso, CallPath::kLibc, CallPath::kSyscall};
constexpr BadPointer kPointers[] = {BadPointer::kNull,     BadPointer::kReadOnly, BadPointer::kKernel,
                                    BadPointer::kNoAccess, BadPointer::kTop,      BadPointer::kCrossing};
static_assert(sizeof(kPointers) / sizeof(kPointers[0]) == kBadPointers);

bool NoChildIsLeft() {
  errno = 0;
  return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD;
}

bool Faulted(const BadPointerEnding& ending) {
  return (ending.signal == SIGSEGV && ending.error_number == 0) ||
         (ending.signal == 0 && ending.error_number == EFAULT);
}

// For a process that has a handler of its own, as the JavaScript engine has: one that would hide the fault.
void EndWell(int) { _exit(0); }

int Sleep(void*) {
  pause();
  return 0;
}

TEST("a wait that is interrupted for ever is told, and its child does not stay") {
  waits_forever = true;
  ChildEnding ending;
  const Outcome outcome = CallInChildSoon(Sleep, nullptr, &ending);
  waits_forever = false;
  CHECK(outcome.status == Status::kSystemCall);
  CHECK_EQ(outcome.error_number, EINTR);
  int status = 0;
  CHECK(waitpid(-1, &status, 0) > 0);
  CHECK(WIFSIGNALED(status));
  CHECK_EQ(WTERMSIG(status), SIGKILL);
}

TEST("the system call answers every bad pointer with EFAULT") {
  for (const BadPointer pointer : kPointers) {
    for (const clockid_t id : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME}) {
      BadPointerEnding ending;
      CHECK(ProbeBadPointer(kGettime, CallPath::kSyscall, id, pointer, &ending).ok());
      CHECK_EQ(ending.error_number, EFAULT);
      CHECK_EQ(ending.signal, 0);
    }
  }
  CHECK(NoChildIsLeft());
}

TEST("no path claims to have written through a bad pointer, and no child is left behind") {
  for (const CallPath path : kPaths) {
    if (!CheckClockCall(kGettime, path).ok()) continue;
    for (const BadPointer pointer : kPointers) {
      for (const clockid_t id : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_TAI}) {
        BadPointerEnding ending;
        CHECK(ProbeBadPointer(kGettime, path, id, pointer, &ending).ok());
        if (!CHECK(Faulted(ending))) {
          CHECK_EQ(ending.signal, SIGSEGV);
          CHECK_EQ(ending.error_number, 0);
        }
      }
    }
  }
  CHECK(NoChildIsLeft());
}

TEST("a clock that only the kernel has answers EFAULT by every path, and one that nobody has EINVAL") {
  for (const CallPath path : kPaths) {
    if (!CheckClockCall(kGettime, path).ok()) continue;
    for (const BadPointer pointer : kPointers) {
      BadPointerEnding ending;
      CHECK(ProbeBadPointer(kGettime, path, CLOCK_PROCESS_CPUTIME_ID, pointer, &ending).ok());
      CHECK_EQ(ending.error_number, EFAULT);
      CHECK_EQ(ending.signal, 0);
      CHECK(ProbeBadPointer(kGettime, path, 9999, pointer, &ending).ok());
      CHECK_EQ(ending.error_number, EINVAL);
      CHECK_EQ(ending.signal, 0);
    }
  }
  CHECK(NoChildIsLeft());
}

TEST(
    "gettimeofday, time and getcpu answer every bad pointer with EFAULT by system call, and die of it "
    "elsewhere") {
  for (const ClockCall call :
       {ClockCall::kClockGetres, ClockCall::kGettimeofday, ClockCall::kTime, ClockCall::kGetcpu}) {
    for (const CallPath path : {CallPath::kVdso, CallPath::kLibc, CallPath::kSyscall, CallPath::kVsyscall}) {
      // A sanitizer's own libc looks at the pointer of time first, and ends the child in its way.
      if (kSanitized && path == CallPath::kLibc) continue;
      if (!CheckClockCall(call, path).ok()) continue;
      for (const BadPointer pointer : kPointers) {
        BadPointerEnding ending;
        CHECK(ProbeBadPointer(call, path, CLOCK_MONOTONIC, pointer, &ending).ok());
        // The interface allows null: nothing is to be stored then.
        const bool allowed = pointer == BadPointer::kNull;
        const bool right = allowed ? ending.signal == 0 && ending.error_number == 0 : Faulted(ending);
        if (!CHECK(right)) {
          CHECK_EQ(static_cast<uint32_t>(call) * 100 + static_cast<uint32_t>(path) * 10 +
                       static_cast<uint32_t>(pointer),
                   1000u);
          CHECK_EQ(ending.signal, SIGSEGV);
        }
        if (path == CallPath::kSyscall) CHECK_EQ(ending.signal, 0);
      }
    }
  }
  CHECK(NoChildIsLeft());
}

TEST("a handler of the process does not hide the child's fault, and stays the process's") {
  struct sigaction own = {}, before, after;
  own.sa_handler = EndWell;
  sigaction(SIGSEGV, &own, &before);
  for (const CallPath path : {CallPath::kVdso, CallPath::kLibc}) {
    if (!CheckClockCall(kGettime, path).ok()) continue;
    BadPointerEnding ending;
    CHECK(ProbeBadPointer(kGettime, path, CLOCK_MONOTONIC, BadPointer::kNull, &ending).ok());
    CHECK(Faulted(ending));
  }
  sigaction(SIGSEGV, &before, &after);
  CHECK(after.sa_handler == EndWell);
  CHECK(NoChildIsLeft());
}

TEST("a probe changes neither the mask nor the core limit of the process") {
  const std::string mask = ProcField("/proc/thread-self/status", "SigBlk");
  rlimit before, after;
  getrlimit(RLIMIT_CORE, &before);
  for (const CallPath path : kPaths) {
    if (!CheckClockCall(kGettime, path).ok()) continue;
    BadPointerEnding ending;
    CHECK(ProbeBadPointer(kGettime, path, CLOCK_MONOTONIC, BadPointer::kNull, &ending).ok());
  }
  getrlimit(RLIMIT_CORE, &after);
  CHECK(before.rlim_cur == after.rlim_cur && before.rlim_max == after.rlim_max);
  CHECK_EQ(ProcField("/proc/thread-self/status", "SigBlk"), mask);
}

TEST("a call that hangs is ended by a signal, whatever the process does with that signal") {
  if (!CheckClockCall(kGettime, CallPath::kVdso).ok()) SKIP("this process has no vDSO that it may use");
#if defined(__SANITIZE_THREAD__)
  SKIP("ThreadSanitizer puts off the handlers of signals that come from outside");
#endif
  const auto hang = [](void*) {
    // Ends by itself, so that none hangs if the test does not hold.
    const timespec pause = {0, 100'000'000};
    for (int i = 0; i < 100; i++) nanosleep(&pause, nullptr);
    return 0;
  };
  struct sigaction own = {}, before;
  own.sa_handler = EndWell;
  sigaction(SIGALRM, &own, &before);
  ChildEnding ending;
  Outcome outcome;
  RunInThread([&] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    outcome = CallInChildSoon(hang, nullptr, &ending);
  });
  sigaction(SIGALRM, &before, nullptr);
  CHECK(outcome.ok());
  CHECK_EQ(ending.signal, SIGALRM);
  CHECK_EQ(ending.value, 0);
  CHECK(NoChildIsLeft());
}

TEST("whichever signal ends the child is told, whatever the process does with that signal") {
  for (int signal : {SIGSEGV, SIGBUS, SIGALRM, SIGKILL}) {
    struct sigaction own = {}, before;
    own.sa_handler = EndWell;
    const bool catchable = sigaction(signal, &own, &before) == 0;
    ChildEnding ending;
    const Outcome outcome =
        CallInChild([](void* number) { return raise(*static_cast<int*>(number)); }, &signal, &ending);
    if (catchable) sigaction(signal, &before, nullptr);
    CHECK(outcome.ok());
    CHECK_EQ(ending.signal, signal);
    CHECK_EQ(ending.value, 0);
  }
  CHECK(NoChildIsLeft());
}

TEST("every errno comes out of the child as it is, and success as none") {
  for (int answer : {0, EPERM, EFAULT, EINVAL, EHWPOISON}) {
    ChildEnding ending;
    CHECK(CallInChild([](void* number) { return *static_cast<int*>(number); }, &answer, &ending).ok());
    CHECK_EQ(ending.value, answer);
    CHECK_EQ(ending.signal, 0);
  }
  CHECK(NoChildIsLeft());
}

TEST("a value that no errno has is told as no signal") {
  int answer = 4001;
  ChildEnding ending;
  CHECK(CallInChild([](void* number) { return *static_cast<int*>(number); }, &answer, &ending).ok());
  CHECK_EQ(ending.signal, 0);
  CHECK(ending.value > EHWPOISON);
}

TEST("signals that the probing thread catches do not end its wait") {
  if (!CheckClockCall(kGettime, CallPath::kVdso).ok()) SKIP("this process has no vDSO that it may use");
  struct sigaction own = {}, before;
  own.sa_handler = [](int) {};  // without SA_RESTART: waitpid(2) returns EINTR
  sigaction(SIGUSR1, &own, &before);
  std::atomic<bool> ended{false};
  size_t probes = 0, wrong = 0;
  Outcome last;
  std::thread prober([&] {
    while (!ended.load(std::memory_order_relaxed)) {
      BadPointerEnding ending;
      const Outcome outcome =
          ProbeBadPointer(kGettime, CallPath::kVdso, CLOCK_MONOTONIC, BadPointer::kNull, &ending);
      probes++;
      if (outcome.ok() && Faulted(ending)) continue;
      wrong++;
      last = outcome;
    }
  });
  for (int i = 0; i < 200; i++) {
    std::this_thread::sleep_for(std::chrono::microseconds(300));
    pthread_kill(prober.native_handle(), SIGUSR1);
  }
  ended.store(true, std::memory_order_relaxed);
  prober.join();
  sigaction(SIGUSR1, &before, nullptr);
  CHECK(probes > 0);
  CHECK_EQ(wrong, 0);
  if (wrong > 0) CHECK_EQ(std::string(last.call), "");
  CHECK(NoChildIsLeft());
}

TEST("a probe that gets no child says that fork failed, and the system call needs none") {
  bool refused = false;
  Outcome vdso, syscall_outcome;
  BadPointerEnding vdso_ending, syscall_ending;
  RunInThread([&] {
    refused = CheckClockCall(kGettime, CallPath::kVdso).ok() && AnswerInKernelsPlace(SYS_clone, EAGAIN);
    if (!refused) return;
    vdso = ProbeBadPointer(kGettime, CallPath::kVdso, CLOCK_MONOTONIC, BadPointer::kNull, &vdso_ending);
    syscall_outcome =
        ProbeBadPointer(kGettime, CallPath::kSyscall, CLOCK_MONOTONIC, BadPointer::kNull, &syscall_ending);
  });
  if (!refused) SKIP("seccomp filters are not allowed here, or there is no vDSO");
  CHECK_EQ(vdso.status, Status::kSystemCall);
  CHECK_EQ(vdso.error_number, EAGAIN);
  CHECK_EQ(std::string(vdso.call), "fork");
  CHECK(vdso_ending.error_number == 0 && vdso_ending.signal == 0);
  CHECK(syscall_outcome.ok());
  CHECK_EQ(syscall_ending.error_number, EFAULT);
}

TEST("a child that something else has waited for is an error and neither a success nor a hang") {
  if (!CheckClockCall(kGettime, CallPath::kVdso).ok()) SKIP("this process has no vDSO that it may use");
  // The kernel reaps children itself while SIGCHLD is ignored.
  struct sigaction ignore = {}, before;
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGCHLD, &ignore, &before);
  BadPointerEnding ending;
  const Outcome outcome =
      ProbeBadPointer(kGettime, CallPath::kVdso, CLOCK_MONOTONIC, BadPointer::kNull, &ending);
  sigaction(SIGCHLD, &before, nullptr);
  CHECK_EQ(outcome.status, Status::kSystemCall);
  CHECK_EQ(outcome.error_number, ECHILD);
  CHECK_EQ(std::string(outcome.call), "waitpid");
  CHECK(NoChildIsLeft());
}

}  // namespace
}  // namespace latchclock::test
