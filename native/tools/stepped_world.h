#pragma once

#include <cstdint>

#include "clock_page.h"
#include "clock_page_reader.h"
#include "clock_page_writer.h"

namespace latchclock {

// A segment as a writer made it, and `epoch`, the meaning of the counter that it was computed for: known
// here, but to no reader. kNoEpoch: of no meaning (what is published to hold readers off).
inline constexpr uint32_t kNoEpoch = UINT32_MAX;
struct SteppedSegment {
  uint64_t base = 0, max_delta = 0, tag = 0, mult = 0, fraction = 0, shift = 0, whole = 0;
  uint32_t epoch = kNoEpoch;

  // whole + (((cycles - base) * mult + fraction) >> shift) in 128 bits: docs/clock-page.md, Value.
  uint64_t ValueAt(uint64_t cycles) const {
    const auto sum = static_cast<unsigned __int128>(cycles - base) * mult + fraction;
    return whole + static_cast<uint64_t>(sum >> (shift & 63));
  }
};

// What a read came to. `kOutside`: the segment's value for a counter outside of its window.
enum class Judgement { kRight, kRefused, kOutside, kGarbage, kMissing };

// How a writer chooses its next segment.
struct SteppedPolicy {
  enum class Base {
    kNow,     // the counter that the writer reads: seqlock's inside the section, else before the first store
    kBefore,  // seqlock: the counter before the section
    kTouching,  // where the window that holds now ends; now, if it has ended
    kAhead,     // `skew` after the counter: of a CPU whose counter is ahead
  };
  Base base = Base::kNow;
  uint64_t length = uint64_t{1} << 30;
  uint64_t skew = 0;
  bool hold = false;  // publish what refuses, before the counter is moved
  // two-window: offered beside the copy that is kept, and tried first, whatever the windows are.
  bool beside = false;
  // A new writer's, which knows of the page what it finds there: where the copy that it goes on from is of
  // another counter it starts anew from its source, which is behind.
  bool successor = false;
};

// Stores of one update, as the native writer makes them, in its order.
struct StoreLog {
  static constexpr uint32_t kMost = 64;
  uint32_t segment = 0;  // what is published by the last store
  uint32_t target = 0;   // the copy that is written
  uint32_t stores = 0;
  uint32_t done = 0;  // of them, those in the page already
  bool counter_inside = false;
  uint64_t count_before = 0;
  SteppedPolicy policy;
  uint16_t at[kMost] = {};
  uint64_t value[kMost] = {};
};

// The memory and the counter of a reader, and all that is known of them besides: which segments are current,
// for which counter, and since when. Plain data: it is saved and restored by copying it.
struct SteppedWorld {
  static constexpr uint32_t kPageBytes = 0x300;  // no word of a page lies behind
  static constexpr uint32_t kMostSegments = 16, kMostIntervals = 64, kMostHanded = 64;
  static constexpr uint64_t kTick = 997;  // cycles of one instruction, or store: odd, so that fractions show

  // A stretch of time in which nothing that readers may rely on changed.
  struct Interval {
    uint64_t from, to;  // counter, inclusive
    uint64_t generation;
    uint32_t epoch;
    int32_t current[2];  // segments, -1: none
  };

  // All that a reader shares with others, alone in its page of memory, so that its accesses can be made to
  // show.
  static constexpr uint32_t kSharedBytes = 4096;
  alignas(kSharedBytes) uint8_t page[kPageBytes];
  uint64_t generation;
  alignas(kSharedBytes) uint64_t counter;
  ReaderProtocol protocol;
  bool wide;
  bool fast_first;
  uint32_t epoch;
  SteppedSegment segments[kMostSegments];
  uint32_t segment_count;
  int32_t copies[2];  // the segment in each copy, or being written into it
  int32_t published;  // the last one that was published whole
  int32_t current[2];
  uint64_t first_whole;   // value at the base of the first segment, ns
  uint64_t resume_value;  // value at the moment of the last jump of the counter
  StoreLog log;           // of the update that is under way
  // Of the read under way.
  Interval intervals[kMostIntervals];
  uint32_t interval_count;
  uint64_t handed[kMostHanded];  // counters that it was given
  uint32_t handed_count;
  uint64_t hand_next;  // what the counter will have come to when it is read next; 0: whatever it is then
  // Of the reads before.
  bool has_best;
  uint64_t best, best_generation;

  // An empty page of a protocol, its counter at `counter`.
  void Reset(ReaderProtocol protocol, bool wide, bool fast_first, uint64_t counter);
  // Publishes at a past instant: nothing passes meanwhile. `base` in cycles, or touching.
  void PublishAt(uint64_t instant, const SteppedPolicy& policy);

  // Things that happen.
  void Pass(uint64_t cycles) { counter += cycles; }
  // So much and a little more, each time another: no two segments are half as far from a counter as a third.
  void Wait(uint64_t cycles) { counter += cycles + 10'007 * segment_count; }
  // Prepares an update by the writer of the protocol: `Store` makes it happen.
  void Prepare(const SteppedPolicy& policy);
  // The same by a writer that goes wrong on what a dead one left: docs/clock-page.md, A new writer.
  void PrepareNaive(const SteppedPolicy& policy);
  // The next stores of the update, so that `most` of them have happened altogether.
  void Store(uint32_t most);
  void StoreRest() { Store(UINT32_MAX); }
  void Publish(const SteppedPolicy& policy) {
    Prepare(policy);
    StoreRest();
  }
  void SetGeneration(uint64_t value);
  void Jump(uint64_t cycles);  // the counter is another one from now on
  void SetCount(uint64_t count);
  // Page, counter and generation become another host's. Its segments come behind ours.
  void Become(const SteppedWorld& other);

  // The end of the window that the counter is in, or of the published segment's.
  uint64_t WindowEnd() const;
  bool IsTwoWindow() const {
    return protocol == ReaderProtocol::kTwoWindow || protocol == ReaderProtocol::kLiteralTwoWindow;
  }
  uint64_t Count() const { return LoadWord(page, clock_page::kCountAt); }

  // A read begins: with what is now.
  void BeginRead();
  // The next reading of the counter is `cycles`, which is still to come.
  void HandNext(uint64_t cycles) { hand_next = cycles; }
  uint64_t HandCounter();
  // What the read that ends now came to; `generation_of` receives that of the instant at which it was right.
  Judgement Judge(ReaderGeneration generation, ReadEnd end, bool has_value, uint64_t value,
                  uint64_t* generation_of);
  // Whether words of two segments, mixed, give `value` at a counter that the read was given.
  bool IsAmbiguous(uint64_t value) const;

 private:
  void Close();
  void Open();
  void Event();
  void StoreCountWord(uint64_t count);
  SteppedSegment Next(uint64_t base, const SteppedPolicy& policy, bool anew) const;
  void Record(const SteppedPolicy& policy, uint64_t count, bool naive);
};

}  // namespace latchclock
