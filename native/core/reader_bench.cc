#include "reader_bench.h"

#include <cerrno>
#include <memory>
#include <new>
#include <type_traits>

#include "clock_page_set.h"
#include "clock_page_writer.h"
#include "page_mapping.h"
#include "pinned_threads.h"

namespace latchclock {
namespace {

constexpr ClockSlot kSlot = kClockSlots[1];  // monotonic

// Keeps a value from being optimised away, and the compiler from knowing it.
template <class Value>
[[gnu::always_inline]] inline void Escape(Value& value) {
  asm volatile("" : "+r"(value));
}

// What is done with a read: `read(zero)` gives a value; `zero` is 0, and in a chain made of the value before.
struct LoopMeasure {
  bool chained;
  uint32_t reads;
  BenchTiming* timing;

  template <class Read>
  [[gnu::always_inline]] void operator()(Read read) {
    uint64_t mask = 0;
    Escape(mask);
    const uint64_t first = read(0);
    uint64_t advance = 0;
    uint64_t value = 0;
    const uint64_t start = FencedRdtsc();
    if (chained) {
      for (uint32_t i = 0; i < reads; i++) {
        value = read(value & mask);
        Escape(value);
        advance += value - first;
      }
    } else {
      for (uint32_t i = 0; i < reads; i++) {
        uint64_t each = read(0);
        Escape(each);
        advance += each - first;
      }
    }
    timing->cycles = FencedRdtsc() - start;
    timing->advance = advance;
    timing->span = read(0) - first;
  }
};

struct SinglesMeasure {
  int64_t* cycles;
  size_t count;

  template <class Read>
  [[gnu::always_inline]] void operator()(Read read) {
    for (size_t i = 0; i < count; i++) {
      const uint64_t start = FencedRdtsc();
      _mm_lfence();
      uint64_t each = read(0);
      Escape(each);
      cycles[i] = static_cast<int64_t>(FencedRdtsc() - start);
    }
  }
};

template <class Reader, class Generation, class Measure>
[[gnu::noinline]] void MeasureReader(const uint8_t* page, Measure& measure) {
  const ReadLimits limits;
  uint64_t retries = 0;
  measure([&](uint64_t zero) [[gnu::always_inline]] {
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

template <template <class, class, class, Words> class Reader, class Measure>
void MeasureKind(const ReaderKind& kind, const uint8_t* page, Measure& measure) {
  using Wide = WideArithmetic;
  using Narrow = NarrowArithmetic;
  using C = HardwareCounter;
  constexpr Words kNeeded = Words::kNeeded;
  if (kind.generation == ReaderGeneration::kTagged) {
    using G = TaggedGeneration;
    return kind.wide ? MeasureReader<Reader<Wide, G, C, kNeeded>, G>(page, measure)
                     : MeasureReader<Reader<Narrow, G, C, kNeeded>, G>(page, measure);
  }
  using G = NoGeneration;
  return kind.wide ? MeasureReader<Reader<Wide, G, C, kNeeded>, G>(page, measure)
                   : MeasureReader<Reader<Narrow, G, C, kNeeded>, G>(page, measure);
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

template <class Measure>
void MeasureSets(const ReaderKind& kind, const uint8_t* page, Measure& measure) {
  const ReadFunction<HardwareCounter> read = FindReader(kind);
  uint64_t retries = 0;
  measure([&](uint64_t zero) {
    SetReading set;
    const uint8_t* at = page + zero;
    const ReadEnd end = ReadSet<HardwareCounter>(read, kind, at, kAllClocks, at + clock_page::kGenerationAt,
                                                 {}, {}, &set, &retries);
    return __builtin_expect(end == ReadEnd::kValue, 1) ? static_cast<uint64_t>(set.ns[1]) : ~uint64_t{0};
  });
}

// Always the same image, in both copies in turn.
template <class Measure>
void MeasureUpdates(ReaderProtocol protocol, uint8_t* page, const CopyImage& image, Measure& measure) {
  measure([&](uint64_t) {
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

template <ClockPath kPath, class Measure>
void MeasurePath(clockid_t id, Measure& measure) {
  timespec time = {};
  measure([&](uint64_t zero) {
    ClockGettime(kPath, id + static_cast<clockid_t>(zero), &time);
    return static_cast<uint64_t>(ToNanoseconds(time));
  });
}

template <class Measure>
void MeasureKernelPage(const ClockRequest& request, Measure& measure) {
  uint64_t retries = 0;
  measure([&](uint64_t zero) [[gnu::always_inline]] {
    PageReading reading;
    const Outcome outcome = ReadPageClock(request.page + zero, request.clock, &reading, &retries);
    return __builtin_expect(outcome.ok(), 1) ? static_cast<uint64_t>(reading.ns) : ~uint64_t{0};
  });
}

// A clock of the kernel's, by the path that the subject is; refused where one reading is.
template <class Measure>
Outcome MeasureKernelClock(const BenchRequest& bench, Measure& measure) {
  ClockRequest request = bench.clock;
  switch (bench.subject) {
    case BenchSubject::kLibc:
      request.source = ReadingSource::kLibc;
      break;
    case BenchSubject::kSyscall:
      request.source = ReadingSource::kSyscall;
      break;
    case BenchSubject::kKernelPage:
      request.source = ReadingSource::kPage;
      break;
    default:
      request.source = ReadingSource::kVdso;
  }
  const Outcome usable = CheckReading(request);
  if (!usable.ok()) return usable;
  PageReading reading;
  int64_t value = 0;
  uint64_t retries = 0;
  const Outcome one = Read(request, &reading, &value, &retries);
  if (!one.ok()) return one;
  switch (request.source) {
    case ReadingSource::kLibc:
      MeasurePath<ClockPath::kLibc>(request.id, measure);
      break;
    case ReadingSource::kSyscall:
      MeasurePath<ClockPath::kSyscall>(request.id, measure);
      break;
    case ReadingSource::kPage:
      MeasureKernelPage(request, measure);
      break;
    case ReadingSource::kVdso:
    case ReadingSource::kCounter:
      MeasurePath<ClockPath::kVdso>(request.id, measure);
      break;
  }
  return {};
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

// A reader or the writer of our page, on a page of its own.
template <class Measure>
Outcome MeasureOwnPage(const BenchRequest& request, Measure& measure) {
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
  switch (request.subject) {
    case BenchSubject::kBareLatch:
      MeasureKind<BareLatchReader>(request.reader, page, measure);
      return {};
    case BenchSubject::kReadAll:
      MeasureSets(request.reader, page, measure);
      break;
    case BenchSubject::kUpdate:
      MeasureUpdates(request.reader.protocol, mapping->bytes(), image, measure);
      break;
    default:
      switch (request.reader.protocol) {
        case ReaderProtocol::kSeqlock:
          MeasureKind<SeqlockReader>(request.reader, page, measure);
          break;
        case ReaderProtocol::kLatch:
          MeasureKind<LatchReader>(request.reader, page, measure);
          break;
        case ReaderProtocol::kLatchWindow:
          MeasureKind<LatchWindowReader>(request.reader, page, measure);
          break;
        case ReaderProtocol::kTwoWindow:
          MeasureKind<TwoWindowReader>(request.reader, page, measure);
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

template <class Measure>
Outcome MeasureSubject(const BenchRequest& request, Measure& measure) {
  const Outcome usable = CheckCounter(request.subject == BenchSubject::kRdtscp ? CounterMethod::kRdtscp
                                                                               : CounterMethod::kFencedRdtsc);
  if (!usable.ok()) return usable;
  switch (request.subject) {
    case BenchSubject::kEmpty:
      measure([](uint64_t zero) { return zero; });
      return {};
    case BenchSubject::kRdtsc:
      measure([](uint64_t) { return Rdtsc(); });
      return {};
    case BenchSubject::kFencedRdtsc:
      measure([](uint64_t) { return FencedRdtsc(); });
      return {};
    case BenchSubject::kRdtscp:
      measure([](uint64_t) { return Rdtscp().cycles; });
      return {};
    case BenchSubject::kVdso:
    case BenchSubject::kLibc:
    case BenchSubject::kSyscall:
    case BenchSubject::kKernelPage:
      return MeasureKernelClock(request, measure);
    case BenchSubject::kReader:
    case BenchSubject::kBareLatch:
    case BenchSubject::kReadAll:
    case BenchSubject::kUpdate:
      return MeasureOwnPage(request, measure);
  }
  __builtin_unreachable();
}

struct Together {
  const BenchRequest& request;
  BenchTiming* timings;
  Outcome* outcomes;
};

void TimeOne(size_t thread, void* context) {
  const auto& together = *static_cast<const Together*>(context);
  // The timings of others lie in the same cache lines: each is written once, behind its loop.
  BenchTiming timing;
  together.outcomes[thread] = TimeReads(together.request, &timing);
  together.timings[thread] = timing;
}

}  // namespace

Outcome TimeReads(const BenchRequest& request, BenchTiming* timing) {
  LoopMeasure measure{request.chained, request.reads, timing};
  return MeasureSubject(request, measure);
}

Outcome TimeSingleReads(const BenchRequest& request, int64_t* cycles, size_t count) {
  SinglesMeasure measure{cycles, count};
  return MeasureSubject(request, measure);
}

Outcome TimeReadsTogether(const BenchRequest& request, const int* cpus, size_t count, BenchTiming* timings) {
  const std::unique_ptr<Outcome[]> outcomes(new (std::nothrow) Outcome[count]);
  if (outcomes == nullptr) return Outcome::FailedCall("malloc", ENOMEM);
  Together together{request, timings, outcomes.get()};
  const Outcome started = RunPinned(cpus, count, TimeOne, &together);
  if (!started.ok()) return started;
  for (size_t i = 0; i < count; i++) {
    if (!outcomes[i].ok()) return outcomes[i];
  }
  return {};
}

}  // namespace latchclock
