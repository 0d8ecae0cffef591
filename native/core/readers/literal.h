#pragma once

#include "reading.h"

namespace latchclock {

// Broken on purpose, and bounded by nothing that the mails have: `reading->ns` keeps what it held where they
// leave their loops without a value, and they claim kValue all the same.

// The seed's sketch as written: `continue` in a do-while goes to the condition, so that an unchanged count
// ends the loop without a value.
template <class Arithmetic, class Generation, class Counter = HardwareCounter, Words kWords = Words::kNeeded>
struct LiteralLatchWindowReader {
  static ReadEnd Read(const uint8_t* page, ClockSlot slot, const Generation& generation,
                      const Counter& counter, const ReadLimits& limits, ClockReading* reading,
                      uint64_t* retries) {
    uint32_t tries = 0;
    uint64_t count;
    do {
      if (tries++ == limits.most_tries) return ReadEnd::kRetries;
      *retries += tries > 1;
      reading->generation = generation.Load();
      count = LoadWord(page, clock_page::kCountAt, std::memory_order_acquire);
      LoadCopy<true, Generation::kTagged || kWords == Words::kAll>(page, slot, count & 1, &reading->words);
      reading->cycles = counter.Read();
      const uint64_t delta = reading->cycles - reading->words.base;
      if (delta >= reading->words.max_delta) continue;
      reading->ns = static_cast<int64_t>(Arithmetic::Nanoseconds(reading->cycles, reading->words));
    } while (
        (std::atomic_thread_fence(std::memory_order_acquire), LoadWord(page, clock_page::kCountAt) != count));
    reading->count = count;
    return ReadEnd::kValue;
  }
};

// The follow-up's sketch with its two slips, taken here as: the delta is compared with the copy's base, and
// the loop goes on while the count is the same, so that it ends with a copy that has just been rewritten.
template <class Arithmetic, class Generation, class Counter = HardwareCounter, Words kWords = Words::kNeeded>
struct LiteralTwoWindowReader {
  static ReadEnd Read(const uint8_t* page, ClockSlot slot, const Generation& generation,
                      const Counter& counter, const ReadLimits& limits, ClockReading* reading,
                      uint64_t* retries) {
    uint32_t tries = 0;
    uint64_t count;
    do {
      if (tries++ == limits.most_tries) return ReadEnd::kRetries;
      *retries += tries > 1;
      reading->generation = generation.Load();
      count = LoadWord(page, clock_page::kCountAt, std::memory_order_acquire);
      LoadCopy<true, Generation::kTagged || kWords == Words::kAll>(page, slot, count & 1, &reading->words);
      reading->cycles = counter.Read();
      uint64_t delta = reading->cycles - reading->words.base;
      if (delta >= reading->words.base) {
        if ((count & 2) != 0) continue;
        LoadCopy<true, Generation::kTagged || kWords == Words::kAll>(page, slot, (count & 1) ^ 1,
                                                                     &reading->words);
        delta = reading->cycles - reading->words.base;
        if (delta >= reading->words.base) continue;
      }
      reading->ns = static_cast<int64_t>(Arithmetic::Nanoseconds(reading->cycles, reading->words));
    } while (
        (std::atomic_thread_fence(std::memory_order_acquire), LoadWord(page, clock_page::kCountAt) == count));
    reading->count = count;
    return ReadEnd::kValue;
  }
};

}  // namespace latchclock
