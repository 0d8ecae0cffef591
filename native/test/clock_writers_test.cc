#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "../core/clock_page_reader.h"
#include "../core/clock_page_writer.h"
#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

using Wide = unsigned __int128;

constexpr uint64_t kGeneration = 7;
constexpr int64_t kNothing = -0x7777;
constexpr uint32_t kWords = 0x300 / 8;  // all that a page's writers and readers touch

using Snapshot = std::array<uint64_t, kWords>;

class OurPage {
 public:
  OurPage() { StoreWord(bytes_, clock_page::kGenerationAt, kGeneration); }
  explicit OurPage(const Snapshot& snapshot) { Become(snapshot); }

  uint8_t* bytes() { return bytes_; }
  uint64_t count() const { return LoadWord(bytes_, clock_page::kCountAt); }
  void SetCount(uint64_t count) { StoreWord(bytes_, clock_page::kCountAt, count); }
  Snapshot Snap() const {
    Snapshot snapshot;
    for (uint32_t i = 0; i < kWords; i++) snapshot[i] = LoadWord(bytes_, 8 * i);
    return snapshot;
  }
  void Become(const Snapshot& snapshot) {
    for (uint32_t i = 0; i < kWords; i++) StoreWord(bytes_, 8 * i, snapshot[i]);
  }

 private:
  alignas(64) uint8_t bytes_[clock_page::kBytes] = {};
};

uint64_t CountOf(const Snapshot& snapshot) { return snapshot[clock_page::kCountAt / 8]; }

// Publication number k: every word but the window follows from k, so that words of two show in the value.
// Inside the narrow arithmetic.
CopyImage ImageOf(uint64_t k, uint64_t base, uint64_t max_delta) {
  Random random(1'000 + k);
  const auto group = [&] {
    GroupWords words;
    words.mult = 1 + random.Below(1 << 22);
    words.shift = 1 + random.Below(10);
    words.fraction = random.Below(uint64_t{1} << words.shift);
    return words;
  };
  const auto whole = [&] { return static_cast<int64_t>(random.Next()) >> 1; };
  CopyImage image;
  image.base = base;
  image.max_delta = max_delta;
  image.tag = kGeneration;
  image.shared = group();
  image.realtime = group();
  image.smeared = group();
  image.raw = group();
  image.monotonic = whole();
  image.boottime = whole();
  image.tai = whole();
  image.sane = whole();
  image.realtime_whole = whole();
  image.smeared_whole = whole();
  image.raw_whole = whole();
  image.bound = group();
  image.bound_whole = whole();
  return image;
}

bool HasWindow(ReaderProtocol protocol) {
  return protocol == ReaderProtocol::kLatchWindow || protocol == ReaderProtocol::kTwoWindow;
}

bool InWindow(const CopyImage& image, uint64_t cycles) { return cycles - image.base < image.max_delta; }

// What clock number `clock` of a publication is at a counter: in integers that cannot overflow, by a
// division.
int64_t Exact(const CopyImage& image, uint32_t clock, uint64_t cycles) {
  const GroupWords* const groups[] = {&image.raw,    &image.shared,  &image.shared,  &image.shared,
                                      &image.shared, &image.smeared, &image.realtime};
  const int64_t wholes[] = {image.raw_whole, image.monotonic,     image.boottime,      image.tai,
                            image.sane,      image.smeared_whole, image.realtime_whole};
  const GroupWords& group = *groups[clock];
  // A counter behind the base reads as the base.
  const uint64_t delta = static_cast<int64_t>(cycles - image.base) < 0 ? 0 : cycles - image.base;
  const Wide scaled = Wide{delta} * group.mult + group.fraction;
  return wholes[clock] + static_cast<int64_t>(scaled / (Wide{1} << group.shift));
}

// The page after a store, and the last publication that had begun.
struct Moment {
  Snapshot page;
  size_t begun;
};

// All that was published, and the page after each store.
class History {
 public:
  OurPage page;
  std::vector<CopyImage> images;
  std::vector<Moment> moments;

  // The writers' hook.
  auto Pause() {
    return [this] { moments.push_back({page.Snap(), images.size() - 1}); };
  }
};

struct Writing {
  ReaderProtocol protocol;  // whose writer
  bool overlap = false, kept_first = false;
};

constexpr Writing kWritings[] = {{ReaderProtocol::kSeqlock},
                                 {ReaderProtocol::kLatch},
                                 {ReaderProtocol::kTwoWindow, false, false},
                                 {ReaderProtocol::kTwoWindow, false, true},
                                 {ReaderProtocol::kTwoWindow, true, false}};

// Readers of a page that is written so.
std::vector<ReaderKind> ReadersOf(const Writing& writing) {
  std::vector<ReaderProtocol> protocols = {writing.protocol};
  if (writing.protocol == ReaderProtocol::kLatch) protocols.push_back(ReaderProtocol::kLatchWindow);
  std::vector<ReaderKind> kinds;
  for (const ReaderProtocol protocol : protocols) {
    kinds.push_back({protocol, ReaderGeneration::kNone, false});
    kinds.push_back({protocol, ReaderGeneration::kTagged, true});
  }
  return kinds;
}

constexpr uint64_t kStep = 1'000;

// Publication number `k`: windows of kStep cycles that touch, or that overlap where the writing is so.
CopyImage ImageFor(const Writing& writing, uint64_t k) {
  return ImageOf(k, 100'000 + k * (writing.overlap ? kStep / 2 : kStep), kStep);
}

// Publishes the next image. `cycles` is where the writer finds the counter, for a two-window page.
void PublishOn(History* history, const Writing& writing) {
  const CopyImage image = ImageFor(writing, history->images.size());
  history->images.push_back(image);
  uint8_t* page = history->page.bytes();
  switch (writing.protocol) {
    case ReaderProtocol::kSeqlock:
      return PublishSeqlock(
          page, [&] { return image; }, history->Pause());
    case ReaderProtocol::kTwoWindow:
      return PublishTwoWindow(page, TwoWindowKeep(page), image, writing.overlap, writing.kept_first,
                              history->Pause());
    default:
      return PublishLatch(page, image, history->Pause());
  }
}

// Two publications that are over, and then `more`, whose moments are kept. The first is alone on its page.
History Publish(const Writing& writing, size_t more) {
  History history;
  Writing alone = writing;
  alone.overlap = true;
  const CopyImage first = ImageFor(writing, 0);
  history.images.push_back(first);
  if (writing.protocol == ReaderProtocol::kTwoWindow) {
    PublishTwoWindow(history.page.bytes(), 1, first, true, false);
  } else {
    history.images.pop_back();
    PublishOn(&history, alone);
  }
  PublishOn(&history, writing);
  history.moments.clear();
  history.moments.push_back({history.page.Snap(), 1});
  for (size_t i = 0; i < more; i++) {
    // In the window of the last one: that of the one before, whose copy is written, is over.
    PublishOn(&history, writing);
  }
  return history;
}

// Counters around all bases and ends.
std::vector<uint64_t> CountersAround(const History& history) {
  std::vector<uint64_t> counters;
  for (const CopyImage& image : history.images) {
    for (const uint64_t at : {uint64_t{0}, uint64_t{1}, kStep / 2 + 100, kStep - 1}) {
      counters.push_back(image.base + at);
    }
  }
  counters.push_back(history.images.front().base - 1);
  counters.push_back(history.images.back().base + kStep);
  return counters;
}

// Stands still; the page becomes another moment's when it is read first.
struct JumpingCounter {
  uint64_t cycles;
  OurPage* page = nullptr;
  const Snapshot* then = nullptr;
  mutable bool jumped = false;

  uint64_t Read() const {
    if (then != nullptr && !jumped) page->Become(*then);
    jumped = true;
    return cycles;
  }
};

struct Result {
  ReadEnd end = ReadEnd::kValue;
  int64_t ns = kNothing;
};

Result Read(const ReaderKind& kind, OurPage* page, uint32_t clock, const JumpingCounter& counter) {
  ClockReading reading;
  reading.ns = kNothing;
  uint64_t retries = 0;
  ReadLimits limits;
  limits.most_tries = limits.most_spins = 4;
  Result result;
  result.end = FindReader<JumpingCounter>(kind)(page->bytes(), kClockSlots[clock],
                                                page->bytes() + clock_page::kGenerationAt, counter, limits,
                                                &reading, &retries);
  result.ns = reading.ns;
  return result;
}

// Whether that is the value of one of the publications from number `from` to number `to`, in its window if
// the protocol has windows, or no value.
bool IsWhole(const History& history, const ReaderKind& kind, const Result& result, uint32_t clock,
             uint64_t cycles, size_t from, size_t to) {
  if (result.end != ReadEnd::kValue) {
    return result.ns == kNothing && (result.end == ReadEnd::kOutOfWindow || result.end == ReadEnd::kRetries);
  }
  for (size_t k = from; k <= to; k++) {
    const CopyImage& image = history.images[k];
    if (HasWindow(kind.protocol) && !InWindow(image, cycles)) continue;
    if (Exact(image, clock, cycles) == result.ns) return true;
  }
  return false;
}

// Whether a count sends readers to a copy.
bool Offers(ReaderProtocol protocol, uint64_t count, uint64_t copy) {
  if (protocol == ReaderProtocol::kSeqlock) return copy == 0 && (count & 1) == 0;
  if (protocol == ReaderProtocol::kTwoWindow && (count & 2) == 0) return true;
  return (count & 1) == copy;
}

// Holds each store against the count that readers find at it: never into a copy that it sends them to.
bool StoresAreHidden(const Writing& writing, const Snapshot& start, const std::vector<Moment>& moments) {
  const Snapshot* last = &start;
  for (const Moment& moment : moments) {
    for (uint64_t word = 0; word < kWords; word++) {
      if (moment.page[word] == (*last)[word] || word == clock_page::kCountAt / 8) continue;
      const bool in_window = 8 * word < clock_page::kCopiesAt;
      const uint64_t copy = in_window ? (8 * word - clock_page::kWindowsAt) / clock_page::kWindowStride
                                      : (8 * word - clock_page::kCopiesAt) / clock_page::kCopyStride;
      if (!CHECK(copy < 2) || !CHECK(!Offers(writing.protocol, CountOf(*last), copy))) return false;
    }
    last = &moment.page;
  }
  return true;
}

// ---- single stores

TEST(
    "a copy is stored word by word, each once and in its place by version 2 of the page, shifts with the "
    "mark") {
  // Written out: wholes, and mult, fraction, shift of a group.
  CopyImage image;
  image.base = 1, image.max_delta = 2, image.tag = 3;
  image.monotonic = 0x1'00, image.boottime = 0x1'08, image.tai = 0x1'10, image.sane = 0x1'18;
  image.shared = {0x1'28, 0x1'30, 0x1'38};
  image.realtime_whole = 0x1'40;
  image.realtime = {0x1'48, 0x1'50, 0x1'58};
  image.smeared_whole = 0x1'60;
  image.smeared = {0x1'68, 0x1'70, 0x1'78};
  image.raw_whole = 0x1'80;
  image.raw = {0x1'88, 0x1'90, 0x1'98};
  image.bound_whole = 0x1'a0;
  image.bound = {0x1'a8, 0x1'b0, 0x1'b8};
  for (const uint64_t copy : {uint64_t{0}, uint64_t{1}}) {
    OurPage page;
    const Snapshot before = page.Snap();
    Snapshot last = before, expected = before;
    for (const uint64_t at : {0, 1, 2}) expected[(0x50 + 24 * copy) / 8 + at] = 1 + at;
    for (uint64_t at = 0; at < 0xc0; at += 8) {
      if (at != 0x20) expected[(0x100 + 0x100 * copy + at) / 8] = 0x100 + at;
    }
    for (const uint64_t at : {0x38, 0x58, 0x78, 0x98, 0xb8}) {
      expected[(0x100 + 0x100 * copy + at) / 8] |= uint64_t{1} << 63;
    }
    uint32_t stores = 0;
    StoreCopy(page.bytes(), copy, image, [&] {
      const Snapshot now = page.Snap();
      uint32_t changed = 0;
      for (uint32_t word = 0; word < kWords; word++) changed += now[word] != last[word];
      CHECK_EQ(changed, 1);
      last = now;
      stores++;
    });
    CHECK_EQ(stores, 26);
    CHECK(page.Snap() == expected);
  }
}

TEST("a pause comes after every store of an update, the counts included") {
  for (const Writing& writing : kWritings) {
    const History history = Publish(writing, 1);
    // The words of a copy, the count behind it, and before it where there is one.
    CHECK_EQ(history.moments.size() - 1, writing.protocol == ReaderProtocol::kLatch ? 27 : 28);
    for (size_t i = 1; i < history.moments.size(); i++) {
      uint32_t changed = 0;
      for (uint32_t word = 0; word < kWords; word++) {
        changed += history.moments[i].page[word] != history.moments[i - 1].page[word];
      }
      // Some words of an image are those of the one before the last.
      CHECK(changed <= 1);
    }
  }
}

TEST("no store is into a copy that the count sends readers to") {
  for (const Writing& writing : kWritings) {
    const History history = Publish(writing, 4);
    StoresAreHidden(writing, history.moments.front().page, history.moments);
  }
}

TEST("at each store a reader has the value from before or the one from after, never of both") {
  for (const Writing& writing : kWritings) {
    const History history = Publish(writing, 4);
    const std::vector<uint64_t> counters = CountersAround(history);
    for (const ReaderKind& kind : ReadersOf(writing)) {
      for (const Moment& moment : history.moments) {
        OurPage page(moment.page);
        for (uint32_t clock = 0; clock < kClockSlotCount; clock++) {
          for (const uint64_t cycles : counters) {
            const Result result = Read(kind, &page, clock, {cycles});
            const size_t from = moment.begun - 1;
            if (!CHECK(IsWhole(history, kind, result, clock, cycles, from, moment.begun))) return;
          }
        }
      }
    }
  }
}

TEST("latch: at each store of an update the reader has the old value, until the flip, without waiting") {
  const Writing writing{ReaderProtocol::kLatch};
  const History history = Publish(writing, 4);
  for (const ReaderKind& kind : ReadersOf(writing)) {
    for (size_t i = 0; i < history.moments.size(); i++) {
      const bool flipped = i % 27 == 0;  // the first moment is from before the updates
      const CopyImage& image = history.images[history.moments[i].begun - (flipped ? 0 : 1)];
      OurPage page(history.moments[i].page);
      for (uint32_t clock = 0; clock < kClockSlotCount; clock++) {
        for (const uint64_t cycles : CountersAround(history)) {
          const Result result = Read(kind, &page, clock, {cycles});
          if (HasWindow(kind.protocol) && !InWindow(image, cycles)) {
            if (!CHECK_EQ(result.end, ReadEnd::kOutOfWindow)) return;
          } else {
            if (!CHECK_EQ(result.end, ReadEnd::kValue)) return;
            if (!CHECK_EQ(result.ns, Exact(image, clock, cycles))) return;
          }
        }
      }
    }
  }
}

TEST("two-window: at each store the kept copy can be read, and after the last one those that are offered") {
  for (const Writing& writing : kWritings) {
    if (writing.protocol != ReaderProtocol::kTwoWindow) continue;
    const History history = Publish(writing, 4);
    for (const ReaderKind& kind : ReadersOf(writing)) {
      for (size_t i = 0; i < history.moments.size(); i++) {
        const size_t begun = history.moments[i].begun;
        const bool over = i % 28 == 0;
        const CopyImage& kept = history.images[begun - 1];
        const CopyImage& made = history.images[begun];
        OurPage page(history.moments[i].page);
        for (uint32_t clock = 0; clock < kClockSlotCount; clock++) {
          for (const uint64_t cycles : CountersAround(history)) {
            const Result result = Read(kind, &page, clock, {cycles});
            const bool by_kept = InWindow(kept, cycles) && !(over && writing.overlap);
            const bool by_made = over && InWindow(made, cycles);
            if (!by_kept && !by_made) {
              if (!CHECK_EQ(result.end, ReadEnd::kOutOfWindow)) return;
            } else {
              if (!CHECK_EQ(result.end, ReadEnd::kValue)) return;
              if (!CHECK_EQ(result.ns, Exact(by_made ? made : kept, clock, cycles))) return;
            }
          }
        }
      }
    }
  }
}

TEST(
    "seqlock: between the first store and the last one there is no value; around them there is the right "
    "one") {
  const Writing writing{ReaderProtocol::kSeqlock};
  const History history = Publish(writing, 3);
  for (const ReaderKind& kind : ReadersOf(writing)) {
    for (size_t i = 0; i < history.moments.size(); i++) {
      OurPage page(history.moments[i].page);
      for (uint32_t clock = 0; clock < kClockSlotCount; clock++) {
        const CopyImage& image = history.images[history.moments[i].begun];
        const Result result = Read(kind, &page, clock, {image.base + 17});
        if (i % 28 != 0) {
          if (!CHECK_EQ(result.end, ReadEnd::kRetries)) return;
        } else if (!CHECK_EQ(result.ns, Exact(image, clock, image.base + 17))) {
          return;
        }
      }
    }
  }
}

// From any store to any later one, in the middle of a read. `lag`: how many publications before the last that
// had begun may still be the current one.
void CheckJumps(const History& history, const Writing& writing, size_t lag, size_t stride) {
  const std::vector<Moment>& moments = history.moments;
  const std::vector<uint64_t> counters = CountersAround(history);
  size_t turn = 0;
  for (const ReaderKind& kind : ReadersOf(writing)) {
    for (size_t i = 0; i < moments.size(); i += stride) {
      for (size_t j = i; j < moments.size(); j++) {
        const auto clock = static_cast<uint32_t>(turn++ % kClockSlotCount);
        for (const uint64_t cycles : counters) {
          OurPage page(moments[i].page);
          const JumpingCounter counter{cycles, &page, &moments[j].page};
          const Result result = Read(kind, &page, clock, counter);
          const size_t from = moments[i].begun - lag;
          if (!CHECK(IsWhole(history, kind, result, clock, cycles, from, moments[j].begun))) return;
        }
      }
    }
  }
}

TEST("a writer that goes on from any of its stores to any later one during a read leaves no torn value") {
  for (const Writing& writing : kWritings) {
    const History history = Publish(writing, 3);
    CheckJumps(history, writing, 1, kSanitized ? 5 : 1);
  }
}

// ---- deaths

TEST("a writer that dies at any store is followed by one whose every store leaves only whole values") {
  for (const Writing& writing : kWritings) {
    const History alive = Publish(writing, 1);
    for (size_t store = 1; store < alive.moments.size(); store++) {
      History history = alive;
      const Moment death = alive.moments[store];
      history.page.Become(death.page);
      history.moments = {death};
      PublishOn(&history, writing);
      if (!StoresAreHidden(writing, death.page, history.moments)) return;
      const std::vector<uint64_t> counters = CountersAround(history);
      for (const ReaderKind& kind : ReadersOf(writing)) {
        for (const Moment& moment : history.moments) {
          OurPage page(moment.page);
          for (uint32_t clock = 0; clock < kClockSlotCount; clock++) {
            for (const uint64_t at : counters) {
              const Result result = Read(kind, &page, clock, {at});
              // From before the death, the dead one's if it came that far, or the successor's.
              if (!CHECK(IsWhole(history, kind, result, clock, at, 1, moment.begun))) return;
            }
          }
        }
        // And once it is through, its own value.
        OurPage page(history.moments.back().page);
        const CopyImage& made = history.images.back();
        for (uint32_t clock = 0; clock < kClockSlotCount; clock++) {
          const Result result = Read(kind, &page, clock, {made.base + 5});
          if (!CHECK_EQ(result.end, ReadEnd::kValue)) return;
          if (!CHECK_EQ(result.ns, Exact(made, clock, made.base + 5))) return;
        }
      }
      // The dead writer's publication, and its own, may both be unfinished.
      if (store % (kSanitized ? 6 : 1) == 0) CheckJumps(history, writing, 2, kSanitized ? 8 : 3);
    }
  }
}

TEST("two writers that die one after another, each at any store, leave only whole values to a third") {
  for (const Writing& writing : kWritings) {
    const History alive = Publish(writing, 1);
    size_t turn = 0;
    for (size_t store = 1; store < alive.moments.size(); store++) {
      History second = alive;
      second.moments.clear();
      second.page.Become(alive.moments[store].page);
      PublishOn(&second, writing);
      for (size_t again = 0; again < second.moments.size(); again += kSanitized ? 5 : 1) {
        History third = second;
        third.moments.clear();
        third.page.Become(second.moments[again].page);
        PublishOn(&third, writing);
        if (!StoresAreHidden(writing, second.moments[again].page, third.moments)) return;
        for (const ReaderKind& kind : ReadersOf(writing)) {
          for (const Moment& moment : third.moments) {
            const auto clock = static_cast<uint32_t>(turn++ % kClockSlotCount);
            OurPage page(moment.page);
            for (size_t k = 0; k < third.images.size(); k++) {
              const uint64_t at = third.images[k].base + kStep / 4;
              const Result result = Read(kind, &page, clock, {at});
              if (!CHECK(IsWhole(third, kind, result, clock, at, 1, moment.begun))) return;
            }
          }
        }
      }
    }
  }
}

TEST("seqlock: the odd count of a successor is not that of the writer that died") {
  OurPage page;
  page.SetCount(6);
  std::vector<uint64_t> counts;
  const auto note = [&] {
    if (counts.empty() || counts.back() != page.count()) counts.push_back(page.count());
  };
  const auto image = [&] {
    CHECK_EQ(page.count() & 1, 1);
    return ImageOf(0, 100, 100);
  };
  PublishSeqlock(page.bytes(), image, note);
  CHECK(counts == std::vector<uint64_t>({7, 8}));
  counts.clear();
  page.SetCount(7);
  PublishSeqlock(page.bytes(), image, note);
  CHECK(counts == std::vector<uint64_t>({9, 10}));
  counts.clear();
  page.SetCount(~uint64_t{0});
  PublishSeqlock(page.bytes(), image, note);
  CHECK(counts == std::vector<uint64_t>({1, 2}));
}

// ---- counts

TEST("seqlock: the segment is made with the write side held, before any word of the copy is stored") {
  OurPage page;
  PublishSeqlock(page.bytes(), [] { return ImageOf(0, 100, 100); });
  const Snapshot before = page.Snap();
  uint32_t made = 0;
  PublishSeqlock(page.bytes(), [&] {
    made++;
    Snapshot expected = before;
    expected[clock_page::kCountAt / 8]++;
    CHECK(page.Snap() == expected);
    return ImageOf(1, 100, 100);
  });
  CHECK_EQ(made, 1);
  CHECK_EQ(page.count(), 4);
}

TEST("latch: the count moves by one, after the copy that it sends readers to is stored") {
  OurPage page;
  for (const uint64_t start : {uint64_t{0}, uint64_t{1}, (uint64_t{1} << 32) - 1, ~uint64_t{0}}) {
    page.SetCount(start);
    uint32_t stores = 0;
    const uint64_t copy = (start + 1) & 1;
    PublishLatch(page.bytes(), ImageOf(start & 7, 100, 100), [&] {
      stores++;
      CHECK_EQ(page.count(), stores < 27 ? start : start + 1);
      if (stores == 26)
        CHECK_EQ(LoadWord(page.bytes(), CopyAt(copy) + clock_page::kBoundWhole),
                 static_cast<uint64_t>(ImageOf(start & 7, 100, 100).bound_whole));
    });
    CHECK_EQ(stores, 27);
  }
}

TEST("two-window: the number above the two bits moves on with every store, and never into them") {
  for (const uint64_t number : {uint64_t{0}, uint64_t{1}, (uint64_t{1} << 30) - 1, uint64_t{1} << 40}) {
    for (uint64_t low = 0; low < 4; low++) {
      for (const bool only : {false, true}) {
        for (const uint64_t first : {uint64_t{0}, uint64_t{1}}) {
          CHECK_EQ(NextTwoWindowCount(4 * number + low, only, first),
                   4 * number + 4 + (only ? 2 : 0) + first);
        }
      }
    }
  }
  // The last number is followed by the first one.
  CHECK_EQ(NextTwoWindowCount(~uint64_t{0}, true, 0), 2);
  CHECK_EQ(NextTwoWindowCount(~uint64_t{0} - 3, false, 1), 1);
}

TEST("two-window: only the kept copy is offered during an update, and afterwards what was asked for") {
  for (const uint64_t keep : {uint64_t{0}, uint64_t{1}}) {
    for (const bool overlap : {false, true}) {
      for (const bool kept_first : {false, true}) {
        OurPage page;
        page.SetCount(4 * 20 + 3);
        uint32_t stores = 0;
        PublishTwoWindow(page.bytes(), keep, ImageOf(1, 100, 100), overlap, kept_first, [&] {
          if (++stores < 28) CHECK_EQ(page.count(), 4 * 21 + 2 + keep);
        });
        CHECK_EQ(stores, 28);
        const uint64_t other = keep ^ 1;
        CHECK_EQ(page.count(), 4 * 22 + (overlap ? 2 + other : kept_first ? keep : other));
        CHECK_EQ(LoadWord(page.bytes(), WindowAt(other) + clock_page::kBaseIn), 100);
        CHECK_EQ(LoadWord(page.bytes(), WindowAt(keep) + clock_page::kBaseIn), 0);
      }
    }
  }
}

TEST("two-window: a writer keeps the only copy offered, else the one that starts later") {
  OurPage page;
  for (const uint64_t later : {uint64_t{0}, uint64_t{1}}) {
    // Of two that touch, across the counter's zero too.
    for (const uint64_t base : {uint64_t{1'000}, ~uint64_t{0} - 500, (uint64_t{1} << 63) - 500}) {
      StoreCopy(page.bytes(), later ^ 1, ImageOf(0, base, 1'000));
      StoreCopy(page.bytes(), later, ImageOf(1, base + 1'000, 1'000));
      for (const uint64_t first : {uint64_t{0}, uint64_t{1}}) {
        page.SetCount(8 + first);
        CHECK_EQ(TwoWindowKeep(page.bytes()), later);
        page.SetCount(8 + 2 + first);
        CHECK_EQ(TwoWindowKeep(page.bytes()), first);
      }
    }
  }
}

TEST(
    "two-window: of two copies a writer keeps the one of the page's generation, wherever the counter was "
    "moved") {
  for (const uint8_t source : {uint8_t{0}, clock_page::kGenerationInPage, uint8_t{2}}) {
    for (const uint64_t later : {uint64_t{0}, uint64_t{1}}) {
      for (const uint64_t moved : {uint64_t{0}, uint64_t{1}}) {
        OurPage page;
        page.bytes()[clock_page::kGenerationSourceAt] = source;
        StoreWord(page.bytes(), clock_page::kGenerationAt, 6);
        for (const uint64_t copy : {uint64_t{0}, uint64_t{1}}) {
          CopyImage image = ImageOf(copy, copy == later ? 2'000 : 1'000, 1'000);
          image.tag = copy == moved ? 6 : 5;
          StoreCopy(page.bytes(), copy, image);
        }
        for (const uint64_t first : {uint64_t{0}, uint64_t{1}}) {
          page.SetCount(8 + first);
          CHECK_EQ(TwoWindowKeep(page.bytes()), source == clock_page::kGenerationInPage ? moved : later);
          // The only one offered is kept whatever its generation: readers may be sent to no other.
          page.SetCount(8 + 2 + first);
          CHECK_EQ(TwoWindowKeep(page.bytes()), first);
        }
        // Of a generation that neither has, bases are all there is to go by.
        StoreWord(page.bytes(), clock_page::kGenerationAt, 7);
        page.SetCount(8);
        CHECK_EQ(TwoWindowKeep(page.bytes()), later);
      }
    }
  }
}

TEST(
    "a copy of another generation is refused by a tagged reader at each store of the update that brings it") {
  for (const Writing& writing : kWritings) {
    History history = Publish(writing, 0);
    CopyImage image = ImageFor(writing, 2);
    image.tag = kGeneration + 1;
    history.images.push_back(image);
    history.moments.clear();
    uint8_t* bytes = history.page.bytes();
    if (writing.protocol == ReaderProtocol::kSeqlock) {
      PublishSeqlock(
          bytes, [&] { return image; }, history.Pause());
    } else if (writing.protocol == ReaderProtocol::kLatch) {
      PublishLatch(bytes, image, history.Pause());
    } else {
      PublishTwoWindow(bytes, TwoWindowKeep(bytes), image, writing.overlap, writing.kept_first,
                       history.Pause());
    }
    for (ReaderKind kind : ReadersOf(writing)) {
      kind.generation = ReaderGeneration::kTagged;
      for (const uint64_t generation : {kGeneration, kGeneration + 1}) {
        for (const Moment& moment : history.moments) {
          OurPage page(moment.page);
          StoreWord(page.bytes(), clock_page::kGenerationAt, generation);
          for (const uint64_t cycles : CountersAround(history)) {
            const Result result = Read(kind, &page, 1, {cycles});
            if (result.end != ReadEnd::kValue) continue;
            // A value is one of its own generation.
            const size_t from = generation == kGeneration ? 0 : 2;
            const size_t to = generation == kGeneration ? 1 : 2;
            if (!CHECK(IsWhole(history, kind, result, 1, cycles, from, to))) return;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace latchclock::test
