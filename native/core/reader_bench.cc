#include "reader_bench.h"

#include <type_traits>

#include "clock_page_set.h"
#include "clock_page_writer.h"
#include "page_mapping.h"

namespace latchclock {
namespace {

constexpr ClockSlot kSlot = kClockSlots[1];  // monotonic

// Keeps a value from being optimised away, and the compiler from knowing it.
template <class Value>
[[gnu::always_inline]] inline void Escape(Value& value) {
  asm volatile("" : "+r"(value));
}

// `read(zero)` gives a value; in a chain, `zero` is made of the value before, and is 0.
template <class Read>
[[gnu::always_inline]] inline uint64_t Time(bool chained, uint32_t reads, Read read) {
  uint64_t mask = 0;
  Escape(mask);
  uint64_t value = 0;
  const uint64_t start = FencedRdtsc();
  if (chained) {
    for (uint32_t i = 0; i < reads; i++) {
      value = read(value & mask);
      Escape(value);
    }
  } else {
    for (uint32_t i = 0; i < reads; i++) {
      uint64_t each = read(0);
      Escape(each);
    }
  }
  return FencedRdtsc() - start;
}

template <class Reader, class Generation>
[[gnu::noinline]] uint64_t TimeReader(const uint8_t* page, bool chained, uint32_t reads) {
  const ReadLimits limits;
  uint64_t retries = 0;
  return Time(chained, reads, [&](uint64_t zero) [[gnu::always_inline]] {
    ClockReading reading;
    const uint8_t* at = page + zero;
    ReadEnd end;
    if constexpr (std::is_same_v<Generation, NoGeneration>) {
      end = Reader::Read(at, kSlot, {}, HardwareCounter{}, limits, &reading, &retries);
    } else {
      end = Reader::Read(at, kSlot, Generation(at + clock_page::kGenerationAt), HardwareCounter{}, limits,
                         &reading, &retries);
    }
    // A loop that is refused is no measurement of reads: its values are all ones.
    return __builtin_expect(end == ReadEnd::kValue, 1) ? static_cast<uint64_t>(reading.ns) : ~uint64_t{0};
  });
}

template <template <class, class, class, Words> class Reader>
uint64_t TimeKind(const ReaderKind& kind, const uint8_t* page, bool chained, uint32_t reads) {
  using Wide = WideArithmetic;
  using Narrow = NarrowArithmetic;
  using C = HardwareCounter;
  constexpr Words kNeeded = Words::kNeeded;
  if (kind.generation == ReaderGeneration::kTagged) {
    using G = TaggedGeneration;
    return kind.wide ? TimeReader<Reader<Wide, G, C, kNeeded>, G>(page, chained, reads)
                     : TimeReader<Reader<Narrow, G, C, kNeeded>, G>(page, chained, reads);
  }
  using G = NoGeneration;
  return kind.wide ? TimeReader<Reader<Wide, G, C, kNeeded>, G>(page, chained, reads)
                   : TimeReader<Reader<Narrow, G, C, kNeeded>, G>(page, chained, reads);
}

// As LatchReader and LatchWindowReader, but for what each does about the counter. Nobody is to read by it.
template <class Arithmetic, class Generation, class Counter = HardwareCounter, Words kWords = Words::kNeeded>
struct BareLatchReader {
  static ReadEnd Read(const uint8_t* page, ClockSlot slot, const Generation& generation,
                      const Counter& counter, const ReadLimits& limits, ClockReading* reading,
                      uint64_t* retries) {
    for (uint32_t tries = 0; tries < limits.most_tries; tries++) {
      reading->generation = generation.Load();
      const uint64_t count = LoadWord(page, clock_page::kCountAt, std::memory_order_acquire);
      LoadCopy<false, Generation::kTagged>(page, slot, count & 1, &reading->words);
      reading->cycles = counter.Read();
      std::atomic_thread_fence(std::memory_order_acquire);
      if (__builtin_expect(LoadWord(page, clock_page::kCountAt) != count, 0)) {
        ++*retries;
        continue;
      }
      reading->count = count;
      if (!generation.Holds(reading->generation, reading->words)) return ReadEnd::kDisrupted;
      return Evaluate<Arithmetic>(reading->cycles, reading);
    }
    return ReadEnd::kRetries;
  }
};

uint64_t TimeSets(const ReaderKind& kind, const uint8_t* page, bool chained, uint32_t reads) {
  const ReadFunction<HardwareCounter> read = FindReader(kind);
  uint64_t retries = 0;
  return Time(chained, reads, [&](uint64_t zero) {
    SetReading set;
    const uint8_t* at = page + zero;
    const ReadEnd end = ReadSet<HardwareCounter>(read, kind, at, kAllClocks, at + clock_page::kGenerationAt,
                                                 {}, {}, &set, &retries);
    return __builtin_expect(end == ReadEnd::kValue, 1) ? static_cast<uint64_t>(set.ns[1]) : ~uint64_t{0};
  });
}

// Always the same image, in both copies in turn.
uint64_t TimeUpdates(ReaderProtocol protocol, uint8_t* page, const CopyImage& image, uint32_t updates) {
  return Time(false, updates, [&](uint64_t) {
    if (protocol == ReaderProtocol::kSeqlock) {
      PublishSeqlock(page, [&] { return image; });
    } else if (protocol == ReaderProtocol::kTwoWindow) {
      PublishTwoWindow(page, TwoWindowKeep(page), image, true, false);
    } else {
      PublishLatch(page, image);
    }
    return uint64_t{0};
  });
}

// One segment in every copy, from now on for as long as the arithmetic can.
CopyImage Fill(uint8_t* page, const ReaderKind& kind) {
  CopyImage image;
  image.base = FencedRdtsc();
  image.max_delta = kind.wide ? uint64_t{1} << 62 : uint64_t{1} << 40;
  image.shared = kind.wide ? GroupWords{444'110'000'000'000'000, 1, 60} : GroupWords{6'462'360, 1, 24};
  image.realtime = image.smeared = image.raw = image.bound = image.shared;
  image.bound_whole = 0;
  StoreCopy(page, 0, image);
  StoreCopy(page, 1, image);
  return image;
}

}  // namespace

Outcome TimeReads(const BenchRequest& request, uint64_t* cycles) {
  const Outcome usable = CheckCounter(request.subject == BenchSubject::kRdtscp ? CounterMethod::kRdtscp
                                                                               : CounterMethod::kFencedRdtsc);
  if (!usable.ok()) return usable;
  const bool chained = request.chained;
  const uint32_t reads = request.reads;
  switch (request.subject) {
    case BenchSubject::kRdtsc:
      *cycles = Time(chained, reads, [](uint64_t) { return Rdtsc(); });
      return {};
    case BenchSubject::kFencedRdtsc:
      *cycles = Time(chained, reads, [](uint64_t) { return FencedRdtsc(); });
      return {};
    case BenchSubject::kRdtscp:
      *cycles = Time(chained, reads, [](uint64_t) { return Rdtscp().cycles; });
      return {};
    case BenchSubject::kVdso: {
      const Outcome vdso = CheckClockPath(ClockPath::kVdso);
      if (!vdso.ok()) return vdso;
      timespec time = {};
      *cycles = Time(chained, reads, [&](uint64_t zero) {
        ClockGettime(ClockPath::kVdso, static_cast<clockid_t>(CLOCK_MONOTONIC + zero), &time);
        return static_cast<uint64_t>(time.tv_nsec);
      });
      return {};
    }
    case BenchSubject::kReader:
    case BenchSubject::kBareLatch:
    case BenchSubject::kReadAll:
    case BenchSubject::kUpdate:
      break;
  }
  // Others are known by what is wrong with them, not by what they cost.
  if (request.reader.generation == ReaderGeneration::kUntagged ||
      request.reader.protocol > ReaderProtocol::kTwoWindow) {
    return Outcome::Failed(Status::kBadArgument);
  }
  std::shared_ptr<PageMapping> mapping;
  const Outcome mapped = PageMapping::Anonymous(&mapping);
  if (!mapped.ok()) return mapped;
  const CopyImage image = Fill(mapping->bytes(), request.reader);
  const uint8_t* page = mapping->bytes();
  if (request.subject == BenchSubject::kBareLatch) {
    *cycles = TimeKind<BareLatchReader>(request.reader, page, chained, reads);
    return {};
  }
  if (request.subject == BenchSubject::kReadAll) {
    *cycles = TimeSets(request.reader, page, chained, reads);
  } else if (request.subject == BenchSubject::kUpdate) {
    *cycles = TimeUpdates(request.reader.protocol, mapping->bytes(), image, reads);
  } else {
    switch (request.reader.protocol) {
      case ReaderProtocol::kSeqlock:
        *cycles = TimeKind<SeqlockReader>(request.reader, page, chained, reads);
        break;
      case ReaderProtocol::kLatch:
        *cycles = TimeKind<LatchReader>(request.reader, page, chained, reads);
        break;
      case ReaderProtocol::kLatchWindow:
        *cycles = TimeKind<LatchWindowReader>(request.reader, page, chained, reads);
        break;
      case ReaderProtocol::kTwoWindow:
        *cycles = TimeKind<TwoWindowReader>(request.reader, page, chained, reads);
        break;
      case ReaderProtocol::kLiteralLatchWindow:
      case ReaderProtocol::kLiteralTwoWindow:
        break;
    }
  }
  // A read that is refused costs something else. The window only ends: if one more read has a value, all had.
  ClockReading reading;
  uint64_t retries = 0;
  return OutcomeOf(
      FindReader(request.reader)(page, kSlot, page + clock_page::kGenerationAt, {}, {}, &reading, &retries));
}

}  // namespace latchclock
