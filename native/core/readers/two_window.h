#pragma once

#include "reading.h"

namespace latchclock {

// `two-window`: bit 0 of the count says which copy to try first, bit 1 that the other one is not to be tried.
// Both copies may hold at once, each in its own window, so that a change takes effect at an exact tick of the
// counter.
template <class Arithmetic, class Generation, class Counter = HardwareCounter, Words kWords = Words::kNeeded>
struct TwoWindowReader {
  static ReadEnd Read(const uint8_t* page, ClockSlot slot, const Generation& generation,
                      const Counter& counter, const ReadLimits& limits, ClockReading* reading,
                      uint64_t* retries) {
    constexpr bool kTag = Generation::kTagged || kWords == Words::kAll;
    for (uint32_t tries = 0; tries < limits.most_tries; tries++) {
      reading->generation = generation.Load();
      // Acquire: no copy is loaded before the count that chooses it.
      const uint64_t count = LoadWord(page, clock_page::kCountAt, std::memory_order_acquire);
      const uint64_t first = count & 1;
      LoadCopy<true, kTag>(page, slot, first, &reading->words);
      // One reading for both windows: they do not overlap, so that at most one of them has it.
      reading->cycles = counter.Read();
      uint64_t delta = reading->cycles - reading->words.base;
      if (__builtin_expect(delta >= reading->words.max_delta && (count & 2) == 0, 0)) {
        LoadCopy<true, kTag>(page, slot, first ^ 1, &reading->words);
        delta = reading->cycles - reading->words.base;
      }
      // Orders the loads of both copies before the second load of the count.
      std::atomic_thread_fence(std::memory_order_acquire);
      if (__builtin_expect(LoadWord(page, clock_page::kCountAt) != count, 0)) {
        ++*retries;
        continue;
      }
      reading->count = count;
      if (!generation.Holds(reading->generation, reading->words)) return ReadEnd::kDisrupted;
      if (__builtin_expect(delta >= reading->words.max_delta, 0)) return ReadEnd::kOutOfWindow;
      return Evaluate<Arithmetic>(reading->cycles, reading);
    }
    return ReadEnd::kRetries;
  }
};

}  // namespace latchclock
