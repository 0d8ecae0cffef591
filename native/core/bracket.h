#pragma once

#include <cstddef>
#include <cstdint>

#include "reading.h"
#include "status.h"

namespace latchclock {

// A sample as written down, in 64-bit words, for whoever wants to judge it again:
//   0 verdict   1 counter before   2 first outer (ns)   3 inner (ns)   4 second outer (ns)   5 counter after
//   6 count of the page before   7 count after (both 0 without a page)
//   8..15 the first reading that came from the page, 16..23 the second: cycles, cycle_last, mult, shift,
//         seconds, scaled_ns, max_cycles, ns (0 where there was none)
inline constexpr size_t kRowWords = 24;
inline constexpr size_t kRowReadingA = 8;
inline constexpr size_t kRowReadingB = 16;

enum class BracketVerdict : int64_t { kInside = 0, kBelow = 1, kAbove = 2 };

struct BracketRequest {
  ReadingSource outer;
  ReadingSource inner;
  clockid_t id;
  const uint8_t* page;  // null: no page is known; then kPage cannot be asked for
  PageClock clock;      // of `page`
  uint64_t count;
  uint64_t row_every;  // every such sample is written to `rows`, while there is room
  int64_t* rows;
  size_t row_capacity;
  int64_t* outside_rows;  // samples outside their bracket, while there is room
  size_t outside_capacity;
};

struct BracketTally {
  uint64_t samples = 0;
  // Samples in which the page was rewritten (or being written) between their first and last instruction. Real
  // kernels are not monotonic across such a change: these are judged too, but counted apart.
  uint64_t across_update = 0;
  uint64_t outside = 0;  // of the samples within one state of the page
  uint64_t outside_across_update = 0;
  uint64_t worst_ns = 0;  // largest distance outside, of all
  uint64_t retries = 0;   // copies of the page thrown away
  uint64_t widths = 0;    // brackets that do not run backwards: these have a width
  uint64_t width_sum_ns = 0;
  uint64_t width_min_ns = 0;  // of brackets that do not run backwards
  size_t rows = 0;
  size_t outside_rows = 0;
};

// `count` times: first outer reading, inner reading, second outer reading, between two readings of the
// counter and of the page's count. A sample is inside if first <= inner <= second. Stops at the first reading
// that fails, with its errno; the tally then holds the samples before it.
Outcome RunBracket(const BracketRequest& request, BracketTally* tally);

}  // namespace latchclock
