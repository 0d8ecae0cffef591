#pragma once

#include <cstdint>

#include "clock_page_reader.h"
#include "status.h"

namespace latchclock {

// What is timed: a reader of our page, or what it is measured beside.
enum class BenchSubject : uint32_t {
  kRdtsc = 0,
  kFencedRdtsc = 1,
  kRdtscp = 2,
  kVdso = 3,    // clock_gettime(CLOCK_MONOTONIC) by the vDSO
  kReader = 4,  // the reader asked for
  // A latch that believes any counter: what the window, or the clamp of the reader without one, is priced
  // against.
  kBareLatch = 5,
  kReadAll = 6,  // every clock and the bound, by the reader asked for
  kUpdate = 7,   // an update by the writer of that reader's protocol, where nobody reads
};
inline constexpr uint32_t kBenchSubjects = 8;

struct BenchRequest {
  BenchSubject subject = BenchSubject::kReader;
  ReaderKind reader;
  bool chained = false;  // each read's address depends on the value before it: latency, not throughput
  uint32_t reads = 0;
};

// Cycles that so many reads take in a tight loop, the reader inlined (but for kReadAll), on a page of its own
// whose window is wide open.
Outcome TimeReads(const BenchRequest& request, uint64_t* cycles);

}  // namespace latchclock
