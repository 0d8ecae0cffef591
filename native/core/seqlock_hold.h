#pragma once

#include "clock_page_writer.h"
#include "counter.h"
#include "readers/reading.h"

namespace latchclock {

// How an update of a seqlock at its base ended.
enum class HoldEnd {
  kInTime,  // no reader has a counter at or past the base with the old copy
  kLate,    // published, but the page was held too late for that
  kTooFar,  // the base lies too far ahead: the page was left as it was
};

// How far ahead a base may lie, cycles: 27 ms at 5 GHz, 134 ms at 1 GHz.
inline constexpr uint64_t kFurthestBase = uint64_t{1} << 27;
// From when on readers are made to wait, cycles before the base.
inline constexpr uint64_t kHeldBefore = 4096;
// A reader's second load of the count may execute before its counter is read, by what a CPU holds in flight.
inline constexpr uint64_t kInFlight = 1024;

// Turns of a pause and a reading of the counter, which are 30 cycles or more: above kFurthestBase, for a
// counter that stands. The page is held for fewer.
inline constexpr uint32_t kMostOpenSpins = 1u << 23;
inline constexpr uint32_t kMostHeldSpins = 1u << 20;

// seqlock, held to an exact tick: a reader has the old copy with a counter before image.base, and the new one
// with a counter from there on, whatever the rates are. Waits until shortly before the base with the page
// open, then with the count odd until the counter is there, and stores. A base that has been reached is
// published at once, and late. Follows a writer that died anywhere, as PublishSeqlock does.
template <class Counter = HardwareCounter, class Pause = NoPause>
inline HoldEnd PublishSeqlockAtBase(uint8_t* page, const CopyImage& image, const Counter& counter = {},
                                    Pause&& pause = {}) {
  const auto until = [&] { return static_cast<int64_t>(image.base - counter.Read()); };
  const auto wait = [&](uint64_t before, uint32_t most_spins) {
    for (uint32_t spin = 0; spin < most_spins; spin++) {
      if (until() <= static_cast<int64_t>(before)) return true;
      _mm_pause();
    }
    return false;
  };
  if (until() > static_cast<int64_t>(kFurthestBase) || !wait(kHeldBefore, kMostOpenSpins)) {
    return HoldEnd::kTooFar;
  }
  const uint64_t found = LoadWord(page, clock_page::kCountAt);
  const uint64_t odd = (found & 1) != 0 ? found + 2 : found + 1;
  StoreWord(page, clock_page::kCountAt, odd);
  pause();
  // Full: the odd count is seen by all before the counter is read.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const bool in_time = until() >= static_cast<int64_t>(kInFlight);
  const bool reached = wait(0, kMostHeldSpins);
  if (reached) StoreCopy(page, 0, image, pause);
  // A counter that stands: the old copy holds on, unless a writer died in it.
  if (reached || (found & 1) == 0) {
    // Release: the copy is seen by whoever sees the even count.
    StoreWord(page, clock_page::kCountAt, odd + 1, std::memory_order_release);
    pause();
  }
  return !reached ? HoldEnd::kTooFar : in_time ? HoldEnd::kInTime : HoldEnd::kLate;
}

}  // namespace latchclock
