#pragma once

#include <cstddef>
#include <cstdint>

#include "clock_call.h"
#include "kernel_page.h"
#include "status.h"

namespace latchclock {

// A sample as written down, in 64-bit words, for whoever wants to judge it again:
//   0 1 where the page was rewritten meanwhile, else 0
//   1..2 first reading of the outer clock, 3..4 the call's answer, 5..6 second reading: each as the call left
//   it
inline constexpr size_t kCallRowWords = 7;

struct CallBracketRequest {
  ClockCall call;  // any but getcpu and clock_getres, which tell no time
  CallPath path;
  clockid_t id;         // of the call
  CallPath outer_path;  // of clock_gettime around it
  clockid_t outer_id;
  const uint8_t* page;  // whose count is watched; null: none is known
  PageClock clock;      // of `page`
  uint64_t count;
  uint64_t row_every;  // every such sample is written to `rows`, and each that is wrong, while there is room
  int64_t* rows;
  size_t row_capacity;
};

struct CallBracketTally {
  uint64_t samples = 0;
  uint64_t across_update = 0;  // the page was rewritten, or the second has just changed (see Judge)
  uint64_t outside = 0;
  uint64_t outside_across_update = 0;
  uint64_t worst_ns = 0;         // largest distance outside
  uint64_t malformed = 0;        // answers of the call that are not as the interface promises
  uint64_t malformed_outer = 0;  // the same of clock_gettime around it
  size_t rows = 0;
};

// `count` times: clock_gettime, the call, clock_gettime. A sample is inside if the call's answer is not below
// the first reading, rounded down to the call's unit (1 ns, 1 us, 1 s), and not above the second. Ends at the
// first call that fails, with its errno; the tally then holds the samples before it.
Outcome RunCallBracket(const CallBracketRequest& request, CallBracketTally* tally);

}  // namespace latchclock
