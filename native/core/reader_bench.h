#pragma once

#include <cstddef>
#include <cstdint>

#include "clock_page_reader.h"
#include "reading.h"
#include "status.h"

namespace latchclock {

// What is timed: a reader of our page, or what it is measured beside.
enum class BenchSubject : uint32_t {
  kRdtsc = 0,
  kFencedRdtsc = 1,
  kRdtscp = 2,
  kVdso = 3,    // clock_gettime of the clock asked for, by the vDSO
  kReader = 4,  // the reader asked for
  // A latch that believes any counter: what the window, or the clamp of the reader without one, is priced
  // against.
  kBareLatch = 5,
  kReadAll = 6,  // every clock and the bound, by the reader asked for
  kUpdate = 7,   // an update by the writer of that reader's protocol, where nobody reads
  kEmpty = 8,    // nothing: what the loop itself takes
  kLibc = 9,     // as kVdso, by the libc
  kSyscall = 10,
  kKernelPage = 11,  // own arithmetic on the kernel's page
};
inline constexpr uint32_t kBenchSubjects = 12;

struct BenchRequest {
  BenchSubject subject = BenchSubject::kReader;
  ReaderKind reader;
  ClockRequest clock = {};  // for the paths of the kernel's clocks; its source is the subject's
  bool chained = false;     // each read's address depends on the value before it: latency, not throughput
  uint32_t reads = 0;
};

// What a loop took, and what its values were, so that one that was left out shows: each value lies between
// those read before and after it.
struct BenchTiming {
  uint64_t cycles = 0;
  uint64_t span = 0;     // the value after the loop less that before it; 0 where values do not move
  uint64_t advance = 0;  // the sum of each value less the first: at most `reads` times `span`
};

// So many reads in a tight loop, the reader inlined (but for kReadAll), on a page of its own whose window is
// wide open.
Outcome TimeReads(const BenchRequest& request, BenchTiming* timing);

// Each read by itself, between two readings of the counter, cycles; `count` of them. What lies between the
// two has begun after the first and has completed before the second, so that reads do not overlap as they do
// in a loop; kEmpty tells what the bracket takes.
Outcome TimeSingleReads(const BenchRequest& request, int64_t* cycles, size_t count);

// As TimeReads in a thread on each of `cpus` at once, each with a page of its own; a timing each.
Outcome TimeReadsTogether(const BenchRequest& request, const int* cpus, size_t count, BenchTiming* timings);

}  // namespace latchclock
