#pragma once

#include "reading.h"

namespace latchclock {

// `latch`: two copies, the count's lowest bit says which one is read while the other is written. Nobody waits
// for a writer. No window: a copy is believed however old it is.
template <class Arithmetic, class Generation, class Counter = HardwareCounter, Words kWords = Words::kNeeded>
struct LatchReader {
  static ReadEnd Read(const uint8_t* page, ClockSlot slot, const Generation& generation,
                      const Counter& counter, const ReadLimits& limits, ClockReading* reading,
                      uint64_t* retries) {
    for (uint32_t tries = 0; tries < limits.most_tries; tries++) {
      reading->generation = generation.Load();
      // Acquire: the copy is not loaded before the count that chooses it.
      const uint64_t count = LoadWord(page, clock_page::kCountAt, std::memory_order_acquire);
      LoadCopy<kWords == Words::kAll, Generation::kTagged || kWords == Words::kAll>(page, slot, count & 1,
                                                                                    &reading->words);
      reading->cycles = counter.Read();
      // Orders the loads of the copy before the second load of the count: pairs with the writer's release
      // fence between its last flip and its stores into this copy.
      std::atomic_thread_fence(std::memory_order_acquire);
      if (__builtin_expect(LoadWord(page, clock_page::kCountAt) != count, 0)) {
        ++*retries;
        continue;
      }
      reading->count = count;
      if (!generation.Holds(reading->generation, reading->words)) return ReadEnd::kDisrupted;
      return Evaluate<Arithmetic>(Clamped(reading->cycles, reading->words.base), reading);
    }
    return ReadEnd::kRetries;
  }
};

}  // namespace latchclock
