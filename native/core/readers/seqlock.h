#pragma once

#include "reading.h"

namespace latchclock {

// The protocol of every seqlock page: the kernel's, a VMClock, a pvclock, ours. `page.Count(order)` loads the
// count, odd while a writer writes; `page.Begin()`, if there is one, comes before that in every turn;
// `page.Take()` loads what is wanted; what `page.WhileOdd()` returns false
// for is given up at once. False if the bound ran out, or it was given up. `retries` grows by the copies
// thrown away.
template <class Page>
[[gnu::always_inline]] inline bool SeqlockLoop(Page&& page, uint32_t most_spins, uint64_t* retries) {
  for (uint32_t spin = 0; spin < most_spins; spin++) {
    if constexpr (requires { page.Begin(); }) page.Begin();
    // Acquire: nothing that is taken is loaded before the count.
    const auto count = page.Count(std::memory_order_acquire);
    if (__builtin_expect((count & 1) != 0, 0)) {
      if (!page.WhileOdd()) return false;
      _mm_pause();
      ++*retries;
      continue;
    }
    page.Take();
    // Orders the loads above before the second load of the count: pairs with the writer's barriers.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (__builtin_expect(page.Count(std::memory_order_relaxed) == count, 1)) {
      page.Accept(count);
      return true;
    }
    ++*retries;
  }
  return false;
}

// `seqlock` on our page: one copy, the first; no window.
template <class Arithmetic, class Generation, class Counter = HardwareCounter, Words kWords = Words::kNeeded>
struct SeqlockReader {
  static ReadEnd Read(const uint8_t* page, ClockSlot slot, const Generation& generation,
                      const Counter& counter, const ReadLimits& limits, ClockReading* reading,
                      uint64_t* retries) {
    struct Page {
      const uint8_t* page;
      ClockSlot slot;
      const Generation& generation;
      const Counter& counter;
      ClockReading* reading;
      uint64_t waits = 0;

      uint64_t Count(std::memory_order order) const { return LoadWord(page, clock_page::kCountAt, order); }
      bool WhileOdd() {
        waits++;
        return true;
      }
      // Before the count: behind it, a count of the old host could be taken with the new host's generation,
      // and its tags. A generation that changes afterwards is seen by Holds below.
      [[gnu::always_inline]] void Begin() const { reading->generation = generation.Load(); }
      [[gnu::always_inline]] void Take() const {
        LoadCopy<kWords == Words::kAll, Generation::kTagged || kWords == Words::kAll>(page, slot, 0,
                                                                                      &reading->words);
        reading->cycles = counter.Read();
      }
      void Accept(uint64_t count) const { reading->count = count; }
    };
    Page taken{page, slot, generation, counter, reading};
    const bool ended = SeqlockLoop(taken, limits.most_spins, retries);
    reading->waits = taken.waits;
    if (!ended) return ReadEnd::kRetries;
    if (!generation.Holds(reading->generation, reading->words)) return ReadEnd::kDisrupted;
    return Evaluate<Arithmetic>(Clamped(reading->cycles, reading->words.base), reading);
  }
};

}  // namespace latchclock
