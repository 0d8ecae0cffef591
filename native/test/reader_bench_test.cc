#include "../core/reader_bench.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

using enum ReaderProtocol;

constexpr ReaderProtocol kSound[] = {kSeqlock, kLatch, kLatchWindow, kTwoWindow};

uint64_t OneRun(const BenchRequest& request) {
  BenchTiming timing;
  CHECK(TimeReads(request, &timing).ok());
  return timing.cycles;
}

// The least of several runs: what else the machine does only makes one longer.
uint64_t LeastCycles(const BenchRequest& request) {
  uint64_t least = ~uint64_t{0};
  for (int i = 0; i < 7; i++) least = std::min(least, OneRun(request));
  return least;
}

std::vector<ReaderKind> TimedKinds() {
  std::vector<ReaderKind> kinds;
  for (const ReaderProtocol protocol : kSound) {
    for (const ReaderGeneration generation : {ReaderGeneration::kNone, ReaderGeneration::kTagged}) {
      for (const bool wide : {false, true}) kinds.push_back({protocol, generation, wide});
    }
  }
  return kinds;
}

TEST("every subject takes some time, chained or not") {
  for (uint32_t subject = 0; subject < kBenchSubjects; subject++) {
    for (const bool chained : {false, true}) {
      BenchRequest request;
      request.subject = static_cast<BenchSubject>(subject);
      request.clock.id = CLOCK_MONOTONIC;
      request.chained = chained;
      request.reads = 2'000;
      BenchTiming timing;
      const Outcome outcome = TimeReads(request, &timing);
      if (request.subject == BenchSubject::kKernelPage) {
        CHECK_EQ(outcome.status, Status::kBadArgument);  // there is none in the request
        continue;
      }
      if (outcome.status == Status::kCounterUnsupported || outcome.status == Status::kNoVdso) continue;
      CHECK(outcome.ok());
      // A step of the counter is tens of cycles; so many reads take more, and so many turns of a loop some.
      CHECK(timing.cycles > (request.subject == BenchSubject::kEmpty ? 100 : 2'000));
    }
  }
}

TEST(
    "every sound reader can be timed, chained or not, and takes longer than the bare counter that it reads") {
  constexpr uint32_t kReads = 20'000;
  for (const bool chained : {false, true}) {
    for (const ReaderKind& kind : TimedKinds()) {
      BenchRequest bare;
      bare.subject = BenchSubject::kRdtsc;
      BenchRequest request;
      request.reader = kind;
      bare.chained = request.chained = chained;
      bare.reads = request.reads = kReads;
      // In turns, and more of them where other work has the machine.
      uint64_t least_bare = ~uint64_t{0}, least = ~uint64_t{0};
      for (int i = 0; i < 7 || (i < 60 && least <= least_bare); i++) {
        least_bare = std::min(least_bare, OneRun(bare));
        least = std::min(least, OneRun(request));
      }
      CHECK(least > least_bare);
    }
  }
}

TEST("more reads take longer: the loop is not left out") {
  for (const ReaderProtocol protocol : kSound) {
    BenchRequest request;
    request.reader.protocol = protocol;
    request.reads = 1'000;
    const uint64_t few = LeastCycles(request);
    request.reads = 64'000;
    CHECK(LeastCycles(request) > 8 * few);
    request.reads = 0;
    CHECK(LeastCycles(request) < few);
  }
}

TEST("a literal reader is not timed: on a quiet page it has no value") {
  BenchRequest untagged;
  untagged.reader.generation = ReaderGeneration::kUntagged;
  untagged.reads = 10;
  BenchTiming untimed;
  CHECK_EQ(TimeReads(untagged, &untimed).status, Status::kBadArgument);
  for (const ReaderProtocol protocol : {kLiteralLatchWindow, kLiteralTwoWindow}) {
    BenchRequest request;
    request.reader.protocol = protocol;
    request.reads = 10;
    BenchTiming timing;
    CHECK_EQ(TimeReads(request, &timing).status, Status::kBadArgument);
    CHECK_EQ(timing.cycles, 0);
  }
}

constexpr BenchSubject kMoving[] = {BenchSubject::kRdtsc, BenchSubject::kFencedRdtsc, BenchSubject::kReader,
                                    BenchSubject::kReadAll, BenchSubject::kSyscall};

BenchRequest Moving(BenchSubject subject) {
  BenchRequest request;
  request.subject = subject;
  request.clock.id = CLOCK_MONOTONIC;
  request.reads = 20'000;
  return request;
}

TEST("what the values of a loop sum up to shows that each was read") {
  for (const BenchSubject subject : kMoving) {
    const BenchRequest request = Moving(subject);
    BenchTiming timing;
    CHECK(TimeReads(request, &timing).ok());
    CHECK(timing.span > 0);
    // Half of the span on average: a loop that kept one value, the first or the last, would be at an end.
    CHECK(timing.advance > timing.span * request.reads / 20);
    CHECK(timing.advance < timing.span * request.reads - timing.span * request.reads / 20);
  }
}

TEST("a clock that the kernel does not have is refused with its errno") {
  for (const BenchSubject subject : {BenchSubject::kVdso, BenchSubject::kLibc, BenchSubject::kSyscall}) {
    BenchRequest request = Moving(subject);
    request.clock.id = 1'000;
    BenchTiming timing;
    const Outcome outcome = TimeReads(request, &timing);
    if (outcome.status == Status::kNoVdso) continue;
    CHECK_EQ(outcome.status, Status::kSystemCall);
    CHECK_EQ(outcome.error_number, EINVAL);
  }
}

TEST("single reads take at least what their bracket takes") {
  std::vector<int64_t> empty(2'001), read(2'001);
  CHECK(TimeSingleReads(Moving(BenchSubject::kEmpty), empty.data(), empty.size()).ok());
  CHECK(TimeSingleReads(Moving(BenchSubject::kSyscall), read.data(), read.size()).ok());
  std::sort(empty.begin(), empty.end());
  std::sort(read.begin(), read.end());
  CHECK(empty[0] > 0);
  CHECK(read[1'000] > empty[1'000]);
}

TEST("threads that read together have a timing each; one that cannot be pinned is told") {
  const std::vector<int> cpus = AllowedCpus(2);
  std::vector<BenchTiming> timings(cpus.size());
  const BenchRequest request = Moving(BenchSubject::kReader);
  CHECK(TimeReadsTogether(request, cpus.data(), cpus.size(), timings.data()).ok());
  for (const BenchTiming& timing : timings) CHECK(timing.cycles > 2'000);
  const int nowhere = 4'095;
  BenchTiming timing;
  CHECK_EQ(TimeReadsTogether(request, &nowhere, 1, &timing).status, Status::kSystemCall);
  BenchRequest unknown = request;
  unknown.reader.generation = ReaderGeneration::kUntagged;
  CHECK_EQ(TimeReadsTogether(unknown, cpus.data(), 1, &timing).status, Status::kBadArgument);
}

}  // namespace
}  // namespace latchclock::test
