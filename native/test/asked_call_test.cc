#include "../core/asked_call.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

// Ends this thread's process at a system call whose first argument is `first`, from now on.
bool KillFor(unsigned number, unsigned first) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

CallQuestion Gettime(CallPath path, clockid_t id) {
  return {AskedCall::kClockCall, ClockCall::kClockGettime, path, id};
}

const std::vector<CallQuestion> kQuestions = {
    Gettime(CallPath::kSyscall, CLOCK_MONOTONIC),
    Gettime(CallPath::kSyscall, CLOCK_TAI),
    Gettime(CallPath::kSyscall, CLOCK_REALTIME),
    Gettime(CallPath::kSyscall, 9999),
    Gettime(CallPath::kVsyscall, CLOCK_TAI),
    {AskedCall::kMemory, {}, {}, 0},
    {AskedCall::kCpuid, {}, {}, 0},
    {AskedCall::kAffinity, {}, {}, 0},
    {AskedCall::kFilter, {}, {}, 0},
    {AskedCall::kAdjtimex, {}, {}, 0},
};

bool NoChildIsLeft() {
  errno = 0;
  return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD;
}

TEST("calls that pass are told as such, and a clock that nobody has by its errno") {
  std::vector<ChildEnding> endings(kQuestions.size());
  CHECK(AskCalls(kQuestions.data(), kQuestions.size(), endings.data()).ok());
  for (size_t i = 0; i < endings.size(); i++) {
    CHECK_EQ(endings[i].signal, 0);
    if (i != 8 && i != 9) CHECK_EQ(endings[i].value, i == 3 ? EINVAL : 0);
  }
  CHECK(NoChildIsLeft());
}

TEST(
    "a call that a filter kills for is told by its signal, in any thread, and those after it are asked too") {
  bool filtered = false;
  std::vector<ChildEnding> endings(kQuestions.size(), {-1, -1});
  Outcome outcome;
  RunInThread([&] {
    filtered = KillFor(SYS_clock_gettime, CLOCK_TAI) && KillFor(SYS_adjtimex, 0);
    if (!filtered) return;
    // adjtimex's first argument is an address: killed for whatever it is.
    outcome = AskCalls(kQuestions.data(), kQuestions.size() - 1, endings.data());
  });
  if (!filtered) SKIP("seccomp filters are not allowed here");
  CHECK(outcome.ok());
  for (size_t i = 0; i + 1 < endings.size(); i++) CHECK_EQ(endings[i].signal, i == 1 ? SIGSYS : 0);
  CHECK_EQ(endings[3].value, EINVAL);
  CHECK(NoChildIsLeft());
}

TEST("where every call kills each is told so") {
  bool filtered = false;
  std::vector<ChildEnding> endings(3, {-1, -1});
  RunInThread([&] {
    filtered = true;
    for (const clockid_t id : {CLOCK_MONOTONIC, CLOCK_TAI, CLOCK_REALTIME}) {
      filtered = filtered && KillFor(SYS_clock_gettime, static_cast<unsigned>(id));
    }
    if (filtered) filtered = AskCalls(kQuestions.data(), 3, endings.data()).ok();
  });
  if (!filtered) SKIP("seccomp filters are not allowed here");
  for (const ChildEnding& ending : endings) CHECK_EQ(ending.signal, SIGSYS);
  CHECK(NoChildIsLeft());
}

TEST("questions are answered where the kernel reaps children itself") {
  struct sigaction ignore = {}, before;
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGCHLD, &ignore, &before);
  std::vector<ChildEnding> endings(4, {-1, -1});
  const Outcome outcome = AskCalls(kQuestions.data(), 4, endings.data());
  sigaction(SIGCHLD, &before, nullptr);
  CHECK(outcome.ok());
  for (size_t i = 0; i < endings.size(); i++)
    CHECK(endings[i].signal == 0 && endings[i].value == (i == 3 ? EINVAL : 0));
}

TEST("without a child nothing is asked, and fork is named") {
  bool refused = false;
  Outcome outcome;
  RunInThread([&] {
    refused = AnswerInKernelsPlace(SYS_clone, EAGAIN);
    ChildEnding ending;
    if (refused) outcome = AskCalls(kQuestions.data(), 1, &ending);
  });
  if (!refused) SKIP("seccomp filters are not allowed here");
  CHECK_EQ(outcome.error_number, EAGAIN);
  CHECK_EQ(std::string(outcome.call), "fork");
}

}  // namespace
}  // namespace latchclock::test
