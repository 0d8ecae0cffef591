#include "ping_pong.h"

#include <algorithm>
#include <atomic>

#include "counter.h"
#include "pinned_threads.h"

namespace latchclock {
namespace {

constexpr size_t kCacheLine = 64;

struct alignas(kCacheLine) Context {
  // Odd: a call; even: an answer. In one line with the answer, so that a round moves one line there and back.
  std::atomic<uint64_t> turn{0};
  std::atomic<uint64_t> answer{0};
  // Whether the side there was on its CPU when it last looked.
  std::atomic<bool> there_in_place{false};
  // Set once, by the side that stops playing, so that the other does not wait for it. Orders nothing.
  alignas(kCacheLine) std::atomic<bool> ended{false};
  uint64_t rounds;
  uint64_t most_cycles;
  int cpus[2];
  Stray stray_there;
  CounterOffset* offset;
  Outcome outcome_here, outcome_there;
};

// Waits while `turn` is `awaited`; false if the other side stopped playing. Acquire: what the other side
// wrote before it changed the turn is visible.
bool WaitWhile(const Context& context, uint64_t awaited) {
  while (context.turn.load(std::memory_order_acquire) == awaited) {
    if (context.ended.load(std::memory_order_relaxed)) return false;
    _mm_pause();
  }
  return true;
}

// The readings are ordered with the calls on both sides: FencedRdtsc waits for the acquire load before it,
// and a store leaves the CPU only after the instructions before it, the reading included, have retired. Each
// side looks where it is before its readings of a round, so that the look lengthens no bracket by much: there
// it is done while the call is on its way.
void Here(Context* context) {
  CounterOffset& offset = *context->offset;
  const CurrentCpu current;
  const int cpu = context->cpus[0];
  current.IsOnByAll(cpu, &offset.stray);
  const uint64_t start = FencedRdtsc();
  for (uint64_t round = 0; round < context->rounds; round++) {
    const bool in_place = current.IsOn(cpu, &offset.stray);
    const uint64_t before = FencedRdtsc();
    if (before - start > context->most_cycles) return;
    context->turn.store(2 * round + 1, std::memory_order_release);
    if (!WaitWhile(*context, 2 * round + 1)) return;
    const uint64_t after = FencedRdtsc();
    const uint64_t there = context->answer.load(std::memory_order_relaxed);
    if (!in_place || !context->there_in_place.load(std::memory_order_relaxed)) continue;
    offset.lowest = std::max(offset.lowest, static_cast<int64_t>(there - after));
    offset.highest = std::min(offset.highest, static_cast<int64_t>(there - before));
    offset.best_round_trip = std::min(offset.best_round_trip, after - before);
    offset.rounds++;
  }
}

void There(Context* context) {
  const CurrentCpu current;
  const int cpu = context->cpus[1];
  Stray& stray = context->stray_there;
  current.IsOnByAll(cpu, &stray);
  for (uint64_t round = 0;; round++) {
    const bool in_place = current.IsOn(cpu, &stray);
    if (!WaitWhile(*context, 2 * round)) return;
    context->there_in_place.store(in_place, std::memory_order_relaxed);
    context->answer.store(FencedRdtsc(), std::memory_order_relaxed);
    context->turn.store(2 * round + 2, std::memory_order_release);
  }
}

void Play(size_t thread, void* argument) {
  auto* context = static_cast<Context*>(argument);
  Outcome& own = thread == 0 ? context->outcome_here : context->outcome_there;
  own = CheckCounter(CounterMethod::kFencedRdtsc);
  if (own.ok()) (thread == 0 ? Here : There)(context);
  context->ended.store(true, std::memory_order_relaxed);
}

}  // namespace

Outcome RunPingPong(int cpu_here, int cpu_there, uint64_t rounds, uint64_t most_cycles,
                    CounterOffset* offset) {
  Context context;
  context.rounds = rounds;
  context.most_cycles = most_cycles;
  context.offset = offset;
  context.cpus[0] = cpu_here;
  context.cpus[1] = cpu_there;
  const Outcome started = RunPinned(context.cpus, 2, Play, &context);
  if (!started.ok()) return started;
  offset->stray.Add(context.stray_there);
  return context.outcome_here.ok() ? context.outcome_there : context.outcome_here;
}

}  // namespace latchclock
