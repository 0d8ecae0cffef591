#include "bracket.h"

#include <algorithm>

#include "counter.h"

namespace latchclock {
namespace {

struct Sample {
  int64_t outer_first = 0, inner = 0, outer_second = 0;
  uint64_t counter_before = 0, counter_after = 0;
  uint32_t seq_before = 0, seq_after = 0;
  PageReading first_page{}, second_page{};
  BracketVerdict verdict = BracketVerdict::kInside;
};

ClockRequest Of(const BracketRequest& request, ReadingSource source) {
  return {source, request.id, request.page, request.clock};
}

Outcome Take(const BracketRequest& request, Sample* sample, uint64_t* retries) {
  const bool has_page = request.page != nullptr;
  const ClockRequest outer = Of(request, request.outer);
  const ClockRequest inner = Of(request, request.inner);
  // Acquire, so that nothing of the sample is read before the count...
  if (has_page) sample->seq_before = LoadSeq(request.page, request.clock.seq, std::memory_order_acquire);
  sample->counter_before = FencedRdtsc();
  PageReading* inner_page =
      request.outer == ReadingSource::kPage ? &sample->second_page : &sample->first_page;
  Outcome outcome = Read(outer, &sample->first_page, &sample->outer_first, retries);
  if (outcome.ok()) outcome = Read(inner, inner_page, &sample->inner, retries);
  if (outcome.ok()) {
    outcome = Read(outer, &sample->second_page, &sample->outer_second, retries);
  }
  sample->counter_after = FencedRdtsc();
  // ... and the fence, so that the last count is read after all of it.
  std::atomic_thread_fence(std::memory_order_acquire);
  if (has_page) sample->seq_after = LoadSeq(request.page, request.clock.seq, std::memory_order_relaxed);
  return outcome;
}

void WriteReading(const PageReading& reading, int64_t* words) {
  words[0] = static_cast<int64_t>(reading.cycles);
  words[1] = static_cast<int64_t>(reading.cycle_last);
  words[2] = reading.mult;
  words[3] = reading.shift;
  words[4] = reading.seconds;
  words[5] = static_cast<int64_t>(reading.scaled_ns);
  words[6] = static_cast<int64_t>(reading.max_cycles);
  words[7] = reading.ns;
}

void WriteRow(const Sample& sample, int64_t* row) {
  row[0] = static_cast<int64_t>(sample.verdict);
  row[1] = static_cast<int64_t>(sample.counter_before);
  row[2] = sample.outer_first;
  row[3] = sample.inner;
  row[4] = sample.outer_second;
  row[5] = static_cast<int64_t>(sample.counter_after);
  row[6] = sample.seq_before;
  row[7] = sample.seq_after;
  WriteReading(sample.first_page, row + kRowReadingA);
  WriteReading(sample.second_page, row + kRowReadingB);
}

void Judge(Sample* sample, BracketTally* tally) {
  uint64_t distance = 0;
  if (sample->inner < sample->outer_first) {
    sample->verdict = BracketVerdict::kBelow;
    distance = static_cast<uint64_t>(sample->outer_first) - static_cast<uint64_t>(sample->inner);
  } else if (sample->inner > sample->outer_second) {
    sample->verdict = BracketVerdict::kAbove;
    distance = static_cast<uint64_t>(sample->inner) - static_cast<uint64_t>(sample->outer_second);
  } else {
    sample->verdict = BracketVerdict::kInside;
  }
  const bool across_update = sample->seq_before != sample->seq_after || (sample->seq_before & 1) != 0;
  const bool outside = sample->verdict != BracketVerdict::kInside;
  tally->samples++;
  tally->across_update += across_update;
  tally->outside += outside && !across_update;
  tally->outside_across_update += outside && across_update;
  tally->worst_ns = std::max(tally->worst_ns, distance);
  if (sample->outer_second >= sample->outer_first) {
    const auto width =
        static_cast<uint64_t>(sample->outer_second) - static_cast<uint64_t>(sample->outer_first);
    tally->width_sum_ns += width;
    tally->width_min_ns = tally->widths++ == 0 ? width : std::min(tally->width_min_ns, width);
  }
}

}  // namespace

Outcome RunBracket(const BracketRequest& request, BracketTally* tally) {
  const bool both_page = request.outer == ReadingSource::kPage && request.inner == ReadingSource::kPage;
  // Cycles are not compared with nanoseconds.
  const bool any_counter =
      request.outer == ReadingSource::kCounter || request.inner == ReadingSource::kCounter;
  if (both_page || any_counter) return Outcome::Failed(Status::kBadArgument);
  if (request.row_every == 0) return Outcome::Failed(Status::kBadArgument);
  for (const ReadingSource source : {request.outer, request.inner}) {
    const Outcome usable = CheckReading(Of(request, source));
    if (!usable.ok()) return usable;
  }
  const Outcome usable = CheckCounter(CounterMethod::kFencedRdtsc);
  if (!usable.ok()) return usable;

  uint64_t until_row = 1;
  for (uint64_t i = 0; i < request.count; i++) {
    Sample sample;
    const Outcome outcome = Take(request, &sample, &tally->retries);
    if (!outcome.ok()) return outcome;
    Judge(&sample, tally);
    if (sample.verdict != BracketVerdict::kInside && tally->outside_rows < request.outside_capacity) {
      WriteRow(sample, request.outside_rows + kRowWords * tally->outside_rows++);
    }
    if (--until_row == 0) {
      until_row = request.row_every;
      if (tally->rows < request.row_capacity) WriteRow(sample, request.rows + kRowWords * tally->rows++);
    }
  }
  return {};
}

}  // namespace latchclock
