#include "call_bracket.h"

#include <algorithm>
#include <atomic>

namespace latchclock {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
// The longest tick of a kernel (HZ = 100), twice.
constexpr int64_t kJustChangedNs = 20'000'000;

struct Sample {
  CallAnswer first, inner, second;
  bool across_update = false;
};

// Wraps rather than overflow: whoever answers in the kernel's place may answer anything.
int64_t Nanoseconds(ClockCall call, const CallAnswer& answer) {
  const auto fraction = static_cast<uint64_t>(answer.words[1]) * static_cast<uint64_t>(FractionUnitNs(call));
  return static_cast<int64_t>(static_cast<uint64_t>(answer.words[0]) * static_cast<uint64_t>(kSecondNs) +
                              fraction);
}

Outcome Take(const CallBracketRequest& request, Sample* sample) {
  uint32_t seq_before = 0, seq_after = 0;
  // Acquire, so that nothing of the sample is read before the count...
  if (request.page != nullptr) {
    seq_before = LoadSeq(request.page, request.clock.seq, std::memory_order_acquire);
  }
  const ClockCall outer = ClockCall::kClockGettime;
  int error = MakeClockCall(outer, request.outer_path, request.outer_id, &sample->first);
  if (error == 0) error = MakeClockCall(request.call, request.path, request.id, &sample->inner);
  if (error == 0) error = MakeClockCall(outer, request.outer_path, request.outer_id, &sample->second);
  // ... and the fence, so that the last count is read after all of it.
  std::atomic_thread_fence(std::memory_order_acquire);
  if (request.page != nullptr) {
    seq_after = LoadSeq(request.page, request.clock.seq, std::memory_order_relaxed);
  }
  sample->across_update = seq_before != seq_after || (seq_before & 1) != 0;
  return error == 0 ? Outcome{} : Outcome::FailedCall("a call for the time", error);
}

// The distance outside in ns, 0 inside.
uint64_t Judge(const CallBracketRequest& request, Sample* sample) {
  const bool whole_seconds = request.call == ClockCall::kTime;
  const int64_t unit_ns = whole_seconds ? kSecondNs : FractionUnitNs(request.call);
  const int64_t second = Nanoseconds(ClockCall::kClockGettime, sample->second);
  int64_t first = Nanoseconds(ClockCall::kClockGettime, sample->first);
  const int64_t beyond = ((first % unit_ns) + unit_ns) % unit_ns;
  first = static_cast<int64_t>(static_cast<uint64_t>(first) - static_cast<uint64_t>(beyond));
  const int64_t inner = Nanoseconds(request.call, sample->inner);
  // time(2) reads its second without the kernel's sequence count: in the moment in which the second changes
  // it may give either.
  if (whole_seconds && ((second % kSecondNs) + kSecondNs) % kSecondNs < kJustChangedNs) {
    sample->across_update = true;
  }
  if (inner < first) return static_cast<uint64_t>(first) - static_cast<uint64_t>(inner);
  if (inner > second) return static_cast<uint64_t>(inner) - static_cast<uint64_t>(second);
  return 0;
}

void WriteRow(const Sample& sample, int64_t* row) {
  row[0] = sample.across_update;
  size_t word = 1;
  for (const CallAnswer* answer : {&sample.first, &sample.inner, &sample.second}) {
    row[word++] = answer->words[0];
    row[word++] = answer->words[1];
  }
}

Outcome CheckRequest(const CallBracketRequest& request) {
  const bool tells_time = request.call != ClockCall::kGetcpu && request.call != ClockCall::kClockGetres;
  if (!tells_time || request.row_every == 0) return Outcome::Failed(Status::kBadArgument);
  if (request.page != nullptr && !IsInsidePage(request.clock)) return Outcome::Failed(Status::kBadArgument);
  const Outcome usable = CheckClockCall(request.call, request.path);
  return usable.ok() ? CheckClockCall(ClockCall::kClockGettime, request.outer_path) : usable;
}

}  // namespace

Outcome RunCallBracket(const CallBracketRequest& request, CallBracketTally* tally) {
  const Outcome usable = CheckRequest(request);
  if (!usable.ok()) return usable;
  for (uint64_t i = 0; i < request.count; i++) {
    Sample sample;
    const Outcome taken = Take(request, &sample);
    if (!taken.ok()) return taken;
    const uint64_t distance = Judge(request, &sample);
    const bool well_formed = IsWellFormed(request.call, sample.inner);
    const bool outer_well_formed = IsWellFormed(ClockCall::kClockGettime, sample.first) &&
                                   IsWellFormed(ClockCall::kClockGettime, sample.second);
    tally->samples++;
    tally->across_update += sample.across_update;
    tally->outside += distance > 0 && !sample.across_update;
    tally->outside_across_update += distance > 0 && sample.across_update;
    tally->worst_ns = std::max(tally->worst_ns, distance);
    tally->malformed += !well_formed;
    tally->malformed_outer += !outer_well_formed;
    const bool wrong = distance > 0 || !well_formed || !outer_well_formed;
    if ((wrong || i % request.row_every == 0) && tally->rows < request.row_capacity) {
      WriteRow(sample, request.rows + kCallRowWords * tally->rows++);
    }
  }
  return {};
}

}  // namespace latchclock
