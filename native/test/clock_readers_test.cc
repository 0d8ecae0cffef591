#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "../core/clock_page_reader.h"
#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

using Wide = unsigned __int128;

constexpr ClockSlot kMonotonic = kClockSlots[1];
// What `ns` holds before a read: a reader that gives no value leaves it.
constexpr int64_t kNothing = -0x7777;
constexpr uint64_t kBit63 = uint64_t{1} << 63;

struct Segment {
  uint64_t base = 0, max_delta = 0, tag = 0, mult = 0, fraction = 0, shift = 0;
  int64_t whole = 0;
};

// In integers that cannot overflow inside a window, by a division: rounded down.
int64_t Exact(const Segment& segment, uint64_t cycles) {
  const Wide scaled = Wide{cycles - segment.base} * segment.mult + segment.fraction;
  const auto elapsed = static_cast<uint64_t>(scaled / (Wide{1} << segment.shift));
  return static_cast<int64_t>(static_cast<uint64_t>(segment.whole) + elapsed);
}

// Page words are stored through atomics: a test's counter does so in the middle of a read.
class OurPage {
 public:
  uint8_t* bytes() { return bytes_; }
  uint64_t count() const { return LoadWord(bytes_, clock_page::kCountAt); }
  void SetCount(uint64_t count) { StoreWord(bytes_, clock_page::kCountAt, count); }
  void SetGeneration(uint64_t generation) { StoreWord(bytes_, clock_page::kGenerationAt, generation); }
  void Put(uint64_t copy, const Segment& segment) {
    StoreWord(bytes_, WindowAt(copy) + clock_page::kBaseIn, segment.base);
    StoreWord(bytes_, WindowAt(copy) + clock_page::kMaxDeltaIn, segment.max_delta);
    StoreWord(bytes_, WindowAt(copy) + clock_page::kTagIn, segment.tag);
    StoreWord(bytes_, CopyAt(copy) + kMonotonic.group + clock_page::kMultIn, segment.mult);
    StoreWord(bytes_, CopyAt(copy) + kMonotonic.group + clock_page::kFractionIn, segment.fraction);
    StoreWord(bytes_, CopyAt(copy) + kMonotonic.group + clock_page::kShiftIn,
              segment.shift | clock_page::kWritten);
    StoreWord(bytes_, CopyAt(copy) + kMonotonic.whole, static_cast<uint64_t>(segment.whole));
  }
  void PutBoth(const Segment& segment) {
    Put(0, segment);
    Put(1, segment);
  }

 private:
  alignas(64) uint8_t bytes_[clock_page::kBytes] = {};
};

// A counter that stands still, and may do something whenever it is read.
struct HandCounter {
  uint64_t cycles = 0;
  std::function<void(int)> at_read = {};  // with the number of the reading, from 1
  mutable int reads = 0;

  uint64_t Read() const {
    reads++;
    if (at_read) at_read(reads);
    return cycles;
  }
};

struct Result {
  ReadEnd end = ReadEnd::kValue;
  ClockReading reading;
  uint64_t retries = 0;
};

Result Read(const ReaderKind& kind, OurPage* page, const HandCounter& counter, const ReadLimits& limits = {},
            const uint64_t* generation = nullptr, ClockSlot slot = kMonotonic) {
  Result result;
  result.reading.ns = kNothing;
  const auto* source = generation == nullptr ? page->bytes() + clock_page::kGenerationAt
                                             : reinterpret_cast<const uint8_t*>(generation);
  result.end = FindReader<HandCounter>(kind)(page->bytes(), slot, source, counter, limits, &result.reading,
                                             &result.retries);
  return result;
}

Result ReadAt(const ReaderKind& kind, OurPage* page, uint64_t cycles) {
  return Read(kind, page, HandCounter{cycles});
}

// In words, so that a failure says which reader it was.
std::string Tell(const ReaderKind& kind, ReadEnd end, int64_t ns = kNothing) {
  static const char* const protocols[] = {
      "seqlock", "latch", "latch-window", "two-window", "literal-latch-window", "literal-two-window"};
  static const char* const generations[] = {"", " tagged", " untagged"};
  static const char* const ends[] = {"value", "out of window", "retries", "disrupted", "unpublished"};
  return std::string(protocols[static_cast<uint32_t>(kind.protocol)]) +
         generations[static_cast<uint32_t>(kind.generation)] + (kind.wide ? " wide: " : " narrow: ") +
         ends[static_cast<uint32_t>(end)] + (ns == kNothing ? "" : " " + std::to_string(ns));
}

std::string Tell(const ReaderKind& kind, const Result& result) {
  return Tell(kind, result.end, result.reading.ns);
}

std::string TellValue(const ReaderKind& kind, int64_t ns) { return Tell(kind, ReadEnd::kValue, ns); }

std::vector<ReaderKind> KindsOf(std::initializer_list<ReaderProtocol> protocols) {
  std::vector<ReaderKind> kinds;
  for (const ReaderProtocol protocol : protocols) {
    for (uint32_t generation = 0; generation < kReaderGenerations; generation++) {
      for (const bool wide : {false, true}) {
        kinds.push_back({protocol, static_cast<ReaderGeneration>(generation), wide});
      }
    }
  }
  return kinds;
}

std::vector<ReaderKind> SoundKinds() {
  return KindsOf({ReaderProtocol::kSeqlock, ReaderProtocol::kLatch, ReaderProtocol::kLatchWindow,
                  ReaderProtocol::kTwoWindow});
}
std::vector<ReaderKind> WindowKinds() {
  return KindsOf({ReaderProtocol::kLatchWindow, ReaderProtocol::kTwoWindow});
}
std::vector<ReaderKind> ClampingKinds() {
  return KindsOf({ReaderProtocol::kSeqlock, ReaderProtocol::kLatch});
}

bool IsSeqlock(const ReaderKind& kind) { return kind.protocol == ReaderProtocol::kSeqlock; }

// A count, the n-th, that sends readers to that copy and to no other. Seqlock has the first copy alone.
uint64_t CountFor(const ReaderKind& kind, uint64_t copy, uint64_t n) {
  switch (kind.protocol) {
    case ReaderProtocol::kSeqlock:
      return 2 * n;
    case ReaderProtocol::kTwoWindow:
    case ReaderProtocol::kLiteralTwoWindow:
      return 4 * n + 2 + copy;
    default:
      return 2 * n + copy;
  }
}

// Inside the arithmetic of every reader: a window of 1000 cycles at 1.5 ns a cycle and 1/4 ns.
Segment Plain() { return {5'000, 1'000, 0, 6, 1, 2, 70'000}; }

Segment RandomSegment(Random* random, bool wide) {
  Segment segment;
  segment.base = random->Next();
  segment.max_delta = 1 + (random->Next() >> (1 + random->Below(63)));
  segment.shift = random->Below(64);
  segment.fraction = random->Next() & ((uint64_t{1} << segment.shift) - 1);
  segment.whole = static_cast<int64_t>(random->Next());
  const uint64_t furthest = segment.max_delta - 1;
  const uint64_t most = furthest == 0 ? ~uint64_t{0} : (~uint64_t{0} - segment.fraction) / furthest;
  segment.mult = wide ? random->Next() >> random->Below(64) : random->Next() % most;
  segment.mult += segment.mult == 0;
  return segment;
}

Segment Garbage(Random* random) {
  Segment garbage = RandomSegment(random, true);
  garbage.tag = random->Next();
  garbage.max_delta = 0;  // so that two-window, where it tries both, comes to the other
  return garbage;
}

// ---- values

TEST("every reader gives whole + ((cycles - base) * mult + fraction >> shift) of the copy it is sent to") {
  Random random(1);
  auto kinds = SoundKinds();
  for (const ReaderKind& kind : KindsOf({ReaderProtocol::kLiteralLatchWindow})) kinds.push_back(kind);
  for (const ReaderKind& kind : kinds) {
    for (int i = 0; i < 3'000; i++) {
      OurPage page;
      const uint64_t copy = IsSeqlock(kind) ? 0 : random.Below(2);
      Segment segment = RandomSegment(&random, kind.wide);
      segment.tag = random.Next();
      page.Put(copy, segment);
      page.Put(copy ^ 1, Garbage(&random));
      page.SetGeneration(segment.tag);
      uint64_t count = CountFor(kind, copy, random.Next() >> 2);
      // Any of the states of two-window that offers the copy.
      if (kind.protocol == ReaderProtocol::kTwoWindow && random.Below(3) != 0) {
        count = (count & ~uint64_t{3}) | random.Below(2);
      }
      page.SetCount(count);
      const uint64_t edge = random.Below(8);
      const uint64_t delta = edge == 0   ? 0
                             : edge == 1 ? segment.max_delta - 1
                                         : random.Below(segment.max_delta);
      const uint64_t cycles = segment.base + delta;
      const Result result = ReadAt(kind, &page, cycles);
      if (!CHECK_EQ(Tell(kind, result), TellValue(kind, Exact(segment, cycles)))) return;
      CHECK_EQ(result.reading.cycles, cycles);
      CHECK_EQ(result.reading.count, count);
      CHECK_EQ(result.reading.generation, kind.generation == ReaderGeneration::kNone ? 0 : segment.tag);
      CHECK_EQ(result.reading.words.base, segment.base);
      CHECK_EQ(result.reading.words.mult, segment.mult);
      if (!CHECK_EQ(result.retries, 0)) return;
    }
  }
}

TEST("a value is rounded down, also where it is negative") {
  // By hand, (delta * 6 + 1) / 4 from 5000 on: 0.25, 1.75, 3.25, 4.75, 6.25.
  for (const ReaderKind& kind : SoundKinds()) {
    for (const int64_t whole : {int64_t{70'000}, int64_t{-3}, int64_t{0}}) {
      OurPage page;
      Segment segment = Plain();
      segment.whole = whole;
      page.Put(0, segment);
      page.SetCount(CountFor(kind, 0, 1));
      const int64_t elapsed[] = {0, 1, 3, 4, 6};
      for (uint64_t delta = 0; delta < 5; delta++) {
        CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5'000 + delta)), TellValue(kind, whole + elapsed[delta]));
      }
    }
  }
}

TEST("each clock is read from its own words, at the offsets of version 2 of the page") {
  // Written out, not taken from the header: group of mult, fraction, shift, and whole nanoseconds.
  const struct {
    uint32_t group, whole;
  } offsets[] = {{0x88, 0x80}, {0x28, 0x00}, {0x28, 0x08}, {0x28, 0x10},
                 {0x28, 0x18}, {0x68, 0x60}, {0x48, 0x40}};
  CHECK_EQ(kClockSlotCount, 7);
  for (const ReaderKind& kind : SoundKinds()) {
    for (const uint64_t copy : {uint64_t{0}, uint64_t{1}}) {
      if (IsSeqlock(kind) && copy == 1) continue;
      OurPage page;
      StoreWord(page.bytes(), 0x40, CountFor(kind, copy, 3));
      StoreWord(page.bytes(), 0x48, 77);
      StoreWord(page.bytes(), 0x50 + 24 * copy, 1'000);    // base
      StoreWord(page.bytes(), 0x50 + 24 * copy + 8, 100);  // maxDelta
      StoreWord(page.bytes(), 0x50 + 24 * copy + 16, 77);  // the generation's tag
      const uint64_t data = 0x100 + 0x100 * copy;
      // The wholes last: some share a group.
      for (uint64_t clock = 0; clock < 7; clock++) {
        StoreWord(page.bytes(), data + offsets[clock].group, 16 * (2 + offsets[clock].group));
        StoreWord(page.bytes(), data + offsets[clock].group + 8, 15);
        StoreWord(page.bytes(), data + offsets[clock].group + 16, kBit63 | 4);  // with the mark
        StoreWord(page.bytes(), data + offsets[clock].whole, 1'000'000 * (clock + 1));
      }
      for (uint64_t clock = 0; clock < 7; clock++) {
        const Result result = Read(kind, &page, HandCounter{1'010}, {}, nullptr, kClockSlots[clock]);
        const auto expected = static_cast<int64_t>(1'000'000 * (clock + 1) + 10 * (2 + offsets[clock].group));
        CHECK_EQ(Tell(kind, result), TellValue(kind, expected));
      }
    }
  }
}

TEST("wide readers do not overflow inside the longest window; narrow ones take the product in 64 bits") {
  for (const ReaderKind& kind : SoundKinds()) {
    OurPage page;
    page.SetCount(CountFor(kind, 0, 1));
    // 2^33 cycles of 2^31: 2^64, and 5, over 2^32.
    page.Put(0, {100, kBit63, 0, uint64_t{1} << 31, 5, 32, 9});
    const int64_t expected = kind.wide ? 9 + (int64_t{1} << 32) : 9;
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 100 + (uint64_t{1} << 33))), TellValue(kind, expected));
    if (!kind.wide) continue;
    // (2^63 - 1) * (2^64 - 1) + 2^63 - 1 = (2^63 - 1) * 2^64, over 2^63: 2^64 - 2, which is -2.
    page.Put(0, {100, kBit63, 0, ~uint64_t{0}, kBit63 - 1, 63, 9});
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 100 + kBit63 - 1)), TellValue(kind, 7));
  }
}

TEST("a counter that wraps through zero inside a window counts on") {
  for (const ReaderKind& kind : SoundKinds()) {
    OurPage page;
    Segment segment = Plain();
    segment.base = ~uint64_t{0} - 4;  // five cycles before zero
    segment.max_delta = 10;
    segment.mult = 8;
    page.Put(0, segment);
    page.SetCount(CountFor(kind, 0, 1));
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, ~uint64_t{0})), TellValue(kind, 70'008));
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 0)), TellValue(kind, 70'010));
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 4)), TellValue(kind, 70'018));
  }
  for (const ReaderKind& kind : WindowKinds()) {
    OurPage page;
    Segment segment = Plain();
    segment.base = ~uint64_t{0} - 4;
    segment.max_delta = 10;
    page.Put(0, segment);
    page.SetCount(CountFor(kind, 0, 1));
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5)), Tell(kind, ReadEnd::kOutOfWindow));
  }
}

// ---- windows

TEST("the window's last cycle is maxDelta - 1; at maxDelta and behind the base a window's reader refuses") {
  for (const ReaderKind& kind : WindowKinds()) {
    for (const uint64_t copy : {uint64_t{0}, uint64_t{1}}) {
      OurPage page;
      page.Put(copy, Plain());
      page.SetCount(CountFor(kind, copy, 1));
      const std::string refused = Tell(kind, ReadEnd::kOutOfWindow);
      CHECK_EQ(Tell(kind, ReadAt(kind, &page, 4'999)), refused);
      CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5'000)), TellValue(kind, 70'000));
      CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5'999)), TellValue(kind, Exact(Plain(), 5'999)));
      CHECK_EQ(Tell(kind, ReadAt(kind, &page, 6'000)), refused);
      CHECK_EQ(Tell(kind, ReadAt(kind, &page, 0)), refused);
      CHECK_EQ(Tell(kind, ReadAt(kind, &page, ~uint64_t{0})), refused);
    }
  }
}

TEST("the longest window is 2^63 cycles, and all but one of the counter's values can be in it if asked") {
  for (const ReaderKind& kind : WindowKinds()) {
    OurPage page;
    page.SetCount(CountFor(kind, 0, 1));
    page.Put(0, {10, kBit63, 0, 1, 0, 1, 0});
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 10 + (kBit63 - 1))), TellValue(kind, (int64_t{1} << 62) - 1));
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 10 + kBit63)), Tell(kind, ReadEnd::kOutOfWindow));
    page.Put(0, {10, ~uint64_t{0}, 0, 1, 0, 2, 0});
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 8)), TellValue(kind, (int64_t{1} << 62) - 1));
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 9)), Tell(kind, ReadEnd::kOutOfWindow));
  }
}

TEST("a maxDelta of zero disables a copy: its base itself is refused") {
  for (const ReaderKind& kind : WindowKinds()) {
    OurPage page;
    Segment segment = Plain();
    segment.max_delta = 0;
    page.PutBoth(segment);
    page.SetCount(CountFor(kind, 0, 1));
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5'000)), Tell(kind, ReadEnd::kOutOfWindow));
    segment.max_delta = 1;
    page.PutBoth(segment);
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5'000)), TellValue(kind, 70'000));
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5'001)), Tell(kind, ReadEnd::kOutOfWindow));
  }
}

TEST("without a window a counter behind the base reads as the base, and one past the end is believed") {
  for (const ReaderKind& kind : ClampingKinds()) {
    OurPage page;
    Segment segment = Plain();
    segment.mult = 1;
    segment.max_delta = 0;
    page.Put(0, segment);
    page.SetCount(CountFor(kind, 0, 1));
    for (const uint64_t behind : {uint64_t{1}, uint64_t{4'999}, uint64_t{5'001}, kBit63 / 2, kBit63}) {
      CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5'000 - behind)), TellValue(kind, 70'000));
    }
    for (const uint64_t ahead : {uint64_t{1}, uint64_t{1'000}, uint64_t{1} << 40, kBit63 - 1}) {
      CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5'000 + ahead)),
               TellValue(kind, Exact(segment, 5'000 + ahead)));
    }
  }
}

// ---- two windows

TEST("two-window: in each state of the low bits a counter finds the copy whose window has it, if offered") {
  const Segment early = {1'000, 1'000, 0, 4, 0, 2, 100'000};
  const Segment late = {2'000, 1'000, 0, 8, 3, 2, 900'000};
  for (const ReaderKind& kind : KindsOf({ReaderProtocol::kTwoWindow})) {
    for (const uint64_t late_copy : {uint64_t{0}, uint64_t{1}}) {
      for (uint64_t low = 0; low < 4; low++) {
        OurPage page;
        page.Put(late_copy, late);
        page.Put(late_copy ^ 1, early);
        page.SetCount(4 * 9 + low);
        const bool both = (low & 2) == 0;
        const bool has_late = both || (low & 1) == late_copy;
        const bool has_early = both || (low & 1) != late_copy;
        const struct {
          uint64_t cycles;
          const Segment* segment;
        } rows[] = {{999, nullptr},
                    {1'000, has_early ? &early : nullptr},
                    {1'999, has_early ? &early : nullptr},  // the last tick before the change
                    {2'000, has_late ? &late : nullptr},    // and the first after it
                    {2'999, has_late ? &late : nullptr},
                    {3'000, nullptr}};
        for (const auto& [cycles, segment] : rows) {
          const HandCounter counter{cycles};
          const Result result = Read(kind, &page, counter);
          CHECK_EQ(Tell(kind, result), segment == nullptr ? Tell(kind, ReadEnd::kOutOfWindow)
                                                          : TellValue(kind, Exact(*segment, cycles)));
          if (segment != nullptr) CHECK_EQ(result.reading.words.base, segment->base);
          // One reading of the counter for both windows.
          CHECK_EQ(counter.reads, 1);
        }
      }
    }
  }
}

TEST("two-window: where windows overlap the copy that the count names first is taken") {
  Segment one = Plain(), other = Plain();
  other.whole = 1'000'000;
  for (const ReaderKind& kind : KindsOf({ReaderProtocol::kTwoWindow})) {
    for (uint64_t low = 0; low < 4; low++) {
      OurPage page;
      page.Put(0, one);
      page.Put(1, other);
      page.SetCount(8 + low);
      CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5'000)),
               TellValue(kind, (low & 1) == 0 ? one.whole : other.whole));
    }
  }
}

TEST("two-window: the copy that is tried second is believed only if the count stayed") {
  const Segment early = {1'000, 1'000, 0, 4, 0, 2, 100'000};
  const Segment late = {2'000, 1'000, 0, 8, 3, 2, 900'000};
  Segment torn = late;
  torn.whole = 5;
  Segment next = late;
  next.whole = 1'900'000;
  for (const ReaderKind& kind : KindsOf({ReaderProtocol::kTwoWindow})) {
    OurPage page;
    page.Put(0, early);
    page.Put(1, late);
    page.SetCount(8);
    const HandCounter counter{2'500, [&](int reading) {
                                // The second copy is loaded after the counter: half of it is new by then.
                                if (reading == 1) {
                                  page.Put(1, torn);
                                  page.SetCount(12 + 2);
                                } else if (reading == 2) {
                                  page.Put(1, next);
                                  page.SetCount(16);
                                }
                              }};
    const Result result = Read(kind, &page, counter);
    CHECK_EQ(Tell(kind, result), TellValue(kind, Exact(next, 2'500)));
    CHECK_EQ(result.retries, 2);
    CHECK_EQ(counter.reads, 3);
  }
}

// ---- what is no clock

TEST("a mult of zero is unpublished, and no value is left") {
  for (const ReaderKind& kind : SoundKinds()) {
    OurPage page;
    Segment segment = Plain();
    segment.mult = 0;
    page.Put(0, segment);
    page.SetCount(CountFor(kind, 0, 1));
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5'000)), Tell(kind, ReadEnd::kUnpublished));
  }
}

TEST("a page of zeros is refused by every sound reader at any counter") {
  for (const ReaderKind& kind : SoundKinds()) {
    OurPage page;
    const bool windowed =
        kind.protocol == ReaderProtocol::kLatchWindow || kind.protocol == ReaderProtocol::kTwoWindow;
    for (const uint64_t cycles : {uint64_t{0}, uint64_t{1}, kBit63, ~uint64_t{0}}) {
      CHECK_EQ(Tell(kind, ReadAt(kind, &page, cycles)),
               Tell(kind, windowed ? ReadEnd::kOutOfWindow : ReadEnd::kUnpublished));
    }
  }
}

TEST("a shift beyond 63 is taken modulo 64 and never undefined: the bytes of a page may be anything") {
  Random random(2);
  for (const ReaderKind& kind : SoundKinds()) {
    for (int i = 0; i < 300; i++) {
      OurPage page;
      for (uint64_t at = 0; at < clock_page::kBytes; at += 8) StoreWord(page.bytes(), at, random.Next());
      ReadLimits limits;
      limits.most_spins = limits.most_tries = 3;
      const Result result = Read(kind, &page, HandCounter{random.Next()}, limits);
      CHECK(static_cast<uint32_t>(result.end) < kReadEnds);
    }
    OurPage page;
    Segment segment = Plain();
    segment.shift = 64 + 2;
    page.Put(0, segment);
    page.SetCount(CountFor(kind, 0, 1));
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5'004)), TellValue(kind, 70'006));
  }
}

// ---- counts

TEST("seqlock: a count that stays odd is waited for most_spins times, and the counter is not read") {
  for (const ReaderKind& kind : KindsOf({ReaderProtocol::kSeqlock})) {
    for (const uint32_t most_spins : {0u, 1u, 7u, 1'000u}) {
      OurPage page;
      page.PutBoth(Plain());
      page.SetCount(5);
      ReadLimits limits;
      limits.most_spins = most_spins;
      const HandCounter counter{5'000};
      const Result result = Read(kind, &page, counter, limits);
      CHECK_EQ(Tell(kind, result), Tell(kind, ReadEnd::kRetries));
      CHECK_EQ(result.retries, most_spins);
      CHECK_EQ(counter.reads, 0);
    }
  }
}

TEST("seqlock: a reader waits for a writer that finishes") {
  for (const ReaderKind& kind : KindsOf({ReaderProtocol::kSeqlock})) {
    OurPage page;
    page.Put(0, Plain());
    page.SetCount(5);
    LateWriter writer([&] { page.SetCount(6); });
    const Result result = Read(kind, &page, HandCounter{5'000});
    CHECK_EQ(Tell(kind, result), TellValue(kind, 70'000));
    CHECK_EQ(result.reading.count, 6);
  }
}

TEST("a count that changes in any of its bits while a copy is read makes a retry, with the new copy") {
  Segment later = Plain();
  later.whole = 1'000'000;
  later.mult = 40;
  for (const ReaderKind& kind : SoundKinds()) {
    for (int bit = 0; bit < 64; bit++) {
      OurPage page;
      page.PutBoth(Plain());
      page.SetCount(CountFor(kind, 0, 6));
      const HandCounter counter{5'500, [&](int reading) {
                                  if (reading > 1) return;
                                  page.PutBoth(later);
                                  page.SetCount(page.count() ^ (uint64_t{1} << bit));
                                }};
      ReadLimits limits;
      limits.most_spins = 20;
      const Result result = Read(kind, &page, counter, limits);
      if (IsSeqlock(kind) && bit == 0) {
        CHECK_EQ(Tell(kind, result), Tell(kind, ReadEnd::kRetries));
        CHECK_EQ(result.retries, 20);
        continue;
      }
      CHECK_EQ(Tell(kind, result), TellValue(kind, Exact(later, 5'500)));
      CHECK_EQ(result.retries, 1);
      CHECK_EQ(counter.reads, 2);
      CHECK_EQ(result.reading.count, page.count());
    }
  }
}

TEST("a count that changes for ever is given up after most_tries, and no value is left") {
  for (const ReaderKind& kind : SoundKinds()) {
    for (const uint32_t most : {0u, 1u, 2u, 50u}) {
      OurPage page;
      page.PutBoth(Plain());
      page.SetCount(CountFor(kind, 0, 1));
      const HandCounter counter{5'000, [&](int) { page.SetCount(page.count() + 4); }};
      ReadLimits limits;
      // Seqlock counts what it throws away and what it waits together.
      (IsSeqlock(kind) ? limits.most_spins : limits.most_tries) = most;
      const Result result = Read(kind, &page, counter, limits);
      CHECK_EQ(Tell(kind, result), Tell(kind, ReadEnd::kRetries));
      CHECK_EQ(result.retries, most);
      CHECK_EQ(counter.reads, most);
    }
  }
}

TEST("a window is not judged by a copy that was thrown away") {
  // Out of the window, or of another generation, in the words of a copy that is being replaced.
  Segment later = Plain();
  later.whole = 1'000'000;
  for (const ReaderKind& kind : SoundKinds()) {
    OurPage page;
    Segment old = Plain();
    old.base = 1;
    old.max_delta = 1;
    old.tag = 99;
    old.mult = 0;
    page.PutBoth(old);
    page.SetCount(CountFor(kind, 0, 6));
    const HandCounter counter{5'500, [&](int reading) {
                                if (reading > 1) return;
                                page.PutBoth(later);
                                page.SetCount(CountFor(kind, 0, 7));
                              }};
    const Result result = Read(kind, &page, counter);
    CHECK_EQ(Tell(kind, result), TellValue(kind, Exact(later, 5'500)));
    CHECK_EQ(result.retries, 1);
  }
}

TEST("retries are added to what the caller counted before") {
  OurPage page;
  page.Put(0, Plain());
  ClockReading reading;
  uint64_t retries = 100;
  ReadLimits limits;
  limits.most_spins = 3;
  page.SetCount(1);
  const ReaderKind kind{ReaderProtocol::kSeqlock, ReaderGeneration::kNone, true};
  FindReader<HandCounter>(kind)(page.bytes(), kMonotonic, nullptr, HandCounter{5'000}, limits, &reading,
                                &retries);
  CHECK_EQ(retries, 103);
}

// ---- generations

std::string OfGeneration(const ReaderKind& kind, bool none, bool tagged, bool untagged, int64_t ns) {
  const bool value = kind.generation == ReaderGeneration::kNone     ? none
                     : kind.generation == ReaderGeneration::kTagged ? tagged
                                                                    : untagged;
  return value ? TellValue(kind, ns) : Tell(kind, ReadEnd::kDisrupted);
}

TEST("a generation that changes during a read disrupts it, wherever the generation's word lies") {
  for (const ReaderKind& kind : SoundKinds()) {
    for (const uint64_t to : {uint64_t{8}, uint64_t{0}, 7 + (uint64_t{1} << 32), 7 ^ kBit63}) {
      uint64_t generation = 7;
      OurPage page;
      Segment segment = Plain();
      segment.tag = 7;
      page.PutBoth(segment);
      page.SetCount(CountFor(kind, 0, 1));
      const Result quiet = Read(kind, &page, HandCounter{5'000}, {}, &generation);
      CHECK_EQ(Tell(kind, quiet), TellValue(kind, 70'000));
      CHECK_EQ(quiet.reading.generation, kind.generation == ReaderGeneration::kNone ? 0 : 7);
      const HandCounter counter{5'000,
                                [&](int) { StoreWord(reinterpret_cast<uint8_t*>(&generation), 0, to); }};
      const Result result = Read(kind, &page, counter, {}, &generation);
      CHECK_EQ(Tell(kind, result), OfGeneration(kind, true, false, false, 70'000));
      CHECK_EQ(result.retries, 0);
      CHECK_EQ(counter.reads, 1);
    }
  }
}

TEST("a copy of another generation is refused by its tag; untagged readers miss a page that came along") {
  for (const ReaderKind& kind : SoundKinds()) {
    for (const uint64_t tag : {uint64_t{6}, uint64_t{8}, 7 + (uint64_t{1} << 32), 7 ^ kBit63}) {
      OurPage page;
      Segment segment = Plain();
      segment.tag = tag;
      page.PutBoth(segment);
      page.SetGeneration(7);
      page.SetCount(CountFor(kind, 0, 1));
      CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5'000)), OfGeneration(kind, true, false, true, 70'000));
    }
  }
}

TEST("a tagged reader wants the generation equal to the tag before and after") {
  // It becomes the copy's only while the read is under way: the counter may be the other host's.
  for (const ReaderKind& kind : SoundKinds()) {
    OurPage page;
    Segment segment = Plain();
    segment.tag = 7;
    page.PutBoth(segment);
    page.SetGeneration(6);
    page.SetCount(CountFor(kind, 0, 1));
    const HandCounter counter{5'000, [&](int) { page.SetGeneration(7); }};
    CHECK_EQ(Tell(kind, Read(kind, &page, counter)), OfGeneration(kind, true, false, false, 70'000));
    // The next read is one of the new host alone.
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5'000)), TellValue(kind, 70'000));
  }
}

TEST("a migration that brings a new count starts the read anew, with the new generation") {
  Segment old = Plain(), fresh = Plain();
  old.tag = 7;
  fresh.tag = 8;
  fresh.whole = 1'000'000;
  for (const ReaderKind& kind : SoundKinds()) {
    OurPage page;
    page.PutBoth(old);
    page.SetGeneration(7);
    page.SetCount(CountFor(kind, 0, 1));
    const HandCounter counter{5'000, [&](int reading) {
                                if (reading > 1) return;
                                page.SetGeneration(8);
                                page.PutBoth(fresh);
                                page.SetCount(CountFor(kind, 0, 2));
                              }};
    const Result result = Read(kind, &page, counter);
    CHECK_EQ(Tell(kind, result), TellValue(kind, 1'000'000));
    CHECK_EQ(result.reading.generation, kind.generation == ReaderGeneration::kNone ? 0 : 8);
  }
}

// A generation of which a test says what happens just before a reader loads it first in a turn.
class WatchedGeneration {
 public:
  static constexpr bool kTagged = true;
  WatchedGeneration(const uint8_t* source, std::function<void(int)> at_load)
      : source_(source), at_load_(std::move(at_load)) {}
  uint64_t Load() const {
    at_load_(++loads_);
    return source_.Load();
  }
  bool Holds(uint64_t before, const CopyWords& words) const { return source_.Holds(before, words); }

 private:
  TaggedGeneration source_;
  std::function<void(int)> at_load_;  // with the number of the turn, from 1
  mutable int loads_ = 0;
};

// The guest moves, just before its reader loads the generation, to a host whose count is behind, and whose
// writer is in the middle of the update that brings the count to the old host's.
template <template <class, class, class, Words> class Reader>
void MoveBeforeGeneration(ReaderProtocol protocol) {
  const ReaderKind kind{protocol, ReaderGeneration::kTagged, true};
  Segment old = Plain(), others = Plain(), fresh = Plain();
  old.tag = 7;
  others.tag = fresh.tag = 8;
  others.whole = 1'000'000;
  fresh.whole = 5'000'000;
  fresh.mult = 3 * others.mult;
  Segment half = others;
  half.mult = fresh.mult;
  OurPage page;
  page.PutBoth(old);
  page.SetGeneration(7);
  const uint64_t count = CountFor(kind, 0, 2);
  page.SetCount(count);
  const auto publish = [&] {
    page.Put(0, fresh);
    page.SetCount(count);
  };
  const WatchedGeneration generation(page.bytes() + clock_page::kGenerationAt, [&](int turn) {
    if (turn > 1) return publish();
    page.Put(0, half);
    page.Put(1, others);
    page.SetGeneration(8);
    page.SetCount(IsSeqlock(kind) ? count - 1 : CountFor(kind, 1, 1));
  });
  const HandCounter counter{5'400, [&](int) { publish(); }};
  Result result;
  result.end = Reader<WideArithmetic, WatchedGeneration, HandCounter, Words::kNeeded>::Read(
      page.bytes(), kMonotonic, generation, counter, {}, &result.reading, &result.retries);
  CHECK_EQ(Tell(kind, result), TellValue(kind, Exact(fresh, 5'400)));
  // The count that the old host had was never taken with the new one's generation.
  CHECK_EQ(result.retries, 1);
}

TEST("the generation is loaded before the count: a copy half the next host's does not pass with its tag") {
  MoveBeforeGeneration<SeqlockReader>(ReaderProtocol::kSeqlock);
  MoveBeforeGeneration<LatchReader>(ReaderProtocol::kLatch);
  MoveBeforeGeneration<LatchWindowReader>(ReaderProtocol::kLatchWindow);
  MoveBeforeGeneration<TwoWindowReader>(ReaderProtocol::kTwoWindow);
}

TEST("a disrupted copy is called so also where the counter is out of its window") {
  for (const ReaderKind& kind : WindowKinds()) {
    OurPage page;
    Segment segment = Plain();
    segment.tag = 6;
    page.PutBoth(segment);
    page.SetGeneration(7);
    page.SetCount(CountFor(kind, 0, 1));
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 4'999)),
             Tell(kind, kind.generation == ReaderGeneration::kTagged ? ReadEnd::kDisrupted
                                                                     : ReadEnd::kOutOfWindow));
  }
}

TEST("two-window: the tag is that of the copy whose window has the counter") {
  const Segment early = {1'000, 1'000, 7, 4, 0, 2, 100'000};
  const Segment late = {2'000, 1'000, 8, 8, 3, 2, 900'000};
  for (const ReaderKind& kind : KindsOf({ReaderProtocol::kTwoWindow})) {
    for (const uint64_t generation : {uint64_t{7}, uint64_t{8}}) {
      for (const uint64_t first : {uint64_t{0}, uint64_t{1}}) {
        OurPage page;
        page.Put(0, early);
        page.Put(1, late);
        page.SetGeneration(generation);
        page.SetCount(8 + first);
        CHECK_EQ(Tell(kind, ReadAt(kind, &page, 1'500)),
                 OfGeneration(kind, true, generation == 7, true, Exact(early, 1'500)));
        CHECK_EQ(Tell(kind, ReadAt(kind, &page, 2'500)),
                 OfGeneration(kind, true, generation == 8, true, Exact(late, 2'500)));
      }
    }
  }
}

TEST("a reader that loads all words gives the same, and hands over those that its protocol has no use for") {
  Random random(3);
  for (const ReaderKind& kind : SoundKinds()) {
    OurPage page;
    Segment segment = RandomSegment(&random, kind.wide);
    segment.tag = 12;
    page.Put(0, segment);
    page.SetGeneration(12);
    page.SetCount(CountFor(kind, 0, 1));
    Result result;
    result.end = FindReader<HandCounter, Words::kAll>(kind)(
        page.bytes(), kMonotonic, page.bytes() + clock_page::kGenerationAt, HandCounter{segment.base}, {},
        &result.reading, &result.retries);
    CHECK_EQ(Tell(kind, result), TellValue(kind, segment.whole));
    const CopyWords& words = result.reading.words;
    CHECK_EQ(words.base, segment.base);
    CHECK_EQ(words.max_delta, segment.max_delta);
    CHECK_EQ(words.tag, 12);
    CHECK_EQ(words.mult, segment.mult);
    CHECK_EQ(words.fraction, segment.fraction);
    CHECK_EQ(words.shift, segment.shift | clock_page::kWritten);
    CHECK_EQ(words.whole, static_cast<uint64_t>(segment.whole));
  }
}

// ---- the sketches as written

TEST("literal-latch-window leaves its loop without a value where the counter is out of the window") {
  for (const ReaderKind& kind : KindsOf({ReaderProtocol::kLiteralLatchWindow})) {
    OurPage page;
    page.Put(1, Plain());
    page.SetCount(7);
    CHECK_EQ(Tell(kind, ReadAt(kind, &page, 5'999)), TellValue(kind, Exact(Plain(), 5'999)));
    // It says that it has a value, and has none.
    for (const uint64_t cycles : {uint64_t{4'999}, uint64_t{6'000}}) {
      const Result result = ReadAt(kind, &page, cycles);
      CHECK_EQ(Tell(kind, result), TellValue(kind, kNothing));
      CHECK_EQ(result.retries, 0);
    }
    // A count that changes makes it go on; one that changes for ever ends at the bound that the sketch lacks.
    const HandCounter once{5'000, [&](int reading) {
                             if (reading == 1) page.SetCount(9);
                           }};
    const Result result = Read(kind, &page, once);
    CHECK_EQ(Tell(kind, result), TellValue(kind, 70'000));
    CHECK_EQ(result.retries, 1);
    const HandCounter ever{4'000, [&](int) { page.SetCount(page.count() + 2); }};
    ReadLimits limits;
    limits.most_tries = 9;
    CHECK_EQ(Tell(kind, Read(kind, &page, ever, limits)), Tell(kind, ReadEnd::kRetries));
    CHECK_EQ(ever.reads, 9);
  }
}

TEST("literal-two-window never returns on a quiet page, and on a busy one with what was just replaced") {
  for (const ReaderKind& kind : KindsOf({ReaderProtocol::kLiteralTwoWindow})) {
    OurPage page;
    page.PutBoth(Plain());
    page.SetCount(CountFor(kind, 0, 1));
    ReadLimits limits;
    limits.most_tries = 100;
    const HandCounter quiet{5'500};
    const Result never = Read(kind, &page, quiet, limits);
    CHECK_EQ(never.end, ReadEnd::kRetries);
    CHECK_EQ(quiet.reads, 100);

    Segment later = Plain();
    later.whole = 1'000'000;
    const HandCounter busy{5'500, [&](int) {
                             page.PutBoth(later);
                             page.SetCount(CountFor(kind, 0, 2));
                           }};
    CHECK_EQ(Tell(kind, Read(kind, &page, busy, limits)), TellValue(kind, Exact(Plain(), 5'500)));

    // Past the base by as much as the base: it takes that for the window's end.
    page.PutBoth(Plain());
    page.SetCount(CountFor(kind, 0, 3));
    const HandCounter far{10'000, [&](int) { page.SetCount(CountFor(kind, 0, 4)); }};
    CHECK_EQ(Tell(kind, Read(kind, &page, far, limits)), TellValue(kind, kNothing));
    // In the other copy, if that is offered, it looks as well.
    Segment other = Plain();
    other.base = 9'000;
    page.Put(1, other);
    page.SetCount(4 * 5);
    const HandCounter second{10'000, [&](int) { page.SetCount(4 * 6); }};
    CHECK_EQ(Tell(kind, Read(kind, &page, second, limits)), TellValue(kind, Exact(other, 10'000)));
  }
}

// ---- what is done without a value

TEST("each end of a read has its status") {
  CHECK(OutcomeOf(ReadEnd::kValue).ok());
  CHECK_EQ(OutcomeOf(ReadEnd::kOutOfWindow).status, Status::kOutOfWindow);
  CHECK_EQ(OutcomeOf(ReadEnd::kRetries).status, Status::kRetries);
  CHECK_EQ(OutcomeOf(ReadEnd::kDisrupted).status, Status::kDisrupted);
  CHECK_EQ(OutcomeOf(ReadEnd::kUnpublished).status, Status::kUnpublished);
  CHECK_EQ(OutcomeOf(ReadEnd::kUnusable).status, Status::kUnusable);
}

TEST("a policy says whether it asked the kernel, waits a bounded time, and does neither for a lost page") {
  struct Script {
    ReadEnd end;
    uint32_t value_at;  // the reading that has a value, from 1; 0: none has
    uint32_t reads = 0;
    ReadEnd operator()(int64_t* ns) {
      if (++reads != value_at) return end;
      *ns = 42;
      return ReadEnd::kValue;
    }
  };
  bool asked_kernel = false;
  bool lost = false;
  const auto run = [&](Script* script, OutOfWindow policy, int64_t* ns) {
    return ReadWithPolicy([&](int64_t* out) { return (*script)(out); }, [&] { return lost; }, policy,
                          CLOCK_MONOTONIC, ns, &asked_kernel);
  };
  for (uint32_t policy = 0; policy < kOutOfWindowPolicies; policy++) {
    int64_t ns = kNothing;
    Script has{ReadEnd::kRetries, 1};
    CHECK(run(&has, static_cast<OutOfWindow>(policy), &ns).ok());
    CHECK_EQ(ns, 42);
    CHECK_EQ(has.reads, 1);
    CHECK(!asked_kernel);
    for (const ReadEnd end : {ReadEnd::kRetries, ReadEnd::kUnpublished}) {
      if (end == ReadEnd::kRetries && static_cast<OutOfWindow>(policy) == OutOfWindow::kSystemCall) continue;
      ns = kNothing;
      Script none{end, 0};
      CHECK_EQ(run(&none, static_cast<OutOfWindow>(policy), &ns).status, OutcomeOf(end).status);
      CHECK_EQ(ns, kNothing);
      CHECK_EQ(none.reads, 1);
      CHECK(!asked_kernel);
    }
    // What a page that is gone last held tells nothing, and no writer comes.
    lost = true;
    for (const ReadEnd end : {ReadEnd::kOutOfWindow, ReadEnd::kDisrupted, ReadEnd::kUnpublished}) {
      ns = kNothing;
      Script gone{end, 2};
      CHECK_EQ(run(&gone, static_cast<OutOfWindow>(policy), &ns).status, Status::kPageLost);
      CHECK_EQ(ns, kNothing);
      CHECK_EQ(gone.reads, 1);
    }
    lost = false;
  }
  for (const ReadEnd end : {ReadEnd::kOutOfWindow, ReadEnd::kDisrupted, ReadEnd::kRetries}) {
    timespec before, after;
    Script call{end, 0};
    int64_t ns = kNothing;
    CHECK_EQ(ClockGettime(ClockPath::kSyscall, CLOCK_MONOTONIC, &before), 0);
    CHECK(run(&call, OutOfWindow::kSystemCall, &ns).ok());
    CHECK_EQ(ClockGettime(ClockPath::kSyscall, CLOCK_MONOTONIC, &after), 0);
    CHECK(ToNanoseconds(before) <= ns && ns <= ToNanoseconds(after));
    CHECK(asked_kernel);
  }
  for (const ReadEnd end : {ReadEnd::kOutOfWindow, ReadEnd::kDisrupted}) {
    int64_t ns = kNothing;
    Script error{end, 2};
    CHECK_EQ(run(&error, OutOfWindow::kError, &ns).status, OutcomeOf(end).status);
    CHECK_EQ(ns, kNothing);
    CHECK_EQ(error.reads, 1);

    Script spin{end, 100};
    CHECK(run(&spin, OutOfWindow::kSpin, &ns).ok());
    CHECK_EQ(ns, 42);
    CHECK_EQ(spin.reads, 100);
    Script ever{end, 0};
    CHECK_EQ(run(&ever, OutOfWindow::kSpin, &ns).status, OutcomeOf(end).status);
    CHECK_EQ(ever.reads, 1 + kMostPolicySpins);
  }
  int64_t ns = kNothing;
  const auto none = [](int64_t*) { return ReadEnd::kOutOfWindow; };
  const Outcome outcome = ReadWithPolicy(
      none, [] { return false; }, OutOfWindow::kSystemCall, 1'000, &ns, &asked_kernel);
  CHECK_EQ(outcome.status, Status::kSystemCall);
  CHECK_EQ(outcome.error_number, EINVAL);
  CHECK_EQ(ns, kNothing);
}

// ---- pages of hypervisors

template <class Word>
void StoreAs(uint8_t* page, uint64_t at, Word value) {
  std::atomic_ref<Word>(*reinterpret_cast<Word*>(page + at)).store(value, std::memory_order_relaxed);
}

struct VmclockWords {
  uint64_t counter = 1'000, period = uint64_t{1} << 54, seconds = 50, fraction = 0;
  uint8_t shift = 20;  // with this period 2^30 Hz: a cycle is 2^34 / 2^64 s
  uint8_t counter_id = 1, status = 2;
};

// At the offsets of vmclock-abi.h, written out.
void StoreVmclock(uint8_t* page, const VmclockWords& words) {
  StoreAs<uint8_t>(page, 0x0a, words.counter_id);
  StoreAs<uint8_t>(page, 0x22, words.status);
  StoreAs<uint8_t>(page, 0x27, words.shift);
  StoreAs<uint64_t>(page, 0x28, words.counter);
  StoreAs<uint64_t>(page, 0x30, words.period);
  StoreAs<uint64_t>(page, 0x48, words.seconds);
  StoreAs<uint64_t>(page, 0x50, words.fraction);
}

struct VmclockResult {
  ReadEnd end;
  VmclockReading reading;
  uint64_t retries = 0;
};

VmclockResult ReadVmclockAt(const VmclockWords& words, uint64_t cycles) {
  alignas(64) uint8_t page[vmclock::kReadBytes] = {};
  StoreVmclock(page, words);
  StoreAs<uint32_t>(page, 0x0c, 4);
  StoreAs<uint64_t>(page, 0x10, 33);
  VmclockResult result;
  result.end = ReadVmclock(page, HandCounter{cycles}, 3, &result.reading, &result.retries);
  return result;
}

TEST("VMClock: the marker is the one from before the counter, so that a disruption at the counter shows") {
  alignas(64) uint8_t page[vmclock::kReadBytes] = {};
  StoreVmclock(page, {});
  StoreAs<uint32_t>(page, 0x0c, 4);
  StoreAs<uint64_t>(page, 0x10, 33);
  // The count is the same: a guest that is moved finds another host's, which may be equal.
  const HandCounter counter{1'003, [&](int) { StoreAs<uint64_t>(page, 0x10, 34); }};
  VmclockReading reading;
  uint64_t retries = 0;
  CHECK_EQ(ReadVmclock(page, counter, 3, &reading, &retries), ReadEnd::kValue);
  CHECK_EQ(counter.reads, 1);
  CHECK_EQ(reading.disruption_marker, 33);
}

TEST("VMClock: the value is time + (delta * period >> shift) in 2^-64 s, rounded down, carried to seconds") {
  const uint64_t cycle = uint64_t{1} << 34;
  const struct {
    VmclockWords words;
    uint64_t cycles, seconds, fraction;
  } rows[] = {
      {{}, 1'000, 50, 0},
      {{}, 1'003, 50, 3 * cycle},
      {{}, 1'000 + (uint64_t{5} << 30) + 7, 55, 7 * cycle},
      {{.fraction = 0 - cycle}, 1'000, 50, 0 - cycle},
      {{.fraction = 0 - cycle}, 1'001, 51, 0},
      {{.fraction = 0 - cycle}, 1'003, 51, 2 * cycle},
      {{.fraction = 0 - cycle}, 1'000 + (uint64_t{1} << 30) - 1, 51, 0 - 2 * cycle},
      // Half a unit is left behind.
      {{.period = 3, .shift = 1}, 1'001, 50, 1},
      {{.period = 3, .shift = 1}, 1'002, 50, 3},
      {{.period = 3, .shift = 0}, 1'001, 50, 3},
      // All of the product's 128 bits: (2^63 - 1) * (2^64 - 1) = 2^127 - 2^64 - 2^63 + 1, whose upper half is
      // 2^63 - 2 and whose lower half 2^63 + 1.
      {{.period = ~uint64_t{0}, .shift = 0}, 1'000 + kBit63 - 1, 50 + kBit63 - 2, kBit63 + 1},
      {{.period = ~uint64_t{0}, .shift = 64}, 1'000 + kBit63 - 1, 50, kBit63 - 2},
      {{.period = ~uint64_t{0}, .shift = 125}, 1'000 + kBit63 - 1, 50, 3},
      {{.period = ~uint64_t{0}, .shift = 126}, 1'000 + kBit63 - 1, 50, 1},
      {{.period = ~uint64_t{0}, .shift = 127}, 1'000 + kBit63 - 1, 50, 0},
      {{.period = ~uint64_t{0}, .fraction = 9, .shift = 128}, 1'000 + kBit63 - 1, 50, 9},
      {{.period = ~uint64_t{0}, .fraction = 9, .shift = 191}, 1'000 + kBit63 - 1, 50, 9},
      {{.period = ~uint64_t{0}, .fraction = 9, .shift = 255}, 1'000 + kBit63 - 1, 50, 9},
      // A counter that wraps through zero.
      {{.counter = ~uint64_t{0}}, 1, 50, 2 * cycle},
  };
  for (const auto& row : rows) {
    const VmclockResult result = ReadVmclockAt(row.words, row.cycles);
    CHECK_EQ(result.end, ReadEnd::kValue);
    CHECK_EQ(result.reading.seconds, row.seconds);
    CHECK_EQ(result.reading.fraction, row.fraction);
    CHECK_EQ(result.reading.cycles, row.cycles);
    CHECK_EQ(result.reading.count, 4);
    CHECK_EQ(result.reading.disruption_marker, 33);
    CHECK_EQ(result.retries, 0);
  }
}

TEST("VMClock: a counter behind the page's is refused, and a period of zero is no clock") {
  for (const uint64_t behind : {uint64_t{1}, uint64_t{1'000}, uint64_t{1'001}, kBit63}) {
    CHECK_EQ(ReadVmclockAt({}, 1'000 - behind).end, ReadEnd::kOutOfWindow);
  }
  CHECK_EQ(ReadVmclockAt({}, 1'000 + (kBit63 - 1)).end, ReadEnd::kValue);
  CHECK_EQ(ReadVmclockAt({.period = 0}, 1'000).end, ReadEnd::kUnpublished);
  CHECK_EQ(ReadVmclockAt({.period = 0}, 999).end, ReadEnd::kUnpublished);
}

TEST("VMClock: a page of another counter, or whose clock is not known to run, is not read") {
  for (const uint32_t counter : {0u, 2u, 0xffu}) {
    CHECK_EQ(ReadVmclockAt({.counter_id = static_cast<uint8_t>(counter)}, 1'000).end, ReadEnd::kUnusable);
  }
  for (const uint32_t status : {0u, 1u, 4u, 5u, 0xffu}) {
    CHECK_EQ(ReadVmclockAt({.status = static_cast<uint8_t>(status)}, 1'000).end, ReadEnd::kUnusable);
    // It says so also of a period or a counter that would be refused for themselves.
    CHECK_EQ(ReadVmclockAt({.period = 0, .status = static_cast<uint8_t>(status)}, 9).end, ReadEnd::kUnusable);
  }
  for (const uint8_t status : {2, 3}) CHECK_EQ(ReadVmclockAt({.status = status}, 1'000).end, ReadEnd::kValue);
}

TEST("VMClock: a count that stays odd is given up after so many waits, and one that changes makes a retry") {
  alignas(64) uint8_t page[vmclock::kReadBytes] = {};
  StoreVmclock(page, {});
  StoreAs<uint32_t>(page, 0x0c, 3);
  VmclockReading reading;
  uint64_t retries = 0;
  const HandCounter stuck{1'000};
  CHECK_EQ(ReadVmclock(page, stuck, 5, &reading, &retries), ReadEnd::kRetries);
  CHECK_EQ(retries, 5);
  CHECK_EQ(stuck.reads, 0);
  CHECK_EQ(ReadVmclock(page, stuck, 0, &reading, &retries), ReadEnd::kRetries);

  // Half of an update is there at the first reading, all of it at the second, and quiet is only the third.
  for (const uint32_t step : {2u, 1u << 16, 1u << 30}) {
    StoreVmclock(page, {});
    StoreAs<uint32_t>(page, 0x0c, 4);
    retries = 0;
    const HandCounter busy{2'000, [&](int number) {
                             if (number > 2) return;
                             StoreVmclock(page, {.counter = 2'000, .seconds = number == 1 ? 50u : 60u});
                             StoreAs<uint32_t>(page, 0x0c, 4 + static_cast<uint32_t>(number) * step);
                             StoreAs<uint64_t>(page, 0x10, 30 + static_cast<uint64_t>(number));
                           }};
    CHECK_EQ(ReadVmclock(page, busy, 10, &reading, &retries), ReadEnd::kValue);
    CHECK_EQ(reading.seconds, 60);
    CHECK_EQ(reading.fraction, 0);
    CHECK_EQ(reading.count, 4 + 2 * step);
    CHECK_EQ(reading.disruption_marker, 32);
    CHECK_EQ(retries, 2);
  }
  uint32_t count = 6;
  StoreAs<uint32_t>(page, 0x0c, count);
  const HandCounter ever{2'000, [&](int) { StoreAs<uint32_t>(page, 0x0c, count += 2); }};
  CHECK_EQ(ReadVmclock(page, ever, 10, &reading, &retries), ReadEnd::kRetries);
  CHECK_EQ(ever.reads, 10);
}

struct PvclockWords {
  uint64_t timestamp = 1'000, system_time = 70'000;
  uint32_t mul = 1u << 31;
  int8_t shift = 1;  // with this mul a nanosecond a cycle
  uint8_t flags = 1;
};

// At the offsets of struct pvclock_vcpu_time_info, written out.
void StorePvclock(uint8_t* page, const PvclockWords& words) {
  StoreAs<uint64_t>(page, 8, words.timestamp);
  StoreAs<uint64_t>(page, 16, words.system_time);
  StoreAs<uint32_t>(page, 24, words.mul);
  StoreAs<int8_t>(page, 28, words.shift);
  StoreAs<uint8_t>(page, 29, words.flags);
}

struct PvclockResult {
  ReadEnd end;
  PvclockReading reading;
  uint64_t retries = 0;
};

PvclockResult ReadPvclockAt(const PvclockWords& words, uint64_t cycles) {
  alignas(64) uint8_t page[pvclock::kReadBytes] = {};
  StorePvclock(page, words);
  StoreAs<uint32_t>(page, 0, 6);
  PvclockResult result;
  result.end = ReadPvclock(page, HandCounter{cycles}, 3, &result.reading, &result.retries);
  return result;
}

TEST("pvclock: the difference is shifted, then multiplied in 128 bits, each rounded down") {
  const struct {
    PvclockWords words;
    uint64_t delta, elapsed;
  } rows[] = {
      {{}, 0, 0},
      {{}, 3, 3},
      {{.shift = 0}, 3, 1},   // 1.5
      {{.shift = -1}, 3, 0},  // 1 of 1.5, and half of that
      {{.shift = -1}, 4, 1},
      {{.shift = -1}, 7, 1},
      {{.mul = ~uint32_t{0}, .shift = -1}, 3, 0},  // (2^32 - 1) / 2^32; one floor would give 1
      {{.mul = ~uint32_t{0}, .shift = 0}, 2, 1},
      {{.mul = 1, .shift = 31}, 1, 0},
      {{.mul = 1, .shift = 32}, 1, 1},
      {{.mul = 1, .shift = 63}, 1, uint64_t{1} << 31},
      {{.shift = 63}, 1, uint64_t{1} << 62},
      {{.shift = 24}, uint64_t{1} << 39, uint64_t{1} << 62},        // 2^63 * 2^31: a product of 94 bits
      {{.shift = 24}, (uint64_t{1} << 40) + 2, uint64_t{1} << 24},  // the shift drops bit 64
      {{.shift = 64}, 1, 0},
      {{.shift = 127}, ~uint64_t{0} >> 1, 0},
      {{.shift = -62}, ~uint64_t{0} >> 1, 0},  // one, and half of it
      {{.shift = -61}, ~uint64_t{0} >> 1, 1},
      {{.shift = -63}, ~uint64_t{0} >> 1, 0},
      {{.mul = ~uint32_t{0}, .shift = -64}, ~uint64_t{0} >> 1, 0},
      {{.mul = ~uint32_t{0}, .shift = -128}, ~uint64_t{0} >> 1, 0},
  };
  for (const auto& row : rows) {
    const PvclockResult result = ReadPvclockAt(row.words, 1'000 + row.delta);
    CHECK_EQ(result.end, ReadEnd::kValue);
    CHECK_EQ(result.reading.ns, 70'000 + row.elapsed);
    CHECK_EQ(result.reading.cycles, 1'000 + row.delta);
    CHECK_EQ(result.reading.version, 6);
    CHECK_EQ(result.reading.flags, 1);
    CHECK_EQ(result.retries, 0);
  }
  CHECK_EQ(ReadPvclockAt({.timestamp = ~uint64_t{0}}, 4).reading.ns, 70'005);
}

TEST("pvclock: unless the host says that it is stable, or where the counter is behind, there is no value") {
  for (const uint8_t flags : {0, 2, 0xfe}) {
    CHECK_EQ(ReadPvclockAt({.flags = flags}, 1'000).end, ReadEnd::kUnusable);
  }
  CHECK_EQ(ReadPvclockAt({.flags = 0xff}, 1'000).end, ReadEnd::kValue);
  CHECK_EQ(ReadPvclockAt({}, 999).end, ReadEnd::kOutOfWindow);
  CHECK_EQ(ReadPvclockAt({}, 1'000 + kBit63).end, ReadEnd::kOutOfWindow);
  CHECK_EQ(ReadPvclockAt({.mul = 0}, 1'000).end, ReadEnd::kUnpublished);
  CHECK_EQ(ReadPvclockAt({.mul = 0, .flags = 0}, 1'000).end, ReadEnd::kUnpublished);
}

TEST(
    "pvclock: a version that stays odd is given up after so many waits, and one that changes makes a retry") {
  alignas(64) uint8_t page[pvclock::kReadBytes] = {};
  StorePvclock(page, {});
  StoreAs<uint32_t>(page, 0, 7);
  PvclockReading reading;
  uint64_t retries = 0;
  const HandCounter stuck{1'000};
  CHECK_EQ(ReadPvclock(page, stuck, 5, &reading, &retries), ReadEnd::kRetries);
  CHECK_EQ(retries, 5);
  CHECK_EQ(stuck.reads, 0);

  StoreAs<uint32_t>(page, 0, 6);
  retries = 0;
  const HandCounter busy{2'000, [&](int number) {
                           if (number > 2) return;
                           StorePvclock(page,
                                        {.timestamp = 2'000, .system_time = number == 1 ? 70'000u : 71'000u});
                           StoreAs<uint32_t>(page, 0, 6 + 2 * static_cast<uint32_t>(number));
                         }};
  CHECK_EQ(ReadPvclock(page, busy, 10, &reading, &retries), ReadEnd::kValue);
  CHECK_EQ(reading.ns, 71'000);
  CHECK_EQ(reading.version, 10);
  CHECK_EQ(retries, 2);
}

}  // namespace
}  // namespace latchclock::test
