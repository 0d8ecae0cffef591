#include "../core/lock_step.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "../core/cpu_affinity.h"
#include "../core/pinned_threads.h"
#include "../core/reading.h"
#include "check.h"
#include "support.h"

// The module once more under another name, on readings and a counter made up here. It reads only in its turn,
// so that the readings come in the order of the script whichever thread takes them; and the words below are
// plain, so that ThreadSanitizer sees a turn that is not alone.
namespace latchclock {
namespace {

struct ScriptedReading {
  int64_t value;
  uint32_t seq;  // what the page's count becomes during the reading
};

struct {
  std::vector<ScriptedReading> readings;
  test::FakePage* page;
  size_t next;
  size_t failing;  // the reading that fails
  // What the readings were seen to do.
  std::vector<std::thread::id> readers;
  // The counter that limits the time: so many cycles from one reading of it to the next.
  std::atomic<uint64_t> cycles;
  uint64_t step;
} script;

Outcome ReadScript(const ClockRequest&, PageReading*, int64_t* value, uint64_t*) {
  const size_t index = script.next++;
  script.readers.push_back(std::this_thread::get_id());
  if (index == script.failing) return Outcome::FailedCall("clock_gettime", EIO);
  const ScriptedReading& reading = script.readings[std::min(index, script.readings.size() - 1)];
  script.page->Store<uint32_t>(test::kSeqOffset, reading.seq);
  *value = reading.value;
  return {};
}

uint64_t ScriptedRdtsc() { return script.cycles.fetch_add(script.step); }

}  // namespace
}  // namespace latchclock
#define Read ReadScript
#define FencedRdtsc ScriptedRdtsc
#define RunLockStep RunScriptedLockStep
#include "../core/lock_step.cc"
#undef Read
#undef FencedRdtsc
#undef RunLockStep

namespace latchclock::test {
namespace {

constexpr uint64_t kForEver = ~uint64_t{0};
constexpr size_t kNoReading = ~size_t{0};
constexpr uint32_t kFirstSeq = 6;  // the count of the page before all scripted readings

LockStepRequest Request(ReadingSource source, const std::vector<int>& cpus, uint64_t reads) {
  LockStepRequest request = {};
  request.clock.source = source;
  request.clock.id = CLOCK_MONOTONIC;
  request.clock.clock = ClockAt(1);
  request.cpus = cpus.data();
  request.cpu_count = cpus.size();
  request.reads = reads;
  request.most_cycles = kForEver;
  return request;
}

// A clock of a page in which a reading is a copy of two words, without a counter.
ClockRequest CoarseClockOf(const FakePage& page) {
  ClockRequest clock = {};
  clock.source = ReadingSource::kPage;
  clock.page = page.bytes();
  clock.clock = ClockAt(1);
  clock.clock.coarse = true;
  return clock;
}

// Runs a script with each thread taking its equal part of the readings.
struct ScriptOptions {
  size_t threads = 1;
  size_t failing = kNoReading;
  uint64_t step = 0;  // of the counter that limits the time
  uint64_t most_cycles = kForEver;
};

Outcome RunScript(const std::vector<ScriptedReading>& readings, const ScriptOptions& options,
                  LockStepTally* tally) {
  FakePage page;
  page.Store<uint32_t>(kSeqOffset, kFirstSeq);
  script.readings = readings;
  script.page = &page;
  script.next = 0;
  script.failing = options.failing;
  script.readers.clear();
  script.cycles = 0;
  script.step = options.step;
  const std::vector<int> allowed = AllowedCpus();
  std::vector<int> cpus;
  for (size_t i = 0; i < options.threads; i++) cpus.push_back(allowed[i % allowed.size()]);
  LockStepRequest request = Request(ReadingSource::kSyscall, cpus, readings.size() / options.threads);
  request.most_cycles = options.most_cycles;
  request.clock.page = page.bytes();
  return RunScriptedLockStep(request, tally);
}

// ---- Made-up readings

TEST("a step back counts with its size, and the largest is kept") {
  LockStepTally tally;
  CHECK(RunScript({{100, 6}, {90, 6}, {95, 6}, {65, 6}, {70, 6}, {69, 6}}, {}, &tally).ok());
  CHECK_EQ(tally.reads, 6);
  CHECK_EQ(tally.backwards, 3);
  CHECK_EQ(tally.worst, 30);
  CHECK_EQ(tally.backwards_across_update, 0);
  CHECK_EQ(tally.worst_across_update, 0);
  CHECK_EQ(tally.smallest_step, 5);
  CHECK_EQ(tally.hand_overs, 0);
}

TEST("each reading is compared with the last one, and not with the highest") {
  LockStepTally tally;
  CHECK(RunScript({{100, 6}, {10, 6}, {20, 6}, {30, 6}}, {}, &tally).ok());
  CHECK_EQ(tally.backwards, 1);
  CHECK_EQ(tally.worst, 90);
  CHECK_EQ(tally.smallest_step, 10);
}

TEST("equal readings are neither a step back nor a step forward, and the first is no step") {
  LockStepTally tally;
  CHECK(RunScript({{5, 6}, {5, 6}, {5, 6}}, {}, &tally).ok());
  CHECK_EQ(tally.backwards, 0);
  CHECK_EQ(tally.smallest_step, kForEver);
}

TEST("the smallest step forward is kept, at any place, below zero too") {
  LockStepTally tally;
  CHECK(RunScript({{-50, 6}, {-47, 6}, {-45, 6}, {-41, 6}}, {}, &tally).ok());
  CHECK_EQ(tally.smallest_step, 2);
  LockStepTally across_zero;
  CHECK(RunScript({{-4, 6}, {3, 6}}, {}, &across_zero).ok());
  CHECK_EQ(across_zero.smallest_step, 7);
}

TEST("the largest steps that there are do not overflow") {
  LockStepTally tally;
  CHECK(RunScript({{INT64_MIN + 1, 6}, {INT64_MAX, 6}, {INT64_MIN + 1, 6}}, {}, &tally).ok());
  CHECK_EQ(tally.smallest_step, kForEver - 1);
  CHECK_EQ(tally.backwards, 1);
  CHECK_EQ(tally.worst, kForEver - 1);
}

TEST("a step back is across an update if the page changed in either of its two readings") {
  struct {
    std::vector<ScriptedReading> readings;
    bool across;
  } const cases[] = {
      {{{9, 6}, {5, 6}}, false},
      {{{9, 8}, {5, 8}}, true},                   // changed in the first
      {{{9, 6}, {5, 8}}, true},                   // changed in the second
      {{{9, 8}, {5, 10}}, true},                  // in both
      {{{1, 8}, {9, 8}, {5, 8}}, false},          // before the two
      {{{1, 6}, {8, 8}, {9, 8}, {5, 8}}, false},  // before the two
      {{{1, 8}, {9, 10}, {5, 10}}, true},
      {{{1, 7}, {9, 7}, {5, 7}}, true},  // being written all along
      {{{9, 7}, {5, 8}}, true},
      {{{9, 6}, {5, 7}}, true},
      {{{1, 0}, {9, 0}, {5, 0}}, false},  // a count of zero is one like others
  };
  for (const auto& [readings, across] : cases) {
    LockStepTally tally;
    CHECK(RunScript(readings, {}, &tally).ok());
    CHECK_EQ(tally.backwards, across ? 0 : 1);
    CHECK_EQ(tally.backwards_across_update, across ? 1 : 0);
    CHECK_EQ(tally.worst, across ? 0 : 4);
    CHECK_EQ(tally.worst_across_update, across ? 4 : 0);
  }
}

TEST("whichever threads take the readings, the sum is that of the script") {
  for (const size_t threads : {size_t{1}, size_t{2}, size_t{3}}) {
    constexpr size_t kReads = 600;
    Random random(threads);
    std::vector<ScriptedReading> readings;
    uint32_t seq = kFirstSeq;
    LockStepTally expected;
    expected.reads = kReads;
    std::vector<uint32_t> seqs = {seq, seq};  // before the reading before, before this one
    for (size_t i = 0; i < kReads; i++) {
      if (random.Below(3) == 0) seq++;
      readings.push_back({static_cast<int64_t>(random.Below(1000)), seq});
      seqs.push_back(seq);
      if (i == 0) continue;
      const int64_t step = readings[i].value - readings[i - 1].value;
      const bool across = seqs[i] != seqs[i + 2] || seq % 2 != 0;
      const uint64_t size = static_cast<uint64_t>(step < 0 ? -step : step);
      uint64_t& worst = across ? expected.worst_across_update : expected.worst;
      if (step > 0) expected.smallest_step = std::min(expected.smallest_step, size);
      if (step >= 0) continue;
      ++(across ? expected.backwards_across_update : expected.backwards);
      worst = std::max(worst, size);
    }
    LockStepTally tally;
    CHECK(RunScript(readings, {.threads = threads}, &tally).ok());
    CHECK_EQ(script.next, kReads);
    CHECK_EQ(tally.reads, expected.reads);
    CHECK_EQ(tally.backwards, expected.backwards);
    CHECK_EQ(tally.worst, expected.worst);
    CHECK_EQ(tally.backwards_across_update, expected.backwards_across_update);
    CHECK_EQ(tally.worst_across_update, expected.worst_across_update);
    CHECK_EQ(tally.smallest_step, expected.smallest_step);
    uint64_t hand_overs = 0;
    for (size_t i = 1; i < script.readers.size(); i++) {
      hand_overs += script.readers[i] != script.readers[i - 1];
    }
    CHECK_EQ(tally.hand_overs, hand_overs);
    CHECK(threads == 1 || hand_overs > 0);
    if (AllowedCpus().size() < threads) break;
  }
}

TEST("a reading that fails is the outcome, and gives the turn on") {
  for (const size_t failing : {size_t{0}, size_t{1}, size_t{13}, size_t{199}}) {
    LockStepTally tally;
    const Outcome outcome =
        RunScript(std::vector<ScriptedReading>(200, {1, 6}), {.threads = 2, .failing = failing}, &tally);
    CHECK_EQ(outcome.status, Status::kSystemCall);
    CHECK_EQ(outcome.error_number, EIO);
    CHECK_EQ(std::string(outcome.call), "clock_gettime");
    // The other thread took all of its part.
    CHECK(script.next >= 101 && script.next <= 200);
  }
}

TEST("no turn begins when more than the cycles given have passed") {
  // One look at the counter before all turns, and one before each.
  struct {
    uint64_t most_cycles, reads;
  } const cases[] = {{0, 0}, {9, 0}, {10, 4}, {19, 4}, {20, 8}, {39, 12}, {250, 100}};
  for (const auto& [most_cycles, reads] : cases) {
    LockStepTally tally;
    const std::vector<ScriptedReading> readings(100, {1, 6});
    CHECK(RunScript(readings, {.step = 10, .most_cycles = most_cycles}, &tally).ok());
    CHECK_EQ(tally.reads, reads);
  }
}

// ---- The real counter and clocks

TEST("in lock step the counter goes back on no CPU, and turns are handed over") {
  const std::vector<int> cpus = AllowedCpus();
  if (!CheckCounter(CounterMethod::kFencedRdtsc).ok()) SKIP("the counter is disabled");
  if (cpus.size() < 2) SKIP("one CPU only: run where this process may use two");
  const std::vector<int> two = {cpus[0], cpus[1]};
  // Where other work has a CPU, its thread may come when the other one has ended: one run in which both were
  // there is enough. Then nearly every turn is handed over; under a lock that knows no order, half at best.
  bool handed_over = false;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!handed_over && std::chrono::steady_clock::now() < end) {
    constexpr uint64_t kReads = 100'000;
    LockStepTally tally;
    if (!CHECK(RunLockStep(Request(ReadingSource::kCounter, two, kReads), &tally).ok())) return;
    CHECK_EQ(tally.reads, 2 * kReads);
    CHECK_EQ(tally.backwards + tally.backwards_across_update, 0);
    CHECK_EQ(tally.worst + tally.worst_across_update, 0);
    CHECK(tally.smallest_step > 0 && tally.smallest_step < kForEver);
    const uint64_t turns = tally.reads / 4;
    handed_over = tally.hand_overs > turns / 4 * 3;
  }
  CHECK(handed_over);
}

TEST("an affinity that is accepted and ignored is seen: no hand-over counts between threads on one CPU") {
  const std::vector<int> cpus = AllowedCpus();
  if (cpus.size() < 2) SKIP("one CPU only: run where this process may use two");
  bool filtered = false;
  LockStepTally tally;
  RunInThread([&] {
    // All threads then run where this one may: on the first CPU.
    CHECK(SetCpuAffinity({cpus[0]}).ok());
    filtered = AnswerInKernelsPlace(SYS_sched_setaffinity, 0);
    const std::vector<int> two = {cpus[0], cpus[1]};
    if (filtered) CHECK(RunLockStep(Request(ReadingSource::kCounter, two, 20'000), &tally).ok());
  });
  if (!filtered) SKIP("seccomp filters are not allowed here");
  CHECK_EQ(tally.reads, 40'000);
  CHECK_EQ(tally.hand_overs, 0);
  CHECK(tally.stray.astray > 0);
  CHECK_EQ(tally.stray.asked, cpus[1]);
  CHECK_EQ(tally.stray.seen, cpus[0]);
}

TEST("threads on their CPUs are never found astray, however often they look") {
  const std::vector<int> cpus = AllowedCpus();
  LockStepTally tally;
  CHECK(RunLockStep(Request(ReadingSource::kCounter, cpus, 2'000), &tally).ok());
  // A look a turn.
  CHECK(tally.stray.looks >= tally.reads / 4);
  CHECK_EQ(tally.stray.astray, 0);
}

TEST("in lock step no path of CLOCK_MONOTONIC_RAW goes back") {
  for (const ReadingSource source : {ReadingSource::kVdso, ReadingSource::kLibc, ReadingSource::kSyscall}) {
    if (!CheckClockPath(static_cast<ClockPath>(source)).ok()) continue;
    const std::vector<int> cpus = AllowedCpus();
    LockStepRequest request = Request(source, cpus, 5000);
    request.clock.id = CLOCK_MONOTONIC_RAW;
    LockStepTally tally;
    CHECK(RunLockStep(request, &tally).ok());
    CHECK_EQ(tally.reads, 5000 * cpus.size());
    CHECK_EQ(tally.backwards, 0);
  }
}

TEST("every thread reads as often as asked, whether or not its turns come out even") {
  const std::vector<int> cpus = AllowedCpus();
  for (const std::vector<int>& set : {std::vector<int>{cpus.front()}, cpus}) {
    for (const uint64_t reads : {0, 1, 2, 3, 4, 5, 7, 8, 1001}) {
      LockStepTally tally;
      CHECK(RunLockStep(Request(ReadingSource::kCounter, set, reads), &tally).ok());
      CHECK_EQ(tally.reads, reads * set.size());
      CHECK(tally.hand_overs < std::max<uint64_t>(tally.reads, 1));
      if (set.size() == 1) CHECK_EQ(tally.hand_overs, 0);
    }
  }
}

TEST("a run without end is ended by its time") {
  const std::vector<int> cpus = AllowedCpus();
  LockStepRequest request = Request(ReadingSource::kCounter, cpus, kForEver);
  request.most_cycles = 20'000'000;
  LockStepTally tally;
  const uint64_t before = FencedRdtsc();
  CHECK(RunLockStep(request, &tally).ok());
  CHECK(FencedRdtsc() - before > request.most_cycles);
  CHECK(tally.reads < kForEver);
  CHECK_EQ(tally.backwards, 0);
}

TEST("two threads on one CPU get to the end too") {
  const std::vector<int> cpus(2, AllowedCpus().front());
  LockStepTally tally;
  CHECK(RunLockStep(Request(ReadingSource::kCounter, cpus, 20), &tally).ok());
  CHECK_EQ(tally.reads, 40);
  CHECK_EQ(tally.backwards, 0);
}

// ---- A page in plain memory

TEST("a clock that is set back under the same count is seen, with the exact size of the step") {
  const std::vector<int> cpus = AllowedCpus();
  FakePage page;
  LockStepRequest request = Request(ReadingSource::kPage, cpus, 2000);
  request.clock = CoarseClockOf(page);
  page.Store<uint32_t>(kSeqOffset, 6);
  page.Store<uint64_t>(request.clock.clock.nanoseconds, 1000);
  const uint32_t word = request.clock.clock.nanoseconds;
  Writer writer([&page, word, n = 0]() mutable {
    page.Store<uint64_t>(word, n++ % 2 == 0 ? 400 : 1000);
    for (int i = 0; i < 50; i++) _mm_pause();
  });
  uint64_t backwards = 0;
  // The writer may have to wait for a CPU.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (backwards == 0 && std::chrono::steady_clock::now() < end) {
    LockStepTally tally;
    if (!CHECK(RunLockStep(request, &tally).ok())) break;
    CHECK_EQ(tally.worst, tally.backwards > 0 ? 600 : 0);
    CHECK(tally.smallest_step == 600 || tally.smallest_step == kForEver);
    CHECK_EQ(tally.backwards_across_update, 0);
    backwards = tally.backwards;
  }
  CHECK(backwards > 0);
}

TEST("a clock that an update sets back counts as across the update only, and its words are not mixed") {
  const std::vector<int> cpus = AllowedCpus();
  FakePage page;
  LockStepRequest request = Request(ReadingSource::kPage, cpus, 2000);
  request.clock = CoarseClockOf(page);
  const PageClock clock = request.clock.clock;
  page.Store<int64_t>(clock.seconds, 5);
  page.Store<uint64_t>(clock.nanoseconds, 400);
  Writer writer([&page, clock, n = 0u]() mutable {
    n++;
    page.Store<uint32_t>(clock.seq, 2 * n - 1);
    // Pairs with the reader's acquire fence: a reader of any word below finds this count, or a later one.
    std::atomic_thread_fence(std::memory_order_release);
    page.Store<int64_t>(clock.seconds, n % 2 == 0 ? 5 : 3);
    page.Store<uint64_t>(clock.nanoseconds, n % 2 == 0 ? 400 : 700);
    page.Store<uint32_t>(clock.seq, 2 * n, std::memory_order_release);
    for (int i = 0; i < 50; i++) _mm_pause();
  });
  uint64_t backwards = 0;
  // The writer may have to wait for a CPU.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (backwards == 0 && std::chrono::steady_clock::now() < end) {
    LockStepTally tally;
    if (!CHECK(RunLockStep(request, &tally).ok())) break;
    CHECK_EQ(tally.backwards, 0);
    CHECK_EQ(tally.worst, 0);
    CHECK_EQ(tally.worst_across_update, tally.backwards_across_update > 0 ? 1'999'999'700 : 0);
    backwards = tally.backwards_across_update;
  }
  CHECK(backwards > 0);
}

TEST("a page that stands still shows no step at all") {
  const std::vector<int> cpus = AllowedCpus();
  FakePage page;
  LockStepRequest request = Request(ReadingSource::kPage, cpus, 100);
  request.clock = CoarseClockOf(page);
  LockStepTally tally;
  CHECK(RunLockStep(request, &tally).ok());
  CHECK_EQ(tally.reads, 100 * cpus.size());
  CHECK_EQ(tally.backwards + tally.backwards_across_update, 0);
  CHECK_EQ(tally.smallest_step, kForEver);
}

// ---- Refusals

TEST("a clock that fails ends the run with the errno of its system call") {
  const std::vector<int> cpus = AllowedCpus();
  for (const ReadingSource source : {ReadingSource::kVdso, ReadingSource::kLibc, ReadingSource::kSyscall}) {
    if (!CheckClockPath(static_cast<ClockPath>(source)).ok()) continue;
    LockStepRequest request = Request(source, cpus, kForEver);
    request.clock.id = 9999;
    LockStepTally tally;
    const Outcome outcome = RunLockStep(request, &tally);
    CHECK_EQ(outcome.status, Status::kSystemCall);
    CHECK_EQ(outcome.error_number, EINVAL);
    CHECK_EQ(std::string(outcome.call), "clock_gettime");
    CHECK_EQ(tally.reads, 0);
  }
}

TEST("a page that is missing, or whose words do not lie inside it, is refused") {
  const std::vector<int> cpus = AllowedCpus();
  FakePage page;
  std::vector<LockStepRequest> bad(3, Request(ReadingSource::kPage, cpus, 10));
  bad[1].clock.page = page.bytes();
  bad[1].clock.clock.seconds = kPageSize;
  bad[2].clock.source = ReadingSource::kSyscall;
  bad[2].clock.page = page.bytes();
  bad[2].clock.clock.seq = kPageSize;
  for (const LockStepRequest& request : bad) {
    LockStepTally tally;
    CHECK_EQ(RunLockStep(request, &tally).status, Status::kBadArgument);
    CHECK_EQ(tally.reads, 0);
  }
}

TEST("a CPU that is not there is an error wherever it stands, and nobody waits for its thread") {
  const int good = AllowedCpus().front();
  for (const std::vector<int>& cpus : {std::vector<int>{9999}, {good, 9999}, {9999, good}, {good, -1}}) {
    LockStepTally tally;
    const Outcome outcome = RunLockStep(Request(ReadingSource::kCounter, cpus, kForEver), &tally);
    CHECK_EQ(outcome.status, Status::kSystemCall);
    CHECK_EQ(outcome.error_number, EINVAL);
    CHECK_EQ(std::string(outcome.call), "sched_setaffinity");
    CHECK_EQ(tally.reads, 0);
  }
}

TEST("lock step on no CPU takes no reading") {
  LockStepTally tally;
  RunLockStep(Request(ReadingSource::kCounter, {}, 10), &tally);
  CHECK_EQ(tally.reads, 0);
  CHECK_EQ(tally.smallest_step, kForEver);
}

TEST("lock step where the counter is disabled is refused and not run into, whatever is read") {
  if (kSanitized) SKIP("sanitizers read the counter themselves where a thread starts");
  const std::vector<int> cpus = AllowedCpus();
  bool disabled = false;
  std::vector<Outcome> outcomes;
  LockStepTally tally;
  RunInThread([&] {
    // Threads inherit it.
    disabled = prctl(PR_SET_TSC, PR_TSC_SIGSEGV) == 0;
    if (!disabled) return;
    for (const ReadingSource source :
         {ReadingSource::kCounter, ReadingSource::kSyscall, ReadingSource::kLibc}) {
      outcomes.push_back(RunLockStep(Request(source, cpus, 10), &tally));
    }
    prctl(PR_SET_TSC, PR_TSC_ENABLE);
  });
  if (!disabled) SKIP("this kernel cannot disable the counter");
  for (const Outcome& outcome : outcomes) CHECK_EQ(outcome.status, Status::kCounterDisabled);
  CHECK_EQ(tally.reads, 0);
}

}  // namespace
}  // namespace latchclock::test
