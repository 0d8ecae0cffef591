#pragma once

#include "reading.h"

namespace latchclock {

// `latch-window`, the seed's: a latch whose copies say how long they hold. One comparison finds a counter
// past the window's end and one behind its base, since the difference is unsigned.
template <class Arithmetic, class Generation, class Counter = HardwareCounter, Words kWords = Words::kNeeded>
struct LatchWindowReader {
  static ReadEnd Read(const uint8_t* page, ClockSlot slot, const Generation& generation,
                      const Counter& counter, const ReadLimits& limits, ClockReading* reading,
                      uint64_t* retries) {
    for (uint32_t tries = 0; tries < limits.most_tries; tries++) {
      reading->generation = generation.Load();
      // Acquire: the copy is not loaded before the count that chooses it.
      const uint64_t count = LoadWord(page, clock_page::kCountAt, std::memory_order_acquire);
      LoadCopy<true, Generation::kTagged || kWords == Words::kAll>(page, slot, count & 1, &reading->words);
      reading->cycles = counter.Read();
      // As in LatchReader.
      std::atomic_thread_fence(std::memory_order_acquire);
      if (__builtin_expect(LoadWord(page, clock_page::kCountAt) != count, 0)) {
        ++*retries;
        continue;
      }
      reading->count = count;
      if (!generation.Holds(reading->generation, reading->words)) return ReadEnd::kDisrupted;
      // Judged only now: words of a copy that was thrown away may have been anything. At or past maxDelta
      // refuses, so that a maxDelta of 0 disables the copy.
      const uint64_t delta = reading->cycles - reading->words.base;
      if (__builtin_expect(delta >= reading->words.max_delta, 0)) return ReadEnd::kOutOfWindow;
      return Evaluate<Arithmetic>(reading->cycles, reading);
    }
    return ReadEnd::kRetries;
  }
};

}  // namespace latchclock
