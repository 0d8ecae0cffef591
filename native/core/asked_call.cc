#include "asked_call.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "counter.h"
#include "posix_clock.h"

namespace latchclock {
namespace {

// What the child writes and its parent reads when it has ended: fork and waitpid put that in order, so
// relaxed is enough. Where somebody else waited, the words are as the child left them all the same.
struct Board {
  std::atomic<size_t> begun{0};     // questions of which the call was about to be made
  std::atomic<size_t> answered{0};  // and those whose call has come back
};

struct Asked {
  const CallQuestion* questions;
  size_t first, count;
  Board* board;
  int* answers;  // in the memory that the child shares
};

int AllowAll() {
  sock_filter program[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog filter = {1, program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0 ? 0 : errno;
}

// No allocation: more CPUs than this mask holds end in EINVAL, by which the call was passed, too.
int SameAffinity() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return errno;
  return sched_setaffinity(0, sizeof(set), &set) == 0 ? 0 : errno;
}

int Answer(const CallQuestion& question) {
  switch (question.asked) {
    case AskedCall::kClockCall: {
      CallAnswer answer;
      return MakeClockCall(question.call, question.path, question.id, &answer);
    }
    case AskedCall::kAdjtimex: {
      timex discipline;
      int state;
      return ReadDiscipline(&discipline, &state).error_number;
    }
    case AskedCall::kCpuid: {
      uint32_t registers[4];
      ReadCpuid(0, 0, registers);
      return 0;
    }
    case AskedCall::kFilter:
      return AllowAll();
    case AskedCall::kAffinity:
      return SameAffinity();
    case AskedCall::kMemory: {
      uint8_t from = 0, to;
      const iovec here = {&to, 1}, there = {&from, 1};
      return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1 ? 0 : errno;
    }
  }
  __builtin_unreachable();
}

int AnswerAll(void* argument) {
  auto* asked = static_cast<Asked*>(argument);
  for (size_t i = asked->first; i < asked->count; i++) {
    asked->board->begun.store(i + 1, std::memory_order_relaxed);
    asked->answers[i] = Answer(asked->questions[i]);
    asked->board->answered.store(i + 1, std::memory_order_relaxed);
  }
  return 0;
}

// Of the call, and not of this process: made in no child.
bool IsThere(const CallQuestion& question) {
  if (question.asked != AskedCall::kClockCall || question.path == CallPath::kSyscall) return true;
  // The vsyscall page asks its own child.
  if (question.path == CallPath::kVsyscall) return false;
  return CheckClockCall(question.call, question.path).ok();
}

// Asks from question `first` on; `*next` is the first that has no answer yet.
Outcome AskFrom(Asked* asked, ChildEnding* endings, size_t* next) {
  ChildEnding child;
  const Outcome outcome = CallInChild(AnswerAll, asked, &child);
  // Where the kernel reaps children itself (SIGCHLD ignored), waitpid comes back when the child has ended.
  const bool reaped_elsewhere = !outcome.ok() && outcome.error_number == ECHILD;
  if (!outcome.ok() && !reaped_elsewhere) return outcome;
  const size_t answered = asked->board->answered.load(std::memory_order_relaxed);
  const size_t begun = asked->board->begun.load(std::memory_order_relaxed);
  for (size_t i = asked->first; i < answered; i++) endings[i] = {asked->answers[i], 0};
  *next = answered > asked->first ? answered : asked->first;
  if (*next == asked->count) return {};
  // Killed in a call, or before the first: then by what every child does.
  const int signal = reaped_elsewhere || child.signal == 0 ? SIGSYS : child.signal;
  if (begun <= asked->first && answered <= asked->first) {
    for (; *next < asked->count; (*next)++) endings[*next] = {0, signal};
    return {};
  }
  endings[(*next)++] = {0, signal};
  return {};
}

}  // namespace

Outcome AskCalls(const CallQuestion* questions, size_t count, ChildEnding* endings) {
  const size_t bytes = sizeof(Board) + count * sizeof(int);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Outcome::FailedCall("mmap", errno);
  auto* board = new (memory) Board;
  auto* answers = reinterpret_cast<int*>(board + 1);
  Outcome outcome;
  for (size_t next = 0; next < count && outcome.ok();) {
    if (!IsThere(questions[next])) {
      endings[next++] = {};
      continue;
    }
    // Up to the next that is not there.
    size_t end = next + 1;
    while (end < count && IsThere(questions[end])) end++;
    Asked asked = {questions, next, end, board, answers};
    outcome = AskFrom(&asked, endings, &next);
  }
  munmap(memory, bytes);
  return outcome;
}

}  // namespace latchclock
