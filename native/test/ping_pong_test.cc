#include "../core/ping_pong.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "../core/counter.h"
#include "../core/cpu_affinity.h"
#include "../core/pinned_threads.h"
#include "check.h"
#include "support.h"

// The module once more under another name, on counters made up here. The readings of a game follow one
// another in real time, so that a count of them is a counter on which both sides agree.
namespace latchclock {
namespace {

struct MadeUpCounters {
  // Cycles from the reading before to this one; the n-th reading takes the (n mod size)-th.
  std::vector<uint64_t> steps = {1};
  uint64_t start = 0;
  int64_t offset = 0;        // there minus here
  int64_t offset_drift = 0;  // added to it by every reading there
  bool fails[2] = {false, false};
  std::vector<uint64_t> rounds_astray[2];

  std::atomic<uint64_t> readings{0};
  std::atomic<uint64_t> cycles{0};
  std::atomic<size_t> threads{0};
} made_up;
thread_local size_t side = 0;

void MakeUp(std::vector<uint64_t> steps, uint64_t start, int64_t offset, int64_t offset_drift = 0) {
  made_up.steps = std::move(steps);
  made_up.start = start;
  made_up.offset = offset;
  made_up.offset_drift = offset_drift;
  made_up.fails[0] = made_up.fails[1] = false;
  for (std::vector<uint64_t>& rounds : made_up.rounds_astray) rounds.clear();
  made_up.readings = 0;
  made_up.cycles = start;
  made_up.threads = 0;
}

uint64_t MadeUpRdtsc() {
  const uint64_t reading = made_up.readings.fetch_add(1);
  const uint64_t step = made_up.steps[reading % made_up.steps.size()];
  const uint64_t cycles = made_up.cycles.fetch_add(step) + step;
  if (side == 0) return cycles;
  const auto offset = static_cast<uint64_t>(made_up.offset);
  made_up.offset += made_up.offset_drift;
  return cycles + offset;
}

// Every side is where it should be, but in the rounds that are named.
struct MadeUpCpu {
  bool IsOnByAll(int, Stray*) const { return true; }
  bool IsOn(int cpu, Stray* stray) const {
    const std::vector<uint64_t>& astray = made_up.rounds_astray[side];
    const bool elsewhere = std::find(astray.begin(), astray.end(), looks++) != astray.end();
    return stray->Look(cpu, elsewhere ? cpu + 1 : cpu);
  }
  mutable uint64_t looks = 0;
};

Outcome CheckMadeUpCounter(CounterMethod) {
  return made_up.fails[side] ? Outcome::Failed(Status::kCounterDisabled) : Outcome{};
}

// Unpinned: the games here are the same on any CPUs.
Outcome RunTwo(const int*, size_t count, PinnedWork work, void* context) {
  if (count != 2) return Outcome::Failed(Status::kBadArgument);
  const auto run = [=](size_t thread) {
    side = thread;
    made_up.threads++;
    work(thread, context);
  };
  std::thread there(run, size_t{1});
  std::thread here(run, size_t{0});
  here.join();
  there.join();
  return {};
}

}  // namespace
}  // namespace latchclock
#define FencedRdtsc MadeUpRdtsc
#define CheckCounter CheckMadeUpCounter
#define CurrentCpu MadeUpCpu
#define RunPinned RunTwo
#define RunPingPong RunPingPongOfMadeUpCounters
#include "../core/ping_pong.cc"
#undef FencedRdtsc
#undef CheckCounter
#undef CurrentCpu
#undef RunPinned
#undef RunPingPong

namespace latchclock::test {
namespace {

constexpr uint64_t kForEver = ~uint64_t{0};

// Each round on made-up counters takes three readings: here, there, here; one comes before all rounds.
TEST("a made-up offset comes out between bounds that are as far apart as the round trip") {
  for (const int64_t offset : {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{1'000'000'000'000},
                               int64_t{-1'000'000'000'000}, INT64_MAX / 2, INT64_MIN / 2}) {
    for (const uint64_t start : {uint64_t{0}, uint64_t{1} << 62, kForEver - 20}) {  // the last one wraps
      MakeUp({7}, start, offset);
      CounterOffset bounds;
      CHECK(RunPingPongOfMadeUpCounters(0, 1, 5, kForEver, &bounds).ok());
      CHECK_EQ(bounds.lowest, offset - 7);
      CHECK_EQ(bounds.highest, offset + 7);
      CHECK_EQ(bounds.rounds, 5);
      CHECK_EQ(bounds.best_round_trip, 14);
      CHECK_EQ(made_up.readings.load(), 1 + 3 * 5);
    }
  }
}

TEST("the tightest bounds of all rounds are kept, the lower of one round and the upper of another") {
  // A round: before, the way there, the way back. First 50 and 4, then 20 and 20, then 3 and 60.
  MakeUp({1, 1, 50, 4, 1, 20, 20, 1, 3, 60}, 0, 1000);
  CounterOffset bounds;
  CHECK(RunPingPongOfMadeUpCounters(0, 1, 3, kForEver, &bounds).ok());
  CHECK_EQ(bounds.highest, 1000 + 3);
  CHECK_EQ(bounds.lowest, 1000 - 4);
  CHECK_EQ(bounds.best_round_trip, 40);
  CHECK_EQ(bounds.rounds, 3);
}

TEST("an offset that does not stay the same leaves no value between the bounds") {
  for (const int64_t drift : {100, -100}) {
    MakeUp({10}, 0, 0, drift);
    CounterOffset bounds;
    CHECK(RunPingPongOfMadeUpCounters(0, 1, 2, kForEver, &bounds).ok());
    CHECK(bounds.lowest > bounds.highest);
    CHECK_EQ(bounds.lowest, std::max<int64_t>(drift, 0) - 10);
    CHECK_EQ(bounds.highest, std::min<int64_t>(drift, 0) + 10);
  }
}

TEST("a round in which a side was not on its CPU is not counted, and its bounds are not taken") {
  for (const size_t which : {size_t{0}, size_t{1}}) {
    // The second round is the tightest one.
    MakeUp({1, 1, 50, 50, 1, 2, 2, 1, 60, 60}, 0, 1000);
    made_up.rounds_astray[which] = {1};
    CounterOffset bounds;
    CHECK(RunPingPongOfMadeUpCounters(4, 6, 3, kForEver, &bounds).ok());
    CHECK_EQ(bounds.rounds, 2);
    CHECK_EQ(bounds.lowest, 1000 - 50);
    CHECK_EQ(bounds.highest, 1000 + 50);
    CHECK_EQ(bounds.best_round_trip, 100);
    CHECK_EQ(bounds.stray.astray, 1);
    CHECK_EQ(bounds.stray.asked, which == 0 ? 4 : 6);
    CHECK_EQ(bounds.stray.seen, which == 0 ? 5 : 7);
  }
}

TEST("an affinity that is accepted and ignored is seen: no round counts between threads on one CPU") {
  const std::vector<int> cpus = AllowedCpus();
  if (cpus.size() < 2) SKIP("one CPU only: run where this process may use two");
  bool filtered = false;
  CounterOffset bounds;
  RunInThread([&] {
    // Both threads then run where this one may: on the first CPU.
    CHECK(SetCpuAffinity({cpus[0]}).ok());
    filtered = AnswerInKernelsPlace(SYS_sched_setaffinity, 0);
    if (filtered) CHECK(RunPingPong(cpus[0], cpus[1], 3, kForEver, &bounds).ok());
  });
  if (!filtered) SKIP("seccomp filters are not allowed here");
  CHECK_EQ(bounds.rounds, 0);
  CHECK(bounds.stray.astray > 0);
  CHECK_EQ(bounds.stray.asked, cpus[1]);
  CHECK_EQ(bounds.stray.seen, cpus[0]);
}

TEST("no round begins when more than the cycles given have passed") {
  struct {
    uint64_t most_cycles, rounds;
  } const cases[] = {{0, 0}, {9, 0}, {10, 1}, {39, 1}, {40, 2}, {69, 2}, {70, 3}, {100, 4}, {1000, 4}};
  for (const auto& [most_cycles, rounds] : cases) {
    MakeUp({10}, 500, 3);
    CounterOffset bounds;
    CHECK(RunPingPongOfMadeUpCounters(0, 1, 4, most_cycles, &bounds).ok());
    CHECK_EQ(bounds.rounds, rounds);
    if (rounds > 0) continue;
    CHECK_EQ(bounds.lowest, INT64_MIN);
    CHECK_EQ(bounds.highest, INT64_MAX);
    CHECK_EQ(bounds.best_round_trip, kForEver);
  }
}

TEST("a side that may not read its counter says so, and the other does not wait for it") {
  for (const size_t failing : {size_t{0}, size_t{1}}) {
    MakeUp({1}, 0, 0);
    made_up.fails[failing] = true;
    CounterOffset bounds;
    CHECK_EQ(RunPingPongOfMadeUpCounters(0, 1, kForEver, kForEver, &bounds).status, Status::kCounterDisabled);
    CHECK_EQ(bounds.rounds, 0);
  }
}

TEST("no rounds asked, none played") {
  MakeUp({1}, 0, 0);
  CounterOffset bounds;
  CHECK(RunPingPongOfMadeUpCounters(0, 1, 0, kForEver, &bounds).ok());
  CHECK_EQ(bounds.rounds, 0);
  CHECK_EQ(made_up.threads.load(), 2);
}

TEST("between any two CPUs the bounds hold 0, in order, after as many rounds as asked") {
  const std::vector<int> cpus = AllowedCpus();
  if (cpus.size() < 2) SKIP("one CPU only: run where this process may use two");
  for (const auto& [here, there] : {std::pair{cpus[0], cpus[1]}, std::pair{cpus[1], cpus[0]}}) {
    for (const uint64_t rounds : {1, 2, 1000}) {
      CounterOffset bounds;
      CHECK(RunPingPong(here, there, rounds, kForEver, &bounds).ok());
      CHECK_EQ(bounds.rounds, rounds);
      CHECK(bounds.lowest <= bounds.highest);
      CHECK(bounds.lowest <= 0 && bounds.highest >= 0);
      CHECK(bounds.best_round_trip > 0);
      CHECK(static_cast<uint64_t>(bounds.highest) - static_cast<uint64_t>(bounds.lowest) <=
            bounds.best_round_trip);
    }
  }
}

TEST("a game without end is ended by its time") {
  const std::vector<int> cpus = AllowedCpus();
  constexpr uint64_t kMostCycles = 20'000'000;
  CounterOffset bounds;
  const uint64_t before = FencedRdtsc();
  CHECK(RunPingPong(cpus.front(), cpus.back(), kForEver / 4, kMostCycles, &bounds).ok());
  CHECK(FencedRdtsc() - before > kMostCycles);
  CHECK(bounds.rounds < kForEver / 4);
}

TEST("two sides on one CPU get to the end too, a round for every turn of the scheduler") {
  const int cpu = AllowedCpus().front();
  CounterOffset bounds;
  CHECK(RunPingPong(cpu, cpu, 3, kForEver, &bounds).ok());
  CHECK_EQ(bounds.rounds, 3);
  CHECK(bounds.lowest <= 0 && bounds.highest >= 0);
}

TEST("a CPU that is not there is an error on either side, and nobody waits") {
  const int good = AllowedCpus().front();
  for (const auto& [here, there] : {std::pair{good, 9999}, std::pair{9999, good}, std::pair{9999, 9998},
                                    std::pair{good, -1}, std::pair{-1, good}}) {
    CounterOffset bounds;
    const Outcome outcome = RunPingPong(here, there, kForEver, kForEver, &bounds);
    CHECK_EQ(outcome.status, Status::kSystemCall);
    CHECK_EQ(outcome.error_number, EINVAL);
    CHECK_EQ(std::string(outcome.call), "sched_setaffinity");
    CHECK_EQ(bounds.rounds, 0);
    CHECK_EQ(bounds.best_round_trip, kForEver);
  }
}

TEST("ping-pong where the counter is disabled is refused and not run into") {
  if (kSanitized) SKIP("sanitizers read the counter themselves where a thread starts");
  const std::vector<int> cpus = AllowedCpus();
  bool disabled = false;
  Outcome outcome;
  CounterOffset bounds;
  RunInThread([&] {
    // Threads inherit it.
    disabled = prctl(PR_SET_TSC, PR_TSC_SIGSEGV) == 0;
    if (disabled) outcome = RunPingPong(cpus.front(), cpus.back(), 10, kForEver, &bounds);
    prctl(PR_SET_TSC, PR_TSC_ENABLE);
  });
  if (!disabled) SKIP("this kernel cannot disable the counter");
  CHECK_EQ(outcome.status, Status::kCounterDisabled);
  CHECK_EQ(bounds.rounds, 0);
}

}  // namespace
}  // namespace latchclock::test
