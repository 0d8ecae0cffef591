#pragma once

#include <cstdint>

#include "../clock_page.h"
#include "../counter.h"

namespace latchclock {

// How a read of our page ended. A value is returned by kValue only.
enum class ReadEnd : uint32_t {
  kValue = 0,
  kOutOfWindow = 1,  // a consistent copy, but the counter is in no window of it
  kRetries = 2,      // the bound on tries ran out: a writer stopped half-way, or published all the while
  kDisrupted = 3,    // the copy was computed for another generation of the counter
  // A mult of zero, or no mark of a writer: nothing was published yet, or the page's file was cut short.
  kUnpublished = 4,
  // Pages of other makers only: the page says of itself that it is not to be read, by another counter's
  // number, by the clock's status, or by a flag that is missing.
  kUnusable = 5,
};
inline constexpr uint32_t kReadEnds = 6;

// The words of a copy that one read used. The mark of the writer stands in `shift`.
struct CopyWords {
  uint64_t base = 0, max_delta = 0, tag = 0, mult = 0, fraction = 0, shift = 0, whole = 0;
};

inline bool IsWritten(const CopyWords& words) { return static_cast<int64_t>(words.shift) < 0; }

struct ClockReading {
  int64_t ns = 0;
  uint64_t cycles = 0;
  uint64_t count = 0;
  uint64_t generation = 0;  // 0 where no generation is asked for
  uint64_t waits = 0;       // turns in which a writer was waited for: a seqlock's only
  CopyWords words;
};

inline constexpr uint32_t kMostSpins = 1u << 26;

struct ReadLimits {
  // Copies thrown away at the most. A try is some 20 ns; a writer at full rate leaves one in some tens alone.
  uint32_t most_tries = 1u << 20;
  // Waits for a seqlock's writer at the most. The kernel writes for less than a microsecond; a writer whose
  // virtual CPU is descheduled can hold the page for milliseconds. A spin is some 40 cycles of pause: a
  // second or more.
  uint32_t most_spins = kMostSpins;
};

// The kernel's arithmetic: product and sum wrap at 64 bits. Right while (maxDelta - 1) * mult + fraction <
// 2^64, which the page's header says its writer keeps.
struct NarrowArithmetic {
  // whole + (((cycles - base) * mult + fraction) >> shift). The subtraction is taken out of the chain that
  // starts at the counter: modulo 2^64 the product of base and mult can be subtracted as well, and is known
  // before.
  static uint64_t Nanoseconds(uint64_t cycles, const CopyWords& words) {
    const uint64_t constant = words.fraction - words.base * words.mult;
    return words.whole + ((cycles * words.mult + constant) >> (words.shift & 63));
  }
};

// One 64x64->128 multiplication: nothing overflows inside any window.
struct WideArithmetic {
  static uint64_t Nanoseconds(uint64_t cycles, const CopyWords& words) {
    // Not as above: a counter that wraps through zero inside a window wraps at 64 bits, and so must the
    // difference.
    const auto sum = static_cast<unsigned __int128>(cycles - words.base) * words.mult + words.fraction;
    return words.whole + static_cast<uint64_t>(sum >> (words.shift & 63));
  }
};

// Migration is not looked for.
struct NoGeneration {
  static constexpr bool kTagged = false;
  uint64_t Load() const { return 0; }
  bool Holds(uint64_t, const CopyWords&) const { return true; }
};

// The generation is loaded before the first load of a copy and again after the counter, and both must be the
// one that the copy was computed for. The second load may execute before the counter is read, but not across
// an interrupt or a VM exit: those discard what has not retired, and the counter comes first in program
// order.
class TaggedGeneration {
 public:
  static constexpr bool kTagged = true;
  explicit TaggedGeneration(const uint8_t* source) : source_(source) {}
  uint64_t Load() const { return LoadWord(source_, 0, std::memory_order_acquire); }
  bool Holds(uint64_t before, const CopyWords& words) const {
    return (before == words.tag) & (LoadWord(source_, 0) == words.tag);
  }

 private:
  const uint8_t* source_;
};

// For the record, and unsafe: compares the generation with itself and not with the copy. A page that migrates
// with its guest keeps its segment, and a reader that starts afterwards sees nothing change.
class UntaggedGeneration {
 public:
  static constexpr bool kTagged = false;
  explicit UntaggedGeneration(const uint8_t* source) : source_(source) {}
  uint64_t Load() const { return LoadWord(source_, 0, std::memory_order_acquire); }
  bool Holds(uint64_t before, const CopyWords&) const { return LoadWord(source_, 0) == before; }

 private:
  const uint8_t* source_;
};

struct HardwareCounter {
  uint64_t Read() const { return FencedRdtsc(); }
};

// Whether a reader loads words that its protocol has no use for, so that a test can judge the whole copy.
enum class Words { kNeeded, kAll };

// The words of copy `copy`, all relaxed.
template <bool kWindow, bool kTag>
inline void LoadCopy(const uint8_t* page, ClockSlot slot, uint64_t copy, CopyWords* words) {
  const uint8_t* window = page + WindowAt(copy);
  const uint8_t* data = page + CopyAt(copy);
  words->base = LoadWord(window, clock_page::kBaseIn);
  if constexpr (kWindow) words->max_delta = LoadWord(window, clock_page::kMaxDeltaIn);
  if constexpr (kTag) words->tag = LoadWord(window, clock_page::kTagIn);
  words->mult = LoadWord(data, slot.group + clock_page::kMultIn);
  words->fraction = LoadWord(data, slot.group + clock_page::kFractionIn);
  words->shift = LoadWord(data, slot.group + clock_page::kShiftIn);
  words->whole = LoadWord(data, slot.whole);
}

// Whether a writer stored these words, and readers may use them. The mark is the sign of the shift's word.
[[gnu::always_inline]] inline bool IsPublished(const CopyWords& words) {
  return (words.mult != 0) & IsWritten(words);
}

// The value of a copy at a counter reading. In unsigned arithmetic: the bytes of a page say what the sum is.
template <class Arithmetic>
[[gnu::always_inline]] inline ReadEnd Evaluate(uint64_t cycles, ClockReading* reading) {
  if (__builtin_expect(!IsPublished(reading->words), 0)) return ReadEnd::kUnpublished;
  reading->ns = static_cast<int64_t>(Arithmetic::Nanoseconds(cycles, reading->words));
  return ReadEnd::kValue;
}

// Without a window a counter behind the base reads as the base, as Linux does; one far ahead is believed.
inline uint64_t Clamped(uint64_t cycles, uint64_t base) {
  return static_cast<int64_t>(cycles - base) < 0 ? base : cycles;
}

}  // namespace latchclock
