#include "lock_step.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "pinned_threads.h"

namespace latchclock {
namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kNoThread = ~size_t{0};
// A hand-over costs many times a reading: with some readings a turn the steps within a CPU are watched as
// well.
constexpr uint64_t kReadsATurn = 4;

// All that is handed over lies in one cache line, so that a turn moves one line between CPUs. The plain words
// are guarded by the lock.
struct alignas(kCacheLine) Shared {
  // A ticket lock: turns are taken in the order in which they were asked for. Under a plain spinlock the
  // thread that has just been there comes again, and the others' readings follow it once in a thousand.
  std::atomic<uint32_t> next_ticket{0};
  std::atomic<uint32_t> serving{0};
  uint32_t seq_before_last = 0;  // the page's count before the last reading was taken
  int64_t last = INT64_MIN;
  size_t last_thread = kNoThread;
  bool last_in_place = false;  // whether that thread was on its CPU

  void Lock() {
    const uint32_t ticket = next_ticket.fetch_add(1, std::memory_order_relaxed);
    // Acquire: the words below are read after the turn is ours.
    while (serving.load(std::memory_order_acquire) != ticket) _mm_pause();
  }
  // Release: the words are written before the turn is the next one's. Only the holder writes `serving`.
  void Unlock() { serving.store(serving.load(std::memory_order_relaxed) + 1, std::memory_order_release); }
};

struct alignas(kCacheLine) PerThread {
  LockStepTally tally;
  Outcome outcome;
};

struct Context {
  const LockStepRequest* request;
  Shared shared;
  std::vector<PerThread> threads;
};

// `seq_after` is the page's count after the reading: equal to the one before its predecessor, and even, it
// says that the page stood still over both.
void Compare(const Shared& shared, int64_t value, uint32_t seq_after, LockStepTally* tally) {
  tally->reads++;
  if (value >= shared.last) {
    // INT64_MIN stands for no reading yet.
    if (value > shared.last && shared.last != INT64_MIN) {
      const auto step = static_cast<uint64_t>(value) - static_cast<uint64_t>(shared.last);
      tally->smallest_step = std::min(tally->smallest_step, step);
    }
    return;
  }
  const auto back = static_cast<uint64_t>(shared.last) - static_cast<uint64_t>(value);
  const bool across_update = seq_after != shared.seq_before_last || (seq_after & 1) != 0;
  uint64_t& count = across_update ? tally->backwards_across_update : tally->backwards;
  uint64_t& worst = across_update ? tally->worst_across_update : tally->worst;
  count++;
  worst = std::max(worst, back);
}

// The count of the page that is watched, 0 if there is none.
uint32_t Count(const ClockRequest& clock, std::memory_order order) {
  return clock.page == nullptr ? 0 : LoadSeq(clock.page, clock.clock.seq, order);
}

Outcome ReadAndCompare(const ClockRequest& clock, Shared* shared, LockStepTally* tally) {
  PageReading page_reading;
  uint64_t retries = 0;
  int64_t value = 0;
  // Acquire: not after the reading...
  const uint32_t seq_before = Count(clock, std::memory_order_acquire);
  const Outcome outcome = Read(clock, &page_reading, &value, &retries);
  if (!outcome.ok()) return outcome;
  // ... and the fence: not before it.
  std::atomic_thread_fence(std::memory_order_acquire);
  Compare(*shared, value, Count(clock, std::memory_order_relaxed), tally);
  shared->last = value;
  shared->seq_before_last = seq_before;
  return {};
}

// Some readings under the lock. The thread looks where it is after the first of them: that lengthens neither
// the way from the predecessor's last reading to it, nor the way from the last one to the successor's.
Outcome TakeTurn(const ClockRequest& clock, size_t thread, int cpu, const CurrentCpu& current, uint64_t reads,
                 Shared* shared, LockStepTally* tally) {
  const bool from_another = shared->last_thread != kNoThread && shared->last_thread != thread;
  Outcome outcome = ReadAndCompare(clock, shared, tally);
  if (!outcome.ok()) return outcome;
  const bool in_place = current.IsOn(cpu, &tally->stray);
  tally->hand_overs += from_another && shared->last_in_place && in_place;
  shared->last_thread = thread;
  shared->last_in_place = in_place;
  for (uint64_t i = 1; i < reads && outcome.ok(); i++) outcome = ReadAndCompare(clock, shared, tally);
  return outcome;
}

void TakeTurns(size_t thread, void* argument) {
  auto* context = static_cast<Context*>(argument);
  const LockStepRequest& request = *context->request;
  Shared& shared = context->shared;
  PerThread& own = context->threads[thread];
  // The counter may be disabled for one thread and not for another: asked in each.
  own.outcome = CheckReading(request.clock);
  if (own.outcome.ok()) own.outcome = CheckCounter(CounterMethod::kFencedRdtsc);
  if (!own.outcome.ok()) return;
  const int cpu = request.cpus[thread];
  const CurrentCpu current;
  current.IsOnByAll(cpu, &own.tally.stray);
  const uint64_t start = FencedRdtsc();
  for (uint64_t left = request.reads; left > 0 && FencedRdtsc() - start <= request.most_cycles;) {
    const uint64_t turn = std::min(left, kReadsATurn);
    shared.Lock();
    own.outcome = TakeTurn(request.clock, thread, cpu, current, turn, &shared, &own.tally);
    shared.Unlock();
    if (!own.outcome.ok()) return;
    left -= turn;
  }
  current.IsOnByAll(cpu, &own.tally.stray);
}

void Add(const LockStepTally& part, LockStepTally* sum) {
  sum->reads += part.reads;
  sum->hand_overs += part.hand_overs;
  sum->backwards += part.backwards;
  sum->worst = std::max(sum->worst, part.worst);
  sum->backwards_across_update += part.backwards_across_update;
  sum->worst_across_update = std::max(sum->worst_across_update, part.worst_across_update);
  sum->smallest_step = std::min(sum->smallest_step, part.smallest_step);
  sum->stray.Add(part.stray);
}

}  // namespace

Outcome RunLockStep(const LockStepRequest& request, LockStepTally* tally) {
  Context context = {&request, {}, std::vector<PerThread>(request.cpu_count)};
  const Outcome started = RunPinned(request.cpus, request.cpu_count, TakeTurns, &context);
  if (!started.ok()) return started;
  for (const PerThread& thread : context.threads) {
    if (!thread.outcome.ok()) return thread.outcome;
    Add(thread.tally, tally);
  }
  return {};
}

}  // namespace latchclock
