#pragma once

#include <time.h>

#include <type_traits>

#include "posix_clock.h"
#include "readers/latch.h"
#include "readers/latch_window.h"
#include "readers/literal.h"
#include "readers/pvclock.h"
#include "readers/reading.h"
#include "readers/seqlock.h"
#include "readers/two_window.h"
#include "readers/vmclock.h"
#include "status.h"

namespace latchclock {

// The readers of our page by number: the numbers are lib/native/addon.ts's.
enum class ReaderProtocol : uint32_t {
  kSeqlock = 0,
  kLatch = 1,
  kLatchWindow = 2,
  kTwoWindow = 3,
  kLiteralLatchWindow = 4,
  kLiteralTwoWindow = 5,
};
inline constexpr uint32_t kReaderProtocols = 6;

enum class ReaderGeneration : uint32_t { kNone = 0, kTagged = 1, kUntagged = 2 };
inline constexpr uint32_t kReaderGenerations = 3;

struct ReaderKind {
  ReaderProtocol protocol = ReaderProtocol::kLatchWindow;
  ReaderGeneration generation = ReaderGeneration::kNone;
  bool wide = true;
};

// What is done about a page without a value: kSpin waits for the writer, a bounded time, where the counter is
// outside the window or the copy is of another generation; kSystemCall asks the kernel for its clock of that
// name.
enum class OutOfWindow : uint32_t { kError = 0, kSystemCall = 1, kSpin = 2 };
inline constexpr uint32_t kOutOfWindowPolicies = 3;

template <class Counter>
using ReadFunction = ReadEnd (*)(const uint8_t* page, ClockSlot slot, const uint8_t* generation,
                                 const Counter& counter, const ReadLimits& limits, ClockReading* reading,
                                 uint64_t* retries);

namespace reader_table {

// Flattened: else the size of the file around it decides what of a reader is inlined, and the same reader is
// other machine code in another program. What is stepped is held to be the addon's, byte for byte.
template <template <class, class, class, Words> class Reader, class Arithmetic, class Generation,
          class Counter, Words kWords>
[[gnu::flatten]] ReadEnd Call(const uint8_t* page, ClockSlot slot, const uint8_t* generation,
                              const Counter& counter, const ReadLimits& limits, ClockReading* reading,
                              uint64_t* retries) {
  // Of its own, so that the words stay in registers: through the pointer each would be stored and loaded
  // again.
  ClockReading own;
  own.ns = reading->ns;
  uint64_t own_retries = 0;
  ReadEnd end;
  if constexpr (std::is_same_v<Generation, NoGeneration>) {
    end = Reader<Arithmetic, Generation, Counter, kWords>::Read(page, slot, {}, counter, limits, &own,
                                                                &own_retries);
  } else {
    end = Reader<Arithmetic, Generation, Counter, kWords>::Read(page, slot, Generation(generation), counter,
                                                                limits, &own, &own_retries);
  }
  *reading = own;
  *retries += own_retries;
  return end;
}

template <template <class, class, class, Words> class Reader, class Counter, Words kWords>
ReadFunction<Counter> Choose(ReaderGeneration generation, bool wide) {
  switch (generation) {
    case ReaderGeneration::kNone:
      return wide ? Call<Reader, WideArithmetic, NoGeneration, Counter, kWords>
                  : Call<Reader, NarrowArithmetic, NoGeneration, Counter, kWords>;
    case ReaderGeneration::kTagged:
      return wide ? Call<Reader, WideArithmetic, TaggedGeneration, Counter, kWords>
                  : Call<Reader, NarrowArithmetic, TaggedGeneration, Counter, kWords>;
    case ReaderGeneration::kUntagged:
      return wide ? Call<Reader, WideArithmetic, UntaggedGeneration, Counter, kWords>
                  : Call<Reader, NarrowArithmetic, UntaggedGeneration, Counter, kWords>;
  }
  __builtin_unreachable();
}

}  // namespace reader_table

// The compiled reader of a kind.
template <class Counter = HardwareCounter, Words kWords = Words::kNeeded>
ReadFunction<Counter> FindReader(const ReaderKind& kind) {
  using namespace reader_table;
  switch (kind.protocol) {
    case ReaderProtocol::kSeqlock:
      return Choose<SeqlockReader, Counter, kWords>(kind.generation, kind.wide);
    case ReaderProtocol::kLatch:
      return Choose<LatchReader, Counter, kWords>(kind.generation, kind.wide);
    case ReaderProtocol::kLatchWindow:
      return Choose<LatchWindowReader, Counter, kWords>(kind.generation, kind.wide);
    case ReaderProtocol::kTwoWindow:
      return Choose<TwoWindowReader, Counter, kWords>(kind.generation, kind.wide);
    case ReaderProtocol::kLiteralLatchWindow:
      return Choose<LiteralLatchWindowReader, Counter, kWords>(kind.generation, kind.wide);
    case ReaderProtocol::kLiteralTwoWindow:
      return Choose<LiteralTwoWindowReader, Counter, kWords>(kind.generation, kind.wide);
  }
  __builtin_unreachable();
}

inline Outcome OutcomeOf(ReadEnd end) {
  switch (end) {
    case ReadEnd::kValue:
      return {};
    case ReadEnd::kOutOfWindow:
      return Outcome::Failed(Status::kOutOfWindow);
    case ReadEnd::kRetries:
      return Outcome::Failed(Status::kRetries);
    case ReadEnd::kDisrupted:
      return Outcome::Failed(Status::kDisrupted);
    case ReadEnd::kUnpublished:
      return Outcome::Failed(Status::kUnpublished);
    case ReadEnd::kUnusable:
      return Outcome::Failed(Status::kUnusable);
  }
  __builtin_unreachable();
}

// Waits for a writer at the most, under kSpin: each turn is a read, some 30 ns, and a pause.
inline constexpr uint32_t kMostPolicySpins = 1u << 20;

// One reading with what is done when the page has none. `lost()` tells whether the page's file is gone:
// neither the kernel nor time can make up for that. `fallback` is the kernel's clock for kSystemCall, which
// is asked whatever the refusal was but for a page in which nothing was published. True with a value in `ns`,
// and `asked_kernel` telling where it is from; false with the outcome.
template <class Reader, class Lost>
inline Outcome ReadWithPolicy(const Reader& read, const Lost& lost, OutOfWindow policy, clockid_t fallback,
                              int64_t* ns, bool* asked_kernel) {
  *asked_kernel = false;
  ReadEnd end = read(ns);
  if (__builtin_expect(end == ReadEnd::kValue, 1)) return {};
  const auto may_come = [&] { return end == ReadEnd::kOutOfWindow || end == ReadEnd::kDisrupted; };
  if (policy == OutOfWindow::kSpin) {
    for (uint32_t spin = 0; spin < kMostPolicySpins && may_come() && !lost(); spin++) {
      _mm_pause();
      end = read(ns);
    }
  }
  if (lost()) return Outcome::Failed(Status::kPageLost);
  if (policy != OutOfWindow::kSystemCall || end == ReadEnd::kUnpublished) return OutcomeOf(end);
  timespec time;
  const int error = ClockGettime(ClockPath::kSyscall, fallback, &time);
  if (error != 0) return Outcome::FailedCall("clock_gettime", error);
  *ns = ToNanoseconds(time);
  *asked_kernel = true;
  return {};
}

}  // namespace latchclock
