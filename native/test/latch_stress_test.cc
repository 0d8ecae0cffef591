#include "../core/latch_stress.h"

#include <errno.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
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

// ---- what each detector has to find: readers that say of themselves what they found, and are not right

constexpr uint64_t kShiftBits = 10;

// Whole words of one segment, and the value at a counter 1'000 cycles behind its base.
ClockReading WholeReading() {
  ClockReading reading;
  CopyWords& words = reading.words;
  words = {5'000, 0, 7, 3 << kShiftBits, 17, kShiftBits | clock_page::kWritten, 1'000'000};
  words.max_delta = HashedLength(kShortWindow, words);
  reading.cycles = words.base + 1'000;
  reading.ns = 1'000'000 + 3'000;
  return reading;
}

// What the reader of the next test returns, and what happens while it reads.
ClockReading given;
ReadEnd given_end = ReadEnd::kValue;
std::atomic<int64_t>* raised = nullptr;

ReadEnd ReadGiven(const uint8_t*, ClockSlot, const uint8_t*, const HardwareCounter&, const ReadLimits&,
                  ClockReading* reading, uint64_t* retries) {
  *reading = given;
  ++*retries;
  if (raised != nullptr) raised->store(INT64_MAX, std::memory_order_release);
  return given_end;
}

StressTally JudgeOf(const ClockReading& reading, std::atomic<int64_t>* highest,
                    ReadEnd end = ReadEnd::kValue) {
  alignas(64) static const uint8_t page[clock_page::kBytes] = {};
  given = reading;
  given_end = end;
  StressTally tally;
  ReadAndJudge(page, ReadGiven, {}, highest, &tally);
  CHECK_EQ(tally.reads, 1);
  CHECK_EQ(tally.retries, 1);
  CHECK_EQ(tally.values, end == ReadEnd::kValue ? 1 : 0);
  return tally;
}

StressTally JudgeOf(const ClockReading& reading, ReadEnd end = ReadEnd::kValue) {
  std::atomic<int64_t> highest{INT64_MIN};
  return JudgeOf(reading, &highest, end);
}

uint64_t WrongIn(const StressTally& tally) {
  return tally.torn + tally.missing + tally.outside + tally.backwards;
}

TEST("a value that its words give, in their window, is right, whichever clock's they are") {
  CHECK_EQ(WrongIn(JudgeOf(WholeReading())), 0);
  ClockReading at_base = WholeReading();
  at_base.cycles = at_base.words.base;
  at_base.ns = 1'000'000;
  CHECK_EQ(WrongIn(JudgeOf(at_base)), 0);
  ClockReading at_end = WholeReading();
  at_end.cycles = at_end.words.base + at_end.words.max_delta - 1;
  at_end.ns = static_cast<int64_t>(1'000'000 + 3 * (at_end.words.max_delta - 1));
  CHECK_EQ(WrongIn(JudgeOf(at_end)), 0);
}

TEST("a word of another copy is torn by the hash, although the value is what the words give") {
  uint64_t CopyWords::*const all[] = {&CopyWords::tag,      &CopyWords::mult,  &CopyWords::base,
                                      &CopyWords::fraction, &CopyWords::shift, &CopyWords::whole};
  for (const auto word : all) {
    ClockReading torn = WholeReading();
    torn.words.*word += 1;
    const CopyWords& words = torn.words;
    const auto sum = static_cast<unsigned __int128>(torn.cycles - words.base) * words.mult + words.fraction;
    torn.ns = static_cast<int64_t>(words.whole + static_cast<uint64_t>(sum >> (words.shift & 63)));
    const StressTally tally = JudgeOf(torn);
    CHECK_EQ(tally.torn, 1);
    CHECK_EQ(WrongIn(tally), 1);
  }
  // And so is a length, which is what the hash stands in.
  ClockReading longer = WholeReading();
  longer.words.max_delta++;
  CHECK_EQ(JudgeOf(longer).torn, 1);
}

TEST("a value that its words do not give is torn, by a nanosecond too") {
  for (const int64_t off : {-1, 1, 1'000'000}) {
    ClockReading wrong = WholeReading();
    wrong.ns += off;
    const StressTally tally = JudgeOf(wrong);
    CHECK_EQ(tally.torn, 1);
    CHECK_EQ(WrongIn(tally), 1);
  }
}

TEST("a counter outside the window is told as such, on either side") {
  for (const bool behind : {false, true}) {
    ClockReading outside = WholeReading();
    outside.cycles = behind ? outside.words.base - 1 : outside.words.base + outside.words.max_delta;
    outside.ns = 1;
    const StressTally tally = JudgeOf(outside);
    CHECK_EQ(tally.outside, 1);
    CHECK_EQ(WrongIn(tally), 1);
  }
}

TEST("a value that was promised and not given is missing") {
  ClockReading missing = WholeReading();
  missing.ns = INT64_MIN;
  const StressTally tally = JudgeOf(missing);
  CHECK_EQ(tally.missing, 1);
  CHECK_EQ(WrongIn(tally), 1);
}

TEST("a value below one that was returned before the read began is backwards, by how much, and no other is") {
  const ClockReading reading = WholeReading();
  for (const int64_t ahead : {1, 5'000}) {
    std::atomic<int64_t> highest{reading.ns + ahead};
    const StressTally tally = JudgeOf(reading, &highest);
    CHECK_EQ(tally.backwards, 1);
    CHECK_EQ(tally.worst_back_ns, ahead);
    CHECK_EQ(WrongIn(tally), 1);
    CHECK_EQ(highest.load(), reading.ns + ahead);
  }
  std::atomic<int64_t> same{reading.ns};
  CHECK_EQ(JudgeOf(reading, &same).backwards, 0);
  // One that was returned while the read was under way.
  std::atomic<int64_t> meanwhile{INT64_MIN};
  raised = &meanwhile;
  CHECK_EQ(JudgeOf(reading, &meanwhile).backwards, 0);
  raised = nullptr;
}

TEST("the highest value is that of the reads that were right, and of no other") {
  std::atomic<int64_t> highest{INT64_MIN};
  const ClockReading right = WholeReading();
  JudgeOf(right, &highest);
  CHECK_EQ(highest.load(), right.ns);
  ClockReading wrong = right;
  wrong.ns += 10;
  JudgeOf(wrong, &highest);
  JudgeOf(right, &highest, ReadEnd::kRetries);
  CHECK_EQ(highest.load(), right.ns);
}

TEST("each end is counted for itself, and a wait from a hundred turns on") {
  ClockReading reading = WholeReading();
  CHECK_EQ(JudgeOf(reading, ReadEnd::kOutOfWindow).out_of_window, 1);
  CHECK_EQ(JudgeOf(reading, ReadEnd::kRetries).ran_out, 1);
  for (const ReadEnd end : {ReadEnd::kDisrupted, ReadEnd::kUnpublished, ReadEnd::kUnusable}) {
    CHECK_EQ(JudgeOf(reading, end).refused_otherwise, 1);
    CHECK_EQ(WrongIn(JudgeOf(reading, end)), 0);
  }
  reading.waits = 99;
  CHECK_EQ(JudgeOf(reading).waited, 0);
  reading.waits = 100;
  CHECK_EQ(JudgeOf(reading).waited, 1);
}

// ---- the same in the whole machinery, by readers that are broken

// Of a latch: does not look at the count again.
ReadEnd ReadWithoutRecheck(const uint8_t* page, ClockSlot slot, const uint8_t*,
                           const HardwareCounter& counter, const ReadLimits&, ClockReading* reading,
                           uint64_t*) {
  const uint64_t count = LoadWord(page, clock_page::kCountAt, std::memory_order_acquire);
  LoadCopy<true, true>(page, slot, count & 1, &reading->words);
  reading->cycles = counter.Read();
  return Evaluate<WideArithmetic>(Clamped(reading->cycles, reading->words.base), reading);
}

// Computes with a fraction that is another.
ReadEnd ReadWithoutFraction(const uint8_t* page, ClockSlot slot, const uint8_t* generation,
                            const HardwareCounter& counter, const ReadLimits& limits, ClockReading* reading,
                            uint64_t* retries) {
  const ReaderKind kind{kLatch, ReaderGeneration::kNone, true};
  const ReadEnd end = FindReader<HardwareCounter, Words::kAll>(kind)(page, slot, generation, counter, limits,
                                                                     reading, retries);
  reading->ns++;
  return end;
}

// Every second counter is one of before.
struct LateCounter {
  uint64_t Read() const {
    thread_local uint64_t turn = 0;
    return FencedRdtsc() - (turn++ % 2 == 0 ? 200'000 : 0);
  }
};

ReadEnd ReadLate(const uint8_t* page, ClockSlot slot, const uint8_t* generation, const HardwareCounter&,
                 const ReadLimits& limits, ClockReading* reading, uint64_t* retries) {
  const ReaderKind kind{kLatch, ReaderGeneration::kNone, true};
  return FindReader<LateCounter, Words::kAll>(kind)(page, slot, generation, {}, limits, reading, retries);
}

TEST("a reader that does not look at the count again is caught with torn values") {
  const std::vector<int> cpus = AllowedCpus(2);
  StressRequest request = Request(kLatch, kUpdate, cpus);
  request.read = ReadWithoutRecheck;
  uint64_t torn = 0;
  // Where a CPU is shared, the writer comes between two instructions now and then only.
  for (int i = 0; i < 100 && torn == 0; i++) torn += Run(request).torn;
  CHECK(torn > 0);
}

TEST("a reader that computes wrongly is caught at every value, under every hazard that leaves it one") {
  const std::vector<int> cpus = AllowedCpus(2);
  for (const StressHazard hazard : {kUpdate, kWriterStalled}) {
    StressRequest request = Request(kLatch, hazard, cpus);
    request.read = ReadWithoutFraction;
    StressTally tally;
    for (int i = 0; i < 10 && tally.values == 0; i++) tally = Run(request);
    CHECK(tally.values > 0);
    CHECK_EQ(tally.torn + tally.outside, tally.values);
  }
}

TEST("a reader whose counter is late now and then is caught with values that go back") {
  const std::vector<int> cpus = AllowedCpus(2);
  StressRequest request = Request(kLatch, kWriterStalled, cpus);
  request.read = ReadLate;
  uint64_t backwards = 0;
  for (int i = 0; i < 10 && backwards == 0; i++) {
    const StressTally tally = Run(request);
    backwards += tally.backwards;
    CHECK_EQ(tally.torn + tally.missing, 0);
  }
  CHECK(backwards > 0);
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
