#pragma once

#include <cstdint>

#include "clock_page.h"

namespace latchclock {

// The words of a copy but for the clocks' own whole nanoseconds, which stand beside.
struct GroupWords {
  uint64_t mult = 0;
  uint64_t fraction = 0;  // nanoseconds scaled by 2^shift, below 2^shift
  uint64_t shift = 0;     // 0..63
};

// All that a writer puts into one copy.
struct CopyImage {
  uint64_t base = 0;
  uint64_t max_delta = 0;
  uint64_t tag = 0;   // the generation, loaded before the counter was read for `base`
  GroupWords shared;  // of monotonic, boottime, tai and sane-realtime: one rate, one fraction
  GroupWords realtime, smeared, raw;
  int64_t monotonic = 0, boottime = 0, tai = 0, sane = 0;
  int64_t realtime_whole = 0, smeared_whole = 0, raw_whole = 0;
  // How far any clock may be from its source's at the same counter, less the nanosecond by which readers
  // round it up. A negative whole: the writer states none.
  GroupWords bound;
  int64_t bound_whole = -1;
};

// Whether readers may compute modulo 2^64 on this page: its header says so.
inline bool NarrowIsKept(const uint8_t* page) { return page[clock_page::kArithmeticAt] == 1; }

// What every reader relies on, and none checks: a window of 2^63 cycles at most, shifts below 64, fractions
// below one unit, and on a page for narrow readers (maxDelta - 1) * mult + fraction < 2^64.
inline bool IsWithinBounds(const CopyImage& image, bool narrow) {
  if (image.max_delta > uint64_t{1} << 63) return false;
  for (const GroupWords& group : {image.shared, image.realtime, image.smeared, image.raw, image.bound}) {
    if (group.shift > 63 || group.fraction >> group.shift != 0) return false;
    if (!narrow || image.max_delta == 0) continue;
    const auto largest = static_cast<unsigned __int128>(image.max_delta - 1) * group.mult + group.fraction;
    if (largest >> 64 != 0) return false;
  }
  return true;
}

// Called between any two stores of an update, so that a test can stop a writer there.
struct NoPause {
  void operator()() const {}
};

// Stores a copy. Relaxed: what comes before and after it in each protocol brings the order.
template <class Pause = NoPause>
inline void StoreCopy(uint8_t* page, uint64_t copy, const CopyImage& image, Pause&& pause = {}) {
  const uint64_t window = WindowAt(copy);
  const uint64_t data = CopyAt(copy);
  const auto store = [&](uint64_t at, uint64_t value) {
    StoreWord(page, at, value);
    pause();
  };
  // The mark first: zeros that come into a file between two of these stores, since it is cut short, leave the
  // mark only if they leave all that is stored after it.
  const auto group = [&](uint64_t at, const GroupWords& words) {
    store(data + at + clock_page::kShiftIn, words.shift | clock_page::kWritten);
    store(data + at + clock_page::kMultIn, words.mult);
    store(data + at + clock_page::kFractionIn, words.fraction);
  };
  const auto whole = [&](uint64_t at, int64_t ns) { store(data + at, static_cast<uint64_t>(ns)); };
  store(window + clock_page::kBaseIn, image.base);
  store(window + clock_page::kMaxDeltaIn, image.max_delta);
  store(window + clock_page::kTagIn, image.tag);
  group(clock_page::kSharedGroup, image.shared);
  whole(clock_page::kMonotonicWhole, image.monotonic);
  whole(clock_page::kBoottimeWhole, image.boottime);
  whole(clock_page::kTaiWhole, image.tai);
  whole(clock_page::kSaneWhole, image.sane);
  group(clock_page::kRealtimeGroup, image.realtime);
  whole(clock_page::kRealtimeWhole, image.realtime_whole);
  group(clock_page::kSmearedGroup, image.smeared);
  whole(clock_page::kSmearedWhole, image.smeared_whole);
  group(clock_page::kRawGroup, image.raw);
  whole(clock_page::kRawWhole, image.raw_whole);
  group(clock_page::kBoundGroup, image.bound);
  whole(clock_page::kBoundWhole, image.bound_whole);
}

// There is one writer at a time. Each function is a whole update, and may follow a writer that died anywhere
// in one: what it reads of the page is the count, and it never writes a copy that the count sends readers to.

// seqlock. `image(odd)` is called with the write side held, so that the counter can be read there: then no
// reader has a counter at or past the new base with the old copy. For that the odd count must be seen by all
// before the counter is read, hence the full fence; without it (a base chosen before) a release fence would
// do.
template <class MakeImage, class Pause = NoPause>
inline void PublishSeqlock(uint8_t* page, MakeImage&& image, Pause&& pause = {}) {
  // Odd already if a writer died half-way: the copy is whole again at the end, and readers waited all the
  // time. Two further, so that a reader that saw the dead writer's odd count does not take it for ours.
  const uint64_t found = LoadWord(page, clock_page::kCountAt);
  const uint64_t odd = (found & 1) != 0 ? found + 2 : found + 1;
  StoreWord(page, clock_page::kCountAt, odd);
  pause();
  // Full: orders the odd count before the stores below (for readers), and before the counter that `image`
  // reads.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  StoreCopy(page, 0, image(), pause);
  // Release: the copy is seen by whoever sees the even count.
  StoreWord(page, clock_page::kCountAt, odd + 1, std::memory_order_release);
  pause();
}

// latch. Writes the copy that readers are not sent to, then sends them there: one flip an update. (The
// kernel's latch writes both copies, with a flip before each. A writer that dies between leaves a
// half-written copy behind the next flip of a successor that does not know; here none can.)
template <class Pause = NoPause>
inline void PublishLatch(uint8_t* page, const CopyImage& image, Pause&& pause = {}) {
  const uint64_t count = LoadWord(page, clock_page::kCountAt);
  // Release fence, with the acquire fence of the readers: whoever sees a store below into the copy sees the
  // flip that sent readers away from it, also when it was another writer's, since a successor starts after
  // its death.
  std::atomic_thread_fence(std::memory_order_release);
  StoreCopy(page, (count & 1) ^ 1, image, pause);
  // Release: the copy is seen by whoever is sent to it.
  StoreWord(page, clock_page::kCountAt, count + 1, std::memory_order_release);
  pause();
}

// The count of two-window: bits 0 and 1 as readers take them, and above them a number that every store moves
// on.
inline uint64_t NextTwoWindowCount(uint64_t count, bool only, uint64_t first) {
  return (((count >> 2) + 1) << 2) | (only ? 2u : 0u) | first;
}

// two-window. `image` replaces the copy that is not `keep`; the kept one stays. With `overlap` false the two
// windows are disjoint and both are offered, the kept one first if `kept_first`. With `overlap` true (a
// change at once, inside the kept copy's window) only the new copy is offered, and readers whose counter is
// behind its base have to wait.
template <class Pause = NoPause>
inline void PublishTwoWindow(uint8_t* page, uint64_t keep, const CopyImage& image, bool overlap,
                             bool kept_first, Pause&& pause = {}) {
  uint64_t count = LoadWord(page, clock_page::kCountAt);
  // Readers are sent away from the copy that will be written.
  count = NextTwoWindowCount(count, true, keep);
  StoreWord(page, clock_page::kCountAt, count, std::memory_order_release);
  pause();
  // Release fence, with the acquire fence of the readers: whoever sees a store into the copy sees that count.
  std::atomic_thread_fence(std::memory_order_release);
  StoreCopy(page, keep ^ 1, image, pause);
  count = NextTwoWindowCount(count, overlap, !overlap && kept_first ? keep : keep ^ 1);
  // Release: the copy is seen by whoever is sent to it.
  StoreWord(page, clock_page::kCountAt, count, std::memory_order_release);
  pause();
}

// The copy of a two-window page that a writer must keep: the only one offered, else the one of the page's
// generation; if both are, the one that starts later. After a death at any point it is whole. (Not the one
// whose window has the counter: time goes on between that look and the first store, and a reader may have
// used the later one by then.) The bases of two generations say nothing of each other: where the counter was
// moved down, the copy of before starts later, and a writer that kept it would lose what readers got since.
inline uint64_t TwoWindowKeep(const uint8_t* page) {
  const uint64_t count = LoadWord(page, clock_page::kCountAt);
  const uint64_t first = count & 1;
  if ((count & 2) != 0) return first;
  const auto tag = [&](uint64_t copy) { return LoadWord(page, WindowAt(copy) + clock_page::kTagIn); };
  if (page[clock_page::kGenerationSourceAt] == clock_page::kGenerationInPage && tag(0) != tag(1)) {
    const uint64_t generation = LoadWord(page, clock_page::kGenerationAt);
    if (tag(first) == generation) return first;
    if (tag(first ^ 1) == generation) return first ^ 1;
  }
  const auto base = [&](uint64_t copy) { return LoadWord(page, WindowAt(copy) + clock_page::kBaseIn); };
  return static_cast<int64_t>(base(first ^ 1) - base(first)) > 0 ? first ^ 1 : first;
}

}  // namespace latchclock
