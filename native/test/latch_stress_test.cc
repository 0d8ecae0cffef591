#include "../core/latch_stress.h"

#include <errno.h>
#include <sys/syscall.h>

#include <algorithm>
#include <string>
#include <vector>

#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

using enum ReaderProtocol;
using enum StressHazard;

// Some 30 ms at 2.6 GHz, and longer or shorter elsewhere: nothing here hangs on it.
constexpr uint64_t kShort = 80'000'000;
// A window that no writer of a loaded machine misses, and one that is over soon.
constexpr uint64_t kLongWindow = uint64_t{1} << 38;
constexpr uint64_t kShortWindow = uint64_t{1} << 17;

constexpr ReaderProtocol kSound[] = {kSeqlock, kLatch, kLatchWindow, kTwoWindow};

bool HasWindow(ReaderProtocol protocol) { return protocol != kSeqlock && protocol != kLatch; }

// The request; the CPUs stay the caller's.
StressRequest Request(ReaderProtocol protocol, StressHazard hazard, const std::vector<int>& cpus) {
  StressRequest request;
  request.reader.protocol = protocol;
  request.hazard = hazard;
  request.cpus = cpus.data();
  request.cpu_count = cpus.size();
  request.most_cycles = kShort;
  // A reader without a window has to be served in time to be right.
  request.window_cycles = HasWindow(protocol) ? kShortWindow : kLongWindow;
  request.stall_cycles = 1'000'000;
  request.kills = 20;
  request.seed = 1;
  return request;
}

StressTally Run(const StressRequest& request) {
  StressTally tally;
  CHECK(RunStress(request, &tally).ok());
  // Every read ended in one way.
  CHECK_EQ(tally.values + tally.out_of_window + tally.ran_out + tally.refused_otherwise, tally.reads);
  CHECK(tally.torn + tally.missing + tally.outside + tally.backwards <= tally.values);
  CHECK_EQ(tally.backwards > 0, tally.worst_back_ns > 0);
  CHECK(tally.reads > 0);
  return tally;
}

std::vector<ReaderKind> SoundKinds() {
  std::vector<ReaderKind> kinds;
  for (const ReaderProtocol protocol : kSound) {
    kinds.push_back({protocol, ReaderGeneration::kNone, true});
    kinds.push_back({protocol, ReaderGeneration::kTagged, false});
  }
  return kinds;
}

TEST("updates at the full rate leave sound readers only whole values, in the window where there is one") {
  const std::vector<int> cpus = AllowedCpus(2);
  for (const ReaderKind& kind : SoundKinds()) {
    StressRequest request = Request(kind.protocol, kUpdate, cpus);
    request.reader = kind;
    StressTally tally;
    // No reader is promised to get through beside such a writer; they do now and then, unless a sanitizer
    // makes their reads longer than the writer's updates are apart.
    for (int i = 0; i < (kSanitized ? 1 : 10) && tally.values == 0; i++) tally = Run(request);
    CHECK(kSanitized || tally.values > 0);
    CHECK(tally.updates > 0);
    CHECK_EQ(tally.torn, 0);
    CHECK_EQ(tally.missing, 0);
    CHECK_EQ(tally.outside, 0);
    CHECK_EQ(tally.refused_otherwise, 0);
    CHECK_EQ(tally.kills, 0);
    // What is ordered: the counter read in the write section, or windows that touch.
    if (kind.protocol == kSeqlock || kind.protocol == kTwoWindow) CHECK_EQ(tally.backwards, 0);
    if (!HasWindow(kind.protocol)) CHECK_EQ(tally.out_of_window, 0);
  }
}

TEST("a writer that stalls half-way leaves whole values; only seqlock's readers wait for it") {
  const std::vector<int> cpus = AllowedCpus(2);
  for (const ReaderKind& kind : SoundKinds()) {
    StressRequest request = Request(kind.protocol, kWriterStalled, cpus);
    request.reader = kind;
    const StressTally tally = Run(request);
    CHECK(tally.updates > 0);
    CHECK_EQ(tally.torn, 0);
    CHECK_EQ(tally.missing, 0);
    CHECK_EQ(tally.outside, 0);
    CHECK_EQ(tally.backwards, 0);
    CHECK_EQ(tally.refused_otherwise, 0);
    if (kind.protocol == kSeqlock) {
      // Unless another's work had the CPUs whenever the writer stalled.
      uint64_t retries = tally.retries;
      for (int i = 0; i < 20 && retries <= 1'000; i++) retries += Run(request).retries;
      CHECK(retries > 1'000);
    }
    // Each try is lost to an update, of which there are few.
    if (kind.protocol == kLatch || kind.protocol == kLatchWindow) {
      CHECK(tally.retries <= (tally.updates + 1) * cpus.size());
      CHECK_EQ(tally.ran_out, 0);
    }
  }
}

TEST("where no writer comes in time a window refuses, and without one the values are outside") {
  const std::vector<int> cpus = AllowedCpus(2);
  for (const ReaderKind& kind : SoundKinds()) {
    StressRequest request = Request(kind.protocol, kWindowExpired, cpus);
    request.reader = kind;
    request.window_cycles = kShortWindow;
    const StressTally tally = Run(request);
    CHECK_EQ(tally.torn, 0);
    CHECK_EQ(tally.missing, 0);
    CHECK_EQ(tally.backwards, 0);
    CHECK_EQ(tally.updates, 0);
    CHECK_EQ(tally.retries, 0);
    if (HasWindow(kind.protocol)) {
      CHECK_EQ(tally.outside, 0);
      CHECK(tally.out_of_window > 0);
    } else {
      CHECK(tally.outside > 0);
      CHECK_EQ(tally.out_of_window, 0);
    }
  }
}

TEST("a counter behind the base is refused by a window, and taken for the base without one") {
  const std::vector<int> cpus = AllowedCpus(2);
  for (const ReaderKind& kind : SoundKinds()) {
    StressRequest request = Request(kind.protocol, kCounterBehind, cpus);
    request.reader = kind;
    const StressTally tally = Run(request);
    CHECK_EQ(tally.torn, 0);
    CHECK_EQ(tally.missing, 0);
    CHECK_EQ(tally.backwards, 0);
    if (HasWindow(kind.protocol)) {
      CHECK_EQ(tally.values, 0);
      CHECK_EQ(tally.out_of_window, tally.reads);
    } else {
      CHECK_EQ(tally.outside, tally.reads);
    }
  }
}

TEST("a writer that is killed anywhere, and followed by the next, leaves no wrong value") {
#if defined(__SANITIZE_THREAD__)
  SKIP("ThreadSanitizer's own locks may be held in a child that is killed; the plain build kills");
#endif
  const std::vector<int> cpus = AllowedCpus(2);
  for (const ReaderProtocol protocol : kSound) {
    StressRequest request = Request(protocol, kWriterKilled, cpus);
    request.kills = protocol == kLatchWindow && !kSanitized ? 1'000 : 100;
    // As long as that takes.
    request.most_cycles = uint64_t{1} << 40;
    const StressTally tally = Run(request);
    CHECK_EQ(tally.kills, request.kills);
    CHECK(tally.values > 0);
    CHECK_EQ(tally.torn, 0);
    CHECK_EQ(tally.missing, 0);
    CHECK_EQ(tally.outside, 0);
    CHECK_EQ(tally.refused_otherwise, 0);
    if (protocol == kSeqlock || protocol == kTwoWindow) CHECK_EQ(tally.backwards, 0);
    CHECK(tally.killed_inside <= tally.kills);
    // Who writes without waiting is killed while it writes, mostly.
    if (!HasWindow(protocol) || protocol == kLatchWindow) CHECK(tally.killed_inside > 0);
    // A latch's readers are lapped by a live writer at the full rate, but never wait for a dead one: each of
    // the 200 reads after each death has an answer.
    if (protocol == kLatch || protocol == kLatchWindow) {
      CHECK(tally.values + tally.out_of_window >= uint64_t{200} * tally.kills);
    }
  }
}

TEST(
    "writers that cannot be killed are no deaths: refused with an errno it is the outcome, else nothing is "
    "counted") {
#if defined(__SANITIZE_THREAD__)
  SKIP("ThreadSanitizer's own locks may be held in a child that is killed; the plain build kills");
#endif
  const std::vector<int> cpus = AllowedCpus(2);
  for (const int error_number : {EPERM, 0}) {
    bool filtered = false;
    Outcome outcome;
    StressTally tally;
    RunInThread([&] {
      filtered = AnswerInKernelsPlace(SYS_kill, error_number);
      StressRequest request = Request(kLatchWindow, kWriterKilled, cpus);
      request.kills = 2;
      request.most_cycles = 10 * kShort;
      if (filtered) outcome = RunStress(request, &tally);
    });
    if (!filtered) SKIP("seccomp filters are not allowed here");
    CHECK_EQ(outcome.ok(), error_number == 0);
    CHECK_EQ(outcome.error_number, error_number);
    CHECK_EQ(std::string(outcome.call), error_number == 0 ? "" : "kill");
    CHECK_EQ(tally.kills, 0);
    CHECK_EQ(tally.killed_inside, 0);
    CHECK(tally.reads > 0);
  }
}

TEST("the moments of death end with the time given") {
#if defined(__SANITIZE_THREAD__)
  SKIP("ThreadSanitizer's own locks may be held in a child that is killed; the plain build kills");
#endif
  const std::vector<int> cpus = AllowedCpus(2);
  StressRequest request = Request(kLatchWindow, kWriterKilled, cpus);
  request.kills = ~uint32_t{0};
  request.most_cycles = kShort;
  const StressTally tally = Run(request);
  CHECK(tally.kills > 0);
}

TEST("literal-latch-window is caught without a value where the window has expired") {
  const std::vector<int> cpus = AllowedCpus(2);
  for (const StressHazard hazard : {kWindowExpired, kCounterBehind}) {
    const StressTally tally = Run(Request(kLiteralLatchWindow, hazard, cpus));
    CHECK(tally.missing > 0);
    CHECK_EQ(tally.out_of_window, 0);
    if (hazard == kCounterBehind) CHECK_EQ(tally.missing, tally.reads);
  }
}

TEST("literal-two-window is caught with wrong values under updates, and without any on a quiet page") {
  const std::vector<int> cpus = AllowedCpus(2);
  const StressTally busy = Run(Request(kLiteralTwoWindow, kUpdate, cpus));
  CHECK(busy.torn + busy.missing + busy.outside + busy.backwards > 0);
  const StressTally quiet = Run(Request(kLiteralTwoWindow, kWindowExpired, cpus));
  CHECK_EQ(quiet.values, 0);
  CHECK_EQ(quiet.ran_out, quiet.reads);
}

TEST("every latency has a bucket, a sixteenth wide at the most, and the buckets are in order") {
  CHECK_EQ(LatencyBucket(0), 0);
  CHECK_EQ(LatencyBucket(15), 15);
  CHECK_EQ(LatencyBucket(16), 16);
  CHECK_EQ(LatencyBucket(31), 31);
  CHECK_EQ(LatencyBucket(32), LatencyBucket(33));
  CHECK_EQ(LatencyBucket(34), LatencyBucket(32) + 1);
  CHECK_EQ(LatencyBucket(~uint64_t{0}), kLatencyBuckets - 1);
  Random random(1);
  for (int i = 0; i < 100'000; i++) {
    const uint64_t cycles = random.Next() >> random.Below(64);
    const uint64_t more = cycles + cycles / 16 + 1;
    if (more < cycles) continue;
    // Half as wide, against its latencies, at the end of a power of two.
    if (!CHECK(LatencyBucket(more - 1) - LatencyBucket(cycles) <= 2)) return;
    if (!CHECK(LatencyBucket(more) > LatencyBucket(cycles))) return;
  }
}

uint64_t SumOf(const std::vector<uint64_t>& counts) {
  uint64_t sum = 0;
  for (const uint64_t count : counts) sum += count;
  return sum;
}

TEST("latencies are those of the reads that began while the writer stood: one of a seqlock to each stall") {
  const std::vector<int> cpus = AllowedCpus(2);
  StressRequest request = Request(kSeqlock, kWriterStalled, cpus);
  request.most_cycles *= 3;
  std::vector<uint64_t> latencies(kLatencyBuckets, 0);
  request.latencies = latencies.data();
  const StressTally tally = Run(request);
  const uint64_t readers = cpus.size() > 1 ? cpus.size() - 1 : 1;
  const uint64_t counted = SumOf(latencies);
  CHECK(counted > 0);
  CHECK(counted <= readers * tally.updates);
  // Each of them waits for the rest of its stall, and most meet its beginning.
  size_t last = 0;
  uint64_t long_ones = 0;
  for (size_t bucket = 0; bucket < latencies.size(); bucket++) {
    if (latencies[bucket] > 0) last = bucket;
    if (bucket >= LatencyBucket(request.stall_cycles / 4)) long_ones += latencies[bucket];
  }
  CHECK(2 * long_ones >= counted);
  CHECK_EQ(LatencyBucket(tally.longest), last);
}

TEST("a writer that is not in a stall has no latencies counted") {
  const std::vector<int> cpus = AllowedCpus(2);
  StressRequest request = Request(kLatchWindow, kUpdate, cpus);
  std::vector<uint64_t> latencies(kLatencyBuckets, 0);
  request.latencies = latencies.data();
  const StressTally tally = Run(request);
  CHECK_EQ(SumOf(latencies), 0);
  CHECK_EQ(tally.longest, 0);
}

TEST("a seqlock's readers wait for a writer that stalls, a latch's do not") {
  const std::vector<int> cpus = AllowedCpus(2);
  StressRequest request = Request(kSeqlock, kWriterStalled, cpus);
  request.most_cycles *= 3;
  CHECK(Run(request).waited > 0);
  request.reader.protocol = kLatch;
  CHECK_EQ(Run(request).waited, 0);
}

TEST("one CPU is enough, and readers on one CPU may be several") {
  std::vector<int> cpus = AllowedCpus(2);
  cpus.resize(1);
  const StressTally one = Run(Request(kLatchWindow, kUpdate, cpus));
  CHECK_EQ(one.torn + one.missing + one.outside, 0);
  cpus.push_back(cpus[0]);
  cpus.push_back(cpus[0]);
  const StressTally many = Run(Request(kLatchWindow, kUpdate, cpus));
  CHECK_EQ(many.torn + many.missing + many.outside, 0);
}

TEST("what cannot be run is refused: no CPU, a CPU that is not there, a window too short or too long") {
  const std::vector<int> cpus = AllowedCpus(2);
  const auto refused = [](const StressRequest& request) {
    StressTally tally;
    const Outcome outcome = RunStress(request, &tally);
    CHECK_EQ(tally.reads, 0);
    return outcome;
  };
  for (const StressHazard hazard : {kUpdate, kWriterKilled}) {
    StressRequest request = Request(kLatchWindow, hazard, cpus);
    request.cpu_count = 0;
    CHECK_EQ(refused(request).status, Status::kBadArgument);
    // The low 16 bits of a window's length are taken by the hash.
    for (const uint64_t window : {uint64_t{0}, uint64_t{1}, uint64_t{0xffff}, (uint64_t{1} << 39) + 1,
                                  uint64_t{1} << 63, ~uint64_t{0}}) {
      request = Request(kLatchWindow, hazard, cpus);
      request.window_cycles = window;
      CHECK_EQ(refused(request).status, Status::kBadArgument);
    }
  }
  for (const uint64_t window : {uint64_t{0x1'0000}, uint64_t{1} << 39}) {
    StressRequest request = Request(kLatchWindow, kCounterBehind, cpus);
    request.most_cycles = 1'000'000;
    request.window_cycles = window;
    StressTally tally;
    CHECK(RunStress(request, &tally).ok());
  }
  const std::vector<int> none = {1'000'000};
  CHECK_EQ(refused(Request(kLatchWindow, kUpdate, none)).status, Status::kSystemCall);
}

TEST("a run that gets no time ends") {
  const std::vector<int> cpus = AllowedCpus(2);
  for (const StressHazard hazard : {kUpdate, kWriterStalled, kWindowExpired, kCounterBehind, kWriterKilled}) {
    StressRequest request = Request(kLatchWindow, hazard, cpus);
    request.most_cycles = 0;
    StressTally tally;
    CHECK(RunStress(request, &tally).ok());
    CHECK_EQ(tally.kills, 0);
  }
}

}  // namespace
}  // namespace latchclock::test
