#include "../core/pinned_threads.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "../core/cpu_affinity.h"
#include "../core/quiet_thread.h"
#include "check.h"
#include "support.h"

// The module once more under another name, in a world where only so many threads can be created: no limit of
// the system stops a privileged process at a number chosen here.
namespace latchclock {
int threads_to_be_had = 0;
int CreateOneOfFew(pthread_t* thread, void* (*run)(void*), void* argument) {
  return threads_to_be_had-- > 0 ? CreateQuietThread(thread, run, argument) : EAGAIN;
}
}  // namespace latchclock
#define RunPinned RunPinnedOfFew
#define CreateQuietThread CreateOneOfFew
#include "../core/pinned_threads.cc"
#undef RunPinned
#undef CreateQuietThread

namespace latchclock::test {
namespace {

// What comes from outside is blocked, and what the thread's own instructions raise is not. No thread can
// block the first two, and the two below SIGRTMIN are the libc's.
bool OnlyFaultsAreUnblocked() {
  sigset_t mask;
  sigemptyset(&mask);
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  for (int signal = 1; signal <= SIGRTMAX; signal++) {
    const bool unblockable =
        signal == SIGKILL || signal == SIGSTOP || (signal >= __SIGRTMIN && signal < SIGRTMIN);
    const bool fault = signal == SIGBUS || signal == SIGSEGV || signal == SIGFPE || signal == SIGILL;
    if (!unblockable && sigismember(&mask, signal) != (fault ? 0 : 1)) return false;
  }
  return true;
}

std::string SignalMask() { return ProcField("/proc/thread-self/status", "SigBlk"); }
std::string ThreadCount() { return ProcField("/proc/self/status", "Threads"); }

// A joined thread may still be counted for an instant.
bool ThreadCountReturnsTo(const std::string& count) {
  for (int i = 0; i < 10'000; i++) {
    if (ThreadCount() == count) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST("each pinned thread runs on its own CPU and may run on no other") {
  const std::vector<int> cpus = AllowedCpus();
  struct Seen {
    int cpu = -1;
    std::vector<int> allowed;
  };
  std::vector<Seen> seen(cpus.size());
  const auto look = [](size_t thread, void* context) {
    Seen& own = (*static_cast<std::vector<Seen>*>(context))[thread];
    own.cpu = sched_getcpu();
    GetCpuAffinity(&own.allowed);
  };
  CHECK(RunPinned(cpus.data(), cpus.size(), look, &seen).ok());
  for (size_t i = 0; i < cpus.size(); i++) {
    CHECK_EQ(seen[i].cpu, cpus[i]);
    CHECK(seen[i].allowed == std::vector<int>{cpus[i]});
  }
}

TEST(
    "pinned threads have every signal but faults blocked, and the caller keeps its own mask and its own "
    "CPUs") {
  const std::vector<int> cpus = AllowedCpus();
  const std::string mask = SignalMask();
  std::vector<int> blocked(cpus.size(), 0);
  const auto look = [](size_t thread, void* context) {
    (*static_cast<std::vector<int>*>(context))[thread] = OnlyFaultsAreUnblocked();
  };
  CHECK(RunPinned(cpus.data(), cpus.size(), look, &blocked).ok());
  CHECK_EQ(std::count(blocked.begin(), blocked.end(), 1), cpus.size());
  CHECK_EQ(SignalMask(), mask);
  CHECK(!OnlyFaultsAreUnblocked());
  CHECK(AllowedCpus() == cpus);
}

TEST("pinned threads work at the same time, and all have ended when the call returns") {
  // More threads than CPUs too: each waits until all have begun, which they must without any ending.
  const std::vector<int> allowed = AllowedCpus();
  for (const size_t count : {size_t{1}, size_t{2}, allowed.size(), 2 * allowed.size() + 3}) {
    std::vector<int> cpus;
    for (size_t i = 0; i < count; i++) cpus.push_back(allowed[i % allowed.size()]);
    struct Meeting {
      size_t count;
      std::atomic<size_t> begun{0}, ended{0};
      std::vector<int> runs;
    } meeting;
    meeting.count = count;
    meeting.runs.assign(count, 0);
    const auto meet = [](size_t thread, void* context) {
      auto* meeting = static_cast<Meeting*>(context);
      meeting->runs[thread]++;
      meeting->begun++;
      while (meeting->begun < meeting->count) sched_yield();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      meeting->ended++;
    };
    CHECK(RunPinned(cpus.data(), count, meet, &meeting).ok());
    CHECK_EQ(meeting.ended.load(), count);
    CHECK_EQ(std::count(meeting.runs.begin(), meeting.runs.end(), 1), count);
  }
}

TEST("if one thread cannot be pinned, none works, the outcome says why, and no thread is left") {
  const std::vector<int> allowed = AllowedCpus();
  const int good = allowed.front();
  const std::string threads = ThreadCount();
  const std::vector<std::vector<int>> sets = {
      {9999},          {good, 9999},    {9999, good}, {good, -1},        {INT_MIN}, {good, good, 9999},
      {good, 1 << 16}, {good, INT_MAX}, {9999, 9998}, {9999, good, good}};
  for (const std::vector<int>& cpus : sets) {
    std::atomic<size_t> worked{0};
    const auto work = [](size_t, void* context) { ++*static_cast<std::atomic<size_t>*>(context); };
    const Outcome outcome = RunPinned(cpus.data(), cpus.size(), work, &worked);
    CHECK_EQ(outcome.status, Status::kSystemCall);
    CHECK_EQ(outcome.error_number, EINVAL);
    CHECK_EQ(std::string(outcome.call), "sched_setaffinity");
    CHECK_EQ(worked.load(), 0);
    CHECK(AllowedCpus() == allowed);
  }
  CHECK(ThreadCountReturnsTo(threads));
}

TEST("if one thread cannot be created, none works, the outcome says why, and no thread is left") {
  const std::vector<int> cpus(4, AllowedCpus().front());
  const std::string threads = ThreadCount();
  for (int to_be_had = 0; to_be_had <= 4; to_be_had++) {
    threads_to_be_had = to_be_had;
    std::atomic<size_t> worked{0};
    const auto work = [](size_t, void* context) { ++*static_cast<std::atomic<size_t>*>(context); };
    const Outcome outcome = RunPinnedOfFew(cpus.data(), cpus.size(), work, &worked);
    CHECK_EQ(worked.load(), to_be_had == 4 ? 4 : 0);
    CHECK_EQ(outcome.ok(), to_be_had == 4);
    if (to_be_had == 4) continue;
    CHECK_EQ(outcome.status, Status::kSystemCall);
    CHECK_EQ(outcome.error_number, EAGAIN);
    CHECK_EQ(std::string(outcome.call), "pthread_create");
  }
  CHECK(ThreadCountReturnsTo(threads));
}

TEST("no CPU needs no thread") {
  bool worked = false;
  const auto work = [](size_t, void* context) { *static_cast<bool*>(context) = true; };
  CHECK(RunPinned(nullptr, 0, work, &worked).ok());
  CHECK(!worked);
}

TEST("a quiet thread is created by a thread whose own mask stays as it was") {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR2);
  RunInThread([&] {
    pthread_sigmask(SIG_SETMASK, &mask, nullptr);
    const std::string before = SignalMask();
    bool blocked = false;
    pthread_t thread;
    const auto look = [](void* argument) -> void* {
      *static_cast<bool*>(argument) = OnlyFaultsAreUnblocked();
      return nullptr;
    };
    if (!CHECK_EQ(CreateQuietThread(&thread, look, &blocked), 0)) return;
    pthread_join(thread, nullptr);
    CHECK(blocked);
    CHECK_EQ(SignalMask(), before);
  });
}

}  // namespace
}  // namespace latchclock::test
