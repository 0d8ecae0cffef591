#pragma once

#include <cstdint>

#include "current_cpu.h"
#include "status.h"

namespace latchclock {

// What ping-pong between two CPUs says of `counter there - counter here`, in cycles: it lies between `lowest`
// and `highest`, both included, if it is constant. An empty interval (lowest > highest) proves that it is
// not.
struct CounterOffset {
  int64_t lowest = INT64_MIN;
  int64_t highest = INT64_MAX;
  uint64_t rounds = 0;
  uint64_t best_round_trip = ~uint64_t{0};
  // Sides that were not on the CPU asked for: such a round says nothing, and is not counted.
  Stray stray;
};

// Up to `rounds` rounds, at most `most_cycles` long: here reads its counter, calls, there reads its counter
// and answers, here reads again. The reading there lies between the two here in real time, so each round
// bounds the offset from both sides, and the tightest bounds of all rounds are kept.
Outcome RunPingPong(int cpu_here, int cpu_there, uint64_t rounds, uint64_t most_cycles,
                    CounterOffset* offset);

}  // namespace latchclock
