#include "../core/clock_call.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../core/cpu_affinity.h"
#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

constexpr ClockCall kCalls[] = {ClockCall::kClockGettime, ClockCall::kClockGetres, ClockCall::kGettimeofday,
                                ClockCall::kTime, ClockCall::kGetcpu};
constexpr CallPath kPaths[] = {CallPath::kVdso, CallPath::kLibc, CallPath::kSyscall, CallPath::kVsyscall};
static_assert(sizeof(kCalls) / sizeof(kCalls[0]) == kClockCalls);
static_assert(sizeof(kPaths) / sizeof(kPaths[0]) == kCallPaths);

TEST("every call works by every path that there is, and its answer is well formed") {
  for (const ClockCall call : kCalls) {
    for (const CallPath path : kPaths) {
      if (!CheckClockCall(call, path).ok()) continue;
      CallAnswer answer;
      answer.words[1] = -1;
      CHECK_EQ(MakeClockCall(call, path, CLOCK_REALTIME, &answer), 0);
      CHECK(IsWellFormed(call, answer));
      if (call == ClockCall::kGettimeofday || call == ClockCall::kTime)
        CHECK(answer.words[0] > 1'500'000'000);
    }
  }
}

TEST(
    "the vsyscall page is asked for where the map of the process shows it, and kills nobody where it is "
    "not") {
  const bool mapped = FindMapping("[vsyscall]").start != 0;
  for (const ClockCall call : {ClockCall::kGettimeofday, ClockCall::kTime, ClockCall::kGetcpu}) {
    const Outcome outcome = CheckClockCall(call, CallPath::kVsyscall);
    CHECK_EQ(outcome.ok(), mapped);
    if (!outcome.ok()) CHECK_EQ(outcome.error_number, EFAULT);
  }
  for (const ClockCall call : {ClockCall::kClockGettime, ClockCall::kClockGetres}) {
    CHECK_EQ(CheckClockCall(call, CallPath::kVsyscall).error_number, ENOSYS);
  }
}

TEST("getcpu names the CPU that a thread is pinned to, by every path") {
  RunInThread([] {
    for (const int cpu : AllowedCpus(4)) {
      if (!SetCpuAffinity({cpu}).ok()) continue;
      for (const CallPath path : kPaths) {
        if (!CheckClockCall(ClockCall::kGetcpu, path).ok()) continue;
        CallAnswer answer;
        if (MakeClockCall(ClockCall::kGetcpu, path, 0, &answer) != 0 || answer.words[0] != cpu) _exit(99);
      }
    }
  });
}

TEST("an answer is well formed within the bounds of its fraction only") {
  const auto formed = [](ClockCall call, int64_t fraction) { return IsWellFormed(call, {{7, fraction}}); };
  for (const ClockCall call : {ClockCall::kClockGettime, ClockCall::kClockGetres}) {
    CHECK(formed(call, 0) && formed(call, 999'999'999));
    CHECK(!formed(call, 1'000'000'000) && !formed(call, -1) && !formed(call, INT64_MIN));
  }
  CHECK(formed(ClockCall::kGettimeofday, 999'999) && !formed(ClockCall::kGettimeofday, 1'000'000));
  CHECK(!formed(ClockCall::kGettimeofday, -1));
  // Of time: what was returned is what was stored.
  CHECK(formed(ClockCall::kTime, 0) && !formed(ClockCall::kTime, 1));
  CHECK(formed(ClockCall::kGetcpu, 1'000'000));
}

TEST("each call is made by the path asked for: only the system call enters the kernel") {
  if (!CheckClockCall(ClockCall::kGettimeofday, CallPath::kVdso).ok()) SKIP("there is no vDSO to be used");
  constexpr int kMark = 4002;  // no errno of the kernel's
  bool marked = false;
  int by_vdso[3], by_syscall[3];
  constexpr ClockCall kOthers[] = {ClockCall::kGettimeofday, ClockCall::kTime, ClockCall::kGetcpu};
  RunInThread([&] {
    marked = AnswerInKernelsPlace(SYS_gettimeofday, kMark) && AnswerInKernelsPlace(SYS_time, kMark) &&
             AnswerInKernelsPlace(SYS_getcpu, kMark);
    if (!marked) return;
    for (int i = 0; i < 3; i++) {
      CallAnswer answer;
      by_vdso[i] = MakeClockCall(kOthers[i], CallPath::kVdso, 0, &answer);
      by_syscall[i] = MakeClockCall(kOthers[i], CallPath::kSyscall, 0, &answer);
    }
  });
  if (!marked) SKIP("seccomp filters are not allowed here");
  for (int i = 1; i < 3; i++) CHECK_EQ(by_vdso[i], 0);
  for (int i = 0; i < 3; i++) CHECK_EQ(by_syscall[i], kMark);
}

}  // namespace
}  // namespace latchclock::test
