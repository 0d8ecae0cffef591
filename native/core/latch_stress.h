#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "clock_page_reader.h"
#include "status.h"

namespace latchclock {

// What happens to the readers while they are watched.
enum class StressHazard : uint32_t {
  kUpdate = 0,         // the writer publishes as fast as its protocol lets it, with another rate each time
  kWriterStalled = 1,  // it stops half-way through an update for `stall_cycles`, again and again
  kWindowExpired = 2,  // one segment, and then nobody
  kCounterBehind = 3,  // the segment's base is ahead of the counter
  kWriterKilled = 4,   // processes that are killed while they write, each followed by the next
};
inline constexpr uint32_t kStressHazards = 5;

// Buckets of latencies: exact below 16 cycles, then 16 to each power of two, so that a bucket is a sixteenth
// wide.
inline constexpr size_t kLatencyBuckets = 976;

// The bucket of a latency.
inline size_t LatencyBucket(uint64_t cycles) {
  if (cycles < 16) return static_cast<size_t>(cycles);
  const int power = 63 - __builtin_clzll(cycles);
  return static_cast<size_t>(16 * (power - 3) + ((cycles >> (power - 4)) & 15));
}

struct StressRequest {
  ReaderKind reader;
  StressHazard hazard = StressHazard::kUpdate;
  // A reader on each, the writer on the last one, which is its own under kWriterStalled where there are two.
  const int* cpus = nullptr;
  size_t cpu_count = 0;
  uint64_t most_cycles = 0;    // how long
  uint64_t window_cycles = 0;  // the least length of a window, up to 2^39
  uint64_t stall_cycles = 0;
  uint32_t kills = 0;  // of kWriterKilled, which ends after so many writers
  uint64_t seed = 0;   // of the moments of death
  // Reads in the place of the compiled reader: for a test of what is found, with one that is broken.
  ReadFunction<HardwareCounter> read = nullptr;
  // kLatencyBuckets counts of the reads that began while the writer stood in a stall, by the cycles that they
  // took, added to; null: not counted.
  uint64_t* latencies = nullptr;
};

struct StressTally {
  uint64_t reads = 0;
  uint64_t values = 0;
  uint64_t out_of_window = 0;
  uint64_t ran_out = 0;
  uint64_t refused_otherwise = 0;
  uint64_t retries = 0;
  // Reads that waited a hundred turns or more for a writer to end its update.
  uint64_t waited = 0;
  uint64_t updates = 0;
  uint64_t kills = 0;          // writers of which waitpid said that they died of SIGKILL
  uint64_t killed_inside = 0;  // of these, in the middle of an update
  // Wrong values, by how: words of more than one update; no value at all although one was promised; a counter
  // outside the window of the copy that was used.
  uint64_t torn = 0;
  uint64_t missing = 0;
  uint64_t outside = 0;
  // Values below one that another read had returned before this read began, and the largest step back,
  // nanoseconds.
  uint64_t backwards = 0;
  uint64_t worst_back_ns = 0;
  // The longest of the reads that latencies were counted of, cycles.
  uint64_t longest = 0;
};

// The length of a window whose low bits are the hash of the copy's other words, shift as it is stored: at
// least `window` with its low 16 bits cleared.
uint64_t HashedLength(uint64_t window, const CopyWords& words);

// One read of `page`, held against the copy that it says it used and against `highest`, the largest value
// that any read had returned before this one began; that one is raised by the value. Cycles that it took.
uint64_t ReadAndJudge(const uint8_t* page, ReadFunction<HardwareCounter> read, const ReadLimits& limits,
                      std::atomic<int64_t>* highest, StressTally* tally);

// Readers of one kind against a writer of their protocol, on the real counter, on a page of their own. Torn
// data are detectable: the low bits of each window's length are a hash of the copy's other words.
Outcome RunStress(const StressRequest& request, StressTally* tally);

}  // namespace latchclock
