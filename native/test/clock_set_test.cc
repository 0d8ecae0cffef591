#include <algorithm>
#include <string>
#include <vector>

#include "../core/clock_page_set.h"
#include "../core/clock_page_writer.h"
#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

constexpr uint64_t kGeneration = 7;
constexpr uint64_t kWindow = 1 << 20;

// Publication number k: on every clock a nanosecond is a cycle, monotonic-raw is the counter itself, and
// clock number n is n steps ahead of it, and the bound seven, as if it were another. The step and the scale
// are others in each publication, so that words of two show.
uint64_t StepOf(uint64_t k) { return 1'000'000'000 + 1'000 * (k % 997); }

CopyImage ImageOf(uint64_t k, uint64_t base, uint64_t max_delta = kWindow) {
  CopyImage image;
  image.base = base;
  image.max_delta = max_delta;
  image.tag = kGeneration;
  // So low that narrow readers without a window may be late by hours.
  const uint64_t shift = 8 + k % 13;
  image.shared = {uint64_t{1} << shift, 0, shift};
  image.realtime = image.smeared = image.raw = image.bound = image.shared;
  const auto ahead = [&](uint64_t steps) { return static_cast<int64_t>(base + steps * StepOf(k)); };
  image.raw_whole = ahead(0);
  image.monotonic = ahead(1);
  image.boottime = ahead(2);
  image.tai = ahead(3);
  image.sane = ahead(4);
  image.smeared_whole = ahead(5);
  image.realtime_whole = ahead(6);
  image.bound_whole = ahead(7);
  return image;
}

// Whether that is a set of one publication at one counter. A reader without a window may have clamped.
bool IsWhole(const SetReading& set, bool has_window) {
  const auto step = static_cast<uint64_t>(set.ns[1] - set.ns[0]);
  if (step < StepOf(0) || step > StepOf(996)) return false;
  for (uint32_t clock = 0; clock < kClockSlotCount; clock++) {
    if (static_cast<uint64_t>(set.ns[clock] - set.ns[0]) != clock * step) return false;
  }
  if (static_cast<uint64_t>(set.bound_ns - set.ns[0]) != 7 * step + 1) return false;
  const auto raw = static_cast<uint64_t>(set.ns[0]);
  return has_window ? raw == set.cycles : static_cast<int64_t>(raw - set.cycles) >= 0;
}

class OurPage {
 public:
  OurPage() { StoreWord(bytes_, clock_page::kGenerationAt, kGeneration); }
  uint8_t* bytes() { return bytes_; }

 private:
  alignas(64) uint8_t bytes_[clock_page::kBytes] = {};
};

struct HandCounter {
  uint64_t cycles = 0;
  uint64_t Read() const { return cycles; }
};

bool HasWindow(ReaderProtocol protocol) {
  return protocol == ReaderProtocol::kLatchWindow || protocol == ReaderProtocol::kTwoWindow;
}

std::vector<ReaderKind> Kinds() {
  std::vector<ReaderKind> kinds;
  for (const ReaderProtocol protocol : {ReaderProtocol::kSeqlock, ReaderProtocol::kLatch,
                                        ReaderProtocol::kLatchWindow, ReaderProtocol::kTwoWindow}) {
    for (const auto generation : {ReaderGeneration::kNone, ReaderGeneration::kTagged}) {
      for (const bool wide : {false, true}) kinds.push_back({protocol, generation, wide});
    }
  }
  return kinds;
}

// Publishes in the place of what there is.
void PublishOver(uint8_t* page, ReaderProtocol protocol, const CopyImage& image) {
  if (protocol == ReaderProtocol::kSeqlock) return PublishSeqlock(page, [&] { return image; });
  if (protocol != ReaderProtocol::kTwoWindow) return PublishLatch(page, image);
  PublishTwoWindow(page, TwoWindowKeep(page), image, true, false);
}

struct Result {
  ReadEnd end = ReadEnd::kValue;
  SetReading set;
  uint64_t retries = 0;
};

template <class Counter>
Result ReadWith(ReadFunction<Counter> read, const ReaderKind& kind, OurPage* page, const Counter& counter,
                uint32_t clocks = kAllClocks, const ReadLimits& limits = {}) {
  Result result;
  result.end = ReadSet<Counter>(read, kind, page->bytes(), clocks, page->bytes() + clock_page::kGenerationAt,
                                counter, limits, &result.set, &result.retries);
  return result;
}

Result Read(const ReaderKind& kind, OurPage* page, uint64_t cycles, uint32_t clocks = kAllClocks) {
  return ReadWith<HandCounter>(FindReader<HandCounter>(kind), kind, page, {cycles}, clocks);
}

TEST("a set is of one copy at one counter, and its bound is rounded up") {
  for (const ReaderKind& kind : Kinds()) {
    OurPage page;
    for (uint64_t k = 0; k < 5; k++) {
      PublishOver(page.bytes(), kind.protocol, ImageOf(k, 10'000 * k));
      const Result result = Read(kind, &page, 10'000 * k + 77);
      CHECK_EQ(result.end, ReadEnd::kValue);
      CHECK(IsWhole(result.set, true));
      CHECK_EQ(result.set.cycles, 10'000 * k + 77);
      CHECK_EQ(result.set.generation, kind.generation == ReaderGeneration::kNone ? 0 : kGeneration);
      CHECK_EQ(result.set.ns[6], static_cast<int64_t>(10'000 * k + 77 + 6 * StepOf(k)));
      CHECK_EQ(result.set.bound_ns, static_cast<int64_t>(10'000 * k + 77 + 7 * StepOf(k) + 1));
    }
  }
}

TEST("two-window: a set is of the copy whose window has the counter, whichever is tried first") {
  for (const bool kept_first : {false, true}) {
    for (const ReaderKind& kind : Kinds()) {
      if (kind.protocol != ReaderProtocol::kTwoWindow) continue;
      OurPage page;
      PublishOver(page.bytes(), kind.protocol, ImageOf(1, 1'000, 500));
      PublishTwoWindow(page.bytes(), TwoWindowKeep(page.bytes()), ImageOf(2, 1'500, 500), false, kept_first);
      for (const uint64_t cycles : {1'000, 1'499, 1'500, 1'999}) {
        const Result result = Read(kind, &page, cycles);
        CHECK(IsWhole(result.set, true));
        const uint64_t k = cycles < 1'500 ? 1 : 2;
        CHECK_EQ(result.set.ns[1], static_cast<int64_t>(cycles + StepOf(k)));
        CHECK_EQ(result.set.bound_ns, static_cast<int64_t>(cycles + 7 * StepOf(k) + 1));
      }
      for (const uint64_t cycles : {999, 2'000}) {
        CHECK_EQ(Read(kind, &page, cycles).end, ReadEnd::kOutOfWindow);
      }
    }
  }
}

TEST("two-window: two copies of one base, of which one was ended early, are told apart") {
  const ReaderKind kind{ReaderProtocol::kTwoWindow, ReaderGeneration::kTagged, true};
  OurPage page;
  PublishOver(page.bytes(), kind.protocol, ImageOf(1, 1'000, 500));
  PublishOver(page.bytes(), kind.protocol, ImageOf(2, 1'000, 300));
  CHECK_EQ(Read(kind, &page, 1'100).set.ns[1], static_cast<int64_t>(1'100 + StepOf(2)));
  CHECK_EQ(Read(kind, &page, 1'300).end, ReadEnd::kOutOfWindow);
}

TEST("only the clocks asked for must have been published, and the others stay 0") {
  for (const ReaderKind& kind : Kinds()) {
    OurPage page;
    CopyImage image = ImageOf(3, 1'000);
    image.smeared = {};
    PublishOver(page.bytes(), kind.protocol, image);
    CHECK_EQ(Read(kind, &page, 1'001).end, ReadEnd::kUnpublished);
    for (uint32_t clocks = 1; clocks <= kAllClocks; clocks++) {
      const Result result = Read(kind, &page, 1'001, clocks);
      const bool has_smeared = (clocks & (1u << 5)) != 0;
      CHECK_EQ(result.end, has_smeared ? ReadEnd::kUnpublished : ReadEnd::kValue);
      for (uint32_t clock = 0; clock < kClockSlotCount && !has_smeared; clock++) {
        const auto ns = static_cast<int64_t>(1'001 + clock * StepOf(3));
        CHECK_EQ(result.set.ns[clock], (clocks & (1u << clock)) != 0 ? ns : 0);
      }
    }
  }
}

TEST("a bound is -1 where none is stated, stands still with a mult of 0, and is never less for being large") {
  const ReaderKind kind{ReaderProtocol::kLatchWindow, ReaderGeneration::kNone, true};
  const auto bound_of = [&](int64_t whole, GroupWords words, uint64_t delta) {
    OurPage page;
    CopyImage image = ImageOf(0, 1'000);
    image.bound = words;
    image.bound_whole = whole;
    PublishLatch(page.bytes(), image);
    return Read(kind, &page, 1'000 + delta).set.bound_ns;
  };
  CHECK_EQ(bound_of(-1, {}, 5), -1);
  CHECK_EQ(bound_of(INT64_MIN, {~uint64_t{0}, 0, 0}, 5), -1);
  CHECK_EQ(bound_of(0, {}, 5), 1);
  CHECK_EQ(bound_of(9, {}, kWindow - 1), 10);
  // 7 * 3 + 3 = 24 sixteenths: 1.5.
  CHECK_EQ(bound_of(9, {3, 3, 4}, 7), 11);
  CHECK_EQ(bound_of(INT64_MAX - 1, {}, 0), INT64_MAX);
  CHECK_EQ(bound_of(INT64_MAX, {}, 0), INT64_MAX);
  CHECK_EQ(bound_of(0, {~uint64_t{0}, 0, 0}, kWindow - 1), INT64_MAX);
  CHECK_EQ(bound_of(INT64_MAX, {~uint64_t{0}, 0, 0}, kWindow - 1), INT64_MAX);
}

TEST("without a window a counter behind the base gives the whole set at the base") {
  for (const ReaderKind& kind : Kinds()) {
    OurPage page;
    PublishOver(page.bytes(), kind.protocol, ImageOf(4, 1'000));
    const Result result = Read(kind, &page, 990);
    if (HasWindow(kind.protocol)) {
      CHECK_EQ(result.end, ReadEnd::kOutOfWindow);
      continue;
    }
    CHECK_EQ(result.set.cycles, 990);
    CHECK_EQ(result.set.ns[3], static_cast<int64_t>(1'000 + 3 * StepOf(4)));
    CHECK_EQ(result.set.bound_ns, static_cast<int64_t>(1'000 + 7 * StepOf(4) + 1));
  }
}

// What happens between the reader of the first clock and the loads of the others: the first so many times.
OurPage* interrupted = nullptr;
void (*interruption)(OurPage* page, ReaderProtocol protocol) = nullptr;
int interruptions = 0;
ReaderKind interrupted_kind;
std::vector<ReadLimits> given_limits;

ReadEnd ReadAndInterrupt(const uint8_t* page, ClockSlot slot, const uint8_t* generation,
                         const HandCounter& counter, const ReadLimits& limits, ClockReading* reading,
                         uint64_t* retries) {
  given_limits.push_back(limits);
  const ReadEnd end =
      FindReader<HandCounter>(interrupted_kind)(page, slot, generation, counter, limits, reading, retries);
  if (interruptions-- > 0) interruption(interrupted, interrupted_kind.protocol);
  return end;
}

TEST("an update behind the reader of the first clock sends the whole set away, for a bounded time") {
  for (const ReaderKind& kind : Kinds()) {
    for (const int times : {1, 2, 3, 4, 100}) {
      OurPage page;
      PublishOver(page.bytes(), kind.protocol, ImageOf(1, 1'000));
      interrupted = &page;
      interrupted_kind = kind;
      interruptions = times;
      // Twice, since a latch's first one is into the other copy.
      interruption = [](OurPage* at, ReaderProtocol protocol) {
        PublishOver(at->bytes(), protocol, ImageOf(2, 1'000));
        PublishOver(at->bytes(), protocol, ImageOf(3, 1'000));
      };
      const Result result = ReadWith<HandCounter>(ReadAndInterrupt, kind, &page, {1'005}, kAllClocks, {4, 4});
      CHECK_EQ(result.end, times < 4 ? ReadEnd::kValue : ReadEnd::kRetries);
      CHECK_EQ(result.retries, std::min(times, 4));
      if (times >= 4) continue;
      CHECK(IsWhole(result.set, true));
      CHECK_EQ(result.set.ns[1], static_cast<int64_t>(1'005 + StepOf(3)));
    }
  }
}

TEST("what is left of the limits is what each turn of a set has: they are those of the whole") {
  for (const ReaderKind& kind : Kinds()) {
    OurPage page;
    PublishOver(page.bytes(), kind.protocol, ImageOf(1, 1'000));
    interrupted = &page;
    interrupted_kind = kind;
    interruptions = 100;
    interruption = [](OurPage* at, ReaderProtocol protocol) {
      PublishOver(at->bytes(), protocol, ImageOf(2, 1'000));
      PublishOver(at->bytes(), protocol, ImageOf(3, 1'000));
    };
    given_limits.clear();
    ReadWith<HandCounter>(ReadAndInterrupt, kind, &page, {1'005}, kAllClocks, {5, 7});
    if (!CHECK_EQ(given_limits.size(), 5)) return;
    for (uint32_t turn = 0; turn < 5; turn++) {
      CHECK_EQ(given_limits[turn].most_tries, 5 - turn);
      CHECK_EQ(given_limits[turn].most_spins, 7 - turn);
    }
  }
}

TEST("another generation behind the reader of the first clock is refused, the count being what it was") {
  for (const ReaderKind& kind : Kinds()) {
    OurPage page;
    PublishOver(page.bytes(), kind.protocol, ImageOf(1, 1'000));
    interrupted = &page;
    interrupted_kind = kind;
    interruptions = 1;
    interruption = [](OurPage* at, ReaderProtocol) {
      StoreWord(at->bytes(), clock_page::kGenerationAt, kGeneration + 1);
    };
    const Result result = ReadWith<HandCounter>(ReadAndInterrupt, kind, &page, {1'005});
    CHECK_EQ(result.end, kind.generation == ReaderGeneration::kNone ? ReadEnd::kValue : ReadEnd::kDisrupted);
  }
}

TEST("a seqlock that stands odd runs out of turns, and a copy of another generation is refused") {
  for (const ReaderKind& kind : Kinds()) {
    OurPage page;
    PublishOver(page.bytes(), kind.protocol, ImageOf(1, 1'000));
    StoreWord(page.bytes(), clock_page::kGenerationAt, kGeneration + 1);
    const bool tagged = kind.generation == ReaderGeneration::kTagged;
    CHECK_EQ(Read(kind, &page, 1'001).end, tagged ? ReadEnd::kDisrupted : ReadEnd::kValue);
    if (kind.protocol != ReaderProtocol::kSeqlock) continue;
    StoreWord(page.bytes(), clock_page::kCountAt, 3);
    const Result result =
        ReadWith<HandCounter>(FindReader<HandCounter>(kind), kind, &page, {1'001}, kAllClocks, {9, 9});
    CHECK_EQ(result.end, ReadEnd::kRetries);
    CHECK_EQ(result.retries, 9);
  }
}

TEST("the clocks of a page are those that its header names") {
  OurPage page;
  page.bytes()[clock_page::kClocksAt] = 0b0100'1010;
  page.bytes()[clock_page::kArithmeticAt] = 1;
  CHECK_EQ(ClocksOf(page.bytes()), 0b0100'1010u);
}

// Publishes on the real counter without end; with two windows also pairs that touch.
struct Publisher {
  uint8_t* page;
  ReaderProtocol protocol;
  uint64_t k = 0;

  void operator()() {
    k++;
    const uint64_t now = FencedRdtsc();
    if (protocol != ReaderProtocol::kTwoWindow || k % 3 == 0) {
      PublishOver(page, protocol, ImageOf(k, now));
    } else {
      const uint64_t keep = TwoWindowKeep(page);
      const uint64_t base = LoadWord(page, WindowAt(keep) + clock_page::kBaseIn);
      // Ends the one that holds early, and lets the next one follow.
      const uint64_t corner = now + 4'000;
      PublishTwoWindow(page, keep, ImageOf(k - 1, base, corner - base), true, false);
      PublishTwoWindow(page, keep ^ 1, ImageOf(k, corner), false, k % 2 == 0);
      while (static_cast<int64_t>(FencedRdtsc() - corner) < 0) _mm_pause();
    }
    for (int i = 0; i < 20; i++) _mm_pause();
  }
};

TEST("beside a writer without end no set is torn, whatever the protocol") {
  constexpr uint64_t kReads = kSanitized ? 2'000 : 20'000;
  constexpr uint64_t kSteps = 12;
  constexpr uint64_t kValues = 100;
  // Where others have the CPUs too: reached by nobody who gets one now and then.
  constexpr auto kLongest = std::chrono::seconds(60);
  for (const ReaderKind& kind : Kinds()) {
    OurPage page;
    Publisher publisher{page.bytes(), kind.protocol};
    PublishOver(page.bytes(), kind.protocol, ImageOf(0, FencedRdtsc()));
    Writer writer(publisher);
    uint64_t values[2] = {}, torn[2] = {}, steps[2] = {};
    const auto read = [&](int who) {
      int64_t last = 0;
      const auto start = std::chrono::steady_clock::now();
      // Where a CPU is shared, the writer goes on between two turns of a reader only.
      for (uint64_t i = 0; i < kReads || steps[who] <= kSteps || values[who] <= kValues; i++) {
        if (i % 1'024 == 0 && std::chrono::steady_clock::now() - start > kLongest) return;
        const Result result = ReadWith<HardwareCounter>(FindReader(kind), kind, &page, {});
        if (result.end != ReadEnd::kValue) continue;
        values[who]++;
        torn[who] += !IsWhole(result.set, HasWindow(kind.protocol));
        const int64_t step = result.set.ns[1] - result.set.ns[0];
        steps[who] += step != last;
        last = step;
      }
    };
    std::thread other(read, 1);
    read(0);
    other.join();
    CHECK_EQ(torn[0] + torn[1], 0);
    // Sets of many updates were read.
    CHECK(values[0] + values[1] > kValues);
    CHECK(steps[0] + steps[1] > kSteps);
  }
}

}  // namespace
}  // namespace latchclock::test
