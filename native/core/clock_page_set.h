#pragma once

#include "clock_page_reader.h"

namespace latchclock {

// Every clock of a page: of one copy, at one reading of the counter.
struct SetReading {
  uint64_t cycles = 0;
  uint64_t generation = 0;           // 0 where no generation is asked for
  int64_t bound_ns = -1;             // -1: the writer states none
  int64_t ns[kClockSlotCount] = {};  // by the clocks' numbers; 0 where a clock is not asked for
};

inline constexpr uint32_t kAllClocks = (1u << kClockSlotCount) - 1;
// The bound has the form of a clock.
inline constexpr ClockSlot kBoundSlot = {clock_page::kBoundGroup, clock_page::kBoundWhole};

// The clocks that the page's header names, bit n for clock n.
inline uint32_t ClocksOf(const uint8_t* page) {
  // The upper half of the word that starts 4 bytes before.
  return static_cast<uint32_t>(LoadWord(page, clock_page::kClocksAt - 4) >> 32) & kAllClocks;
}

// The copy that gave a reading: what the reader's protocol says of its count and its counter. If the count is
// still that one, the windows are those by which the reader chose.
inline uint64_t CopyOfReading(ReaderProtocol protocol, const uint8_t* page, const ClockReading& reading) {
  if (protocol == ReaderProtocol::kSeqlock) return 0;
  const uint64_t first = reading.count & 1;
  if (protocol != ReaderProtocol::kTwoWindow || (reading.count & 2) != 0) return first;
  const uint64_t window = WindowAt(first);
  const uint64_t delta = reading.cycles - LoadWord(page, window + clock_page::kBaseIn);
  return delta < LoadWord(page, window + clock_page::kMaxDeltaIn) ? first : first ^ 1;
}

// whole + ((delta * mult + fraction) >> shift) + 1: rounded up, and never less for being too large. -1 where
// none is stated.
inline int64_t BoundAt(uint64_t delta, const CopyWords& words) {
  if (static_cast<int64_t>(words.whole) < 0) return -1;
  const auto sum = static_cast<unsigned __int128>(delta) * words.mult + words.fraction;
  const auto bound = (sum >> (words.shift & 63)) + words.whole + 1;
  return bound < INT64_MAX ? static_cast<int64_t>(bound) : INT64_MAX;
}

// Reads the clocks of the set `clocks` (bit n: clock n; at least one) with `read`, which is the reader of
// that kind, of a protocol that is not literal. It reads the first of them, and so finds the copy and the
// counter; the words of the others are of the same copy if the count is the same once they are loaded. The
// limits are those of the whole.
template <class Counter>
ReadEnd ReadSet(ReadFunction<Counter> read, const ReaderKind& kind, const uint8_t* page, uint32_t clocks,
                const uint8_t* generation, const Counter& counter, const ReadLimits& limits, SetReading* set,
                uint64_t* retries) {
  const ClockSlot first = kClockSlots[__builtin_ctz(clocks)];
  uint64_t spent = 0;
  while (spent < limits.most_tries && spent < limits.most_spins) {
    const auto rest = static_cast<uint32_t>(spent);
    ClockReading reading;
    uint64_t thrown_away = 0;
    const ReadEnd end = read(page, first, generation, counter,
                             {limits.most_tries - rest, limits.most_spins - rest}, &reading, &thrown_away);
    *retries += thrown_away;
    spent += thrown_away;
    set->cycles = reading.cycles;
    set->generation = reading.generation;
    if (end != ReadEnd::kValue) return end;
    const uint64_t copy = CopyOfReading(kind.protocol, page, reading);
    CopyWords words[kClockSlotCount], bound;
    for (uint32_t clock = 0; clock < kClockSlotCount; clock++) {
      if ((clocks & (1u << clock)) != 0)
        LoadCopy<false, false>(page, kClockSlots[clock], copy, &words[clock]);
    }
    LoadCopy<false, false>(page, kBoundSlot, copy, &bound);
    // As in the readers: a word that a later update stored brings with it the count that tells.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (__builtin_expect(LoadWord(page, clock_page::kCountAt) != reading.count, 0)) {
      ++*retries;
      spent++;
      continue;
    }
    // Another host's page may have the same count. The reader has held this against the copy's tag.
    if (kind.generation != ReaderGeneration::kNone && LoadWord(generation, 0) != reading.generation) {
      return ReadEnd::kDisrupted;
    }
    const bool clamps = kind.protocol == ReaderProtocol::kSeqlock || kind.protocol == ReaderProtocol::kLatch;
    const uint64_t cycles = clamps ? Clamped(reading.cycles, reading.words.base) : reading.cycles;
    for (uint32_t clock = 0; clock < kClockSlotCount; clock++) {
      if ((clocks & (1u << clock)) == 0) continue;
      if (!IsPublished(words[clock])) return ReadEnd::kUnpublished;
      set->ns[clock] = static_cast<int64_t>(kind.wide ? WideArithmetic::Nanoseconds(cycles, words[clock])
                                                      : NarrowArithmetic::Nanoseconds(cycles, words[clock]));
    }
    // A bound that does not grow has a mult of 0.
    if (!IsWritten(bound)) return ReadEnd::kUnpublished;
    set->bound_ns = BoundAt(cycles - bound.base, bound);
    return ReadEnd::kValue;
  }
  return ReadEnd::kRetries;
}

}  // namespace latchclock
