#include "stepped_world.h"

#include <cstring>

namespace latchclock {
namespace {

constexpr uint16_t kNoWord = UINT16_MAX;
constexpr uint32_t kBothCopies = 2;
constexpr uint64_t kFirstGeneration = 7;

CopyImage ImageOf(const SteppedSegment& segment) {
  CopyImage image;
  image.base = segment.base;
  image.max_delta = segment.max_delta;
  image.tag = segment.tag;
  image.shared = {segment.mult, segment.fraction, segment.shift};
  image.realtime = image.smeared = image.raw = image.shared;
  const auto whole = static_cast<int64_t>(segment.whole);
  image.monotonic = image.raw_whole = whole;
  image.boottime = whole + 1'000'000'000;
  image.sane = image.realtime_whole = image.smeared_whole = whole + 1'700'000'000'000'000'000;
  image.tai = image.sane + 37'000'000'000;
  return image;
}

// Finds out what a writer stored since the last call.
class Recorder {
 public:
  Recorder(uint8_t* page, StoreLog* log) : page_(page), log_(log) { memcpy(before_, page, sizeof before_); }

  void operator()() {
    const uint32_t slot = log_->stores++;
    if (slot >= StoreLog::kMost) return;
    // A word that is stored with the value it has shows as nothing; nobody can tell.
    log_->at[slot] = kNoWord;
    for (uint32_t at = clock_page::kCountAt; at < sizeof before_; at += 8) {
      const uint64_t value = LoadWord(page_, at);
      if (value == LoadWord(before_, at)) continue;
      StoreWord(before_, at, value);
      log_->at[slot] = static_cast<uint16_t>(at);
      log_->value[slot] = value;
      return;
    }
  }

 private:
  uint8_t* page_;
  StoreLog* log_;
  alignas(8) uint8_t before_[SteppedWorld::kPageBytes];
};

// seqlock by a writer that takes it for granted that the count is even.
template <class Pause>
void PublishSeqlockNaive(uint8_t* page, const CopyImage& image, Pause&& pause) {
  const uint64_t count = LoadWord(page, clock_page::kCountAt);
  StoreWord(page, clock_page::kCountAt, count + 1);
  pause();
  std::atomic_thread_fence(std::memory_order_release);
  StoreCopy(page, 0, image, pause);
  StoreWord(page, clock_page::kCountAt, count + 2, std::memory_order_release);
  pause();
}

// The kernel's latch: both copies, a flip before each.
template <class Pause>
void PublishLatchTwice(uint8_t* page, const CopyImage& image, Pause&& pause) {
  const uint64_t count = LoadWord(page, clock_page::kCountAt);
  for (const uint64_t half : {uint64_t{1}, uint64_t{2}}) {
    StoreWord(page, clock_page::kCountAt, count + half, std::memory_order_release);
    pause();
    std::atomic_thread_fence(std::memory_order_release);
    StoreCopy(page, (count + half + 1) & 1, image, pause);
  }
}

}  // namespace

void SteppedWorld::Reset(ReaderProtocol with, bool is_wide, bool fast, uint64_t cycles) {
  memset(static_cast<void*>(this), 0, sizeof *this);
  protocol = with;
  wide = is_wide;
  fast_first = fast;
  counter = cycles;
  generation = kFirstGeneration;
  first_whole = 1'000'000'000'000;
  copies[0] = copies[1] = published = current[0] = current[1] = -1;
  BeginRead();
}

void SteppedWorld::PublishAt(uint64_t instant, const SteppedPolicy& policy) {
  const uint64_t now = counter;
  counter = instant;
  Publish(policy);
  counter = now;
  BeginRead();
}

SteppedSegment SteppedWorld::Next(uint64_t base, const SteppedPolicy& policy, bool anew) const {
  // Per mille of the nominal rate, of one segment after another: no rate comes twice.
  static constexpr uint64_t kSlower[kMostSegments] = {1000, 1003, 875, 1090, 860, 1110, 890, 1120,
                                                      852,  1060, 905, 1140, 845, 1080, 915, 1030};
  static constexpr uint64_t kFaster[kMostSegments] = {1001, 1004, 1130, 881, 1121, 891, 1141, 871,
                                                      1101, 861,  1071, 901, 1151, 841, 1051, 911};
  // Some hundred nanoseconds a cycle, a thousand times what is usual: the values lie so far apart that a mix
  // of words does not come upon a right one by chance. Within `length` of 2^30 the narrow sum stays below
  // 2^64.
  static constexpr uint64_t kWideNominal = 444'110'000'000'000'000, kNarrowNominal = 6'462'360'000;
  // A clock is set forward by a little with every segment, so that fractions need not go on from each other.
  const uint64_t forward = 1'009 + 613 * uint64_t{log.segment};
  const uint32_t number = log.segment;
  SteppedSegment next;
  next.base = base;
  next.max_delta = policy.length;
  next.tag = generation;
  next.epoch = epoch;
  // Shifts take turns, and fractions are full or empty: then each word, taken from another segment, shows.
  const bool odd = (number & 1) != 0;
  const uint64_t permille = (fast_first ? kFaster : kSlower)[number];
  next.shift = (wide ? 50 : 24) - (odd ? 1 : 0);
  next.mult = ((wide ? kWideNominal : kNarrowNominal) / (odd ? 2 : 1) / 1000 * permille) | 1;
  next.fraction = odd ? 0 : (uint64_t{1} << next.shift) - 1;
  // Far more than passes between two updates.
  static constexpr uint64_t kSourceBehind = 10'000'000'000;
  if (published < 0) {
    next.whole = first_whole;
  } else if (anew) {
    next.whole = resume_value - kSourceBehind + forward;
  } else {
    const SteppedSegment& last = segments[published];
    next.whole = (last.epoch == epoch ? last.ValueAt(base) : resume_value) + forward;
  }
  return next;
}

void SteppedWorld::Record(const SteppedPolicy& policy, uint64_t count, bool naive) {
  log = {};
  log.policy = policy;
  log.count_before = count;
  log.segment = segment_count++;
  if (log.segment >= kMostSegments) __builtin_trap();
  alignas(8) uint8_t scratch[kPageBytes];
  memcpy(scratch, page, sizeof scratch);
  StoreWord(scratch, clock_page::kCountAt, count);
  // The generation, which lies beside the page here, where a writer looks for it.
  scratch[clock_page::kGenerationSourceAt] = clock_page::kGenerationInPage;
  StoreWord(scratch, clock_page::kGenerationAt, generation);
  using Base = SteppedPolicy::Base;
  uint64_t base = counter;
  if (policy.base == Base::kAhead) base += policy.skew;
  const uint64_t keep = IsTwoWindow() ? TwoWindowKeep(scratch) : (count & 1);
  bool at_once = !policy.beside;
  const bool anew =
      policy.successor && IsTwoWindow() && copies[keep] >= 0 && segments[copies[keep]].epoch != epoch;
  if (policy.base == Base::kTouching) {
    const uint64_t window = WindowAt(protocol == ReaderProtocol::kSeqlock ? 0 : keep);
    const uint64_t from = LoadWord(scratch, window + clock_page::kBaseIn);
    const uint64_t length = LoadWord(scratch, window + clock_page::kMaxDeltaIn);
    if (length != 0 && counter - from < length) {
      base = from + length;
      at_once = false;
    }
  }
  const auto image_from = [&](uint64_t from) {
    SteppedSegment segment = Next(from, policy, anew);
    if (policy.hold) {
      segment.epoch = kNoEpoch;
      if (protocol == ReaderProtocol::kLatch) {
        segment.mult = 0;
      } else {
        segment.max_delta = 0;
      }
    }
    segments[log.segment] = segment;
    return ImageOf(segment);
  };
  Recorder recorder(scratch, &log);
  if (protocol == ReaderProtocol::kSeqlock) {
    log.target = 0;
    if (naive) {
      PublishSeqlockNaive(scratch, image_from(base), recorder);
    } else {
      const auto image = [&] {
        // The counter is read where the writer asks for this: a tick for each store before it.
        if (policy.base == Base::kNow) {
          log.counter_inside = log.stores > 0;
          base += log.stores * kTick;
        }
        return image_from(base);
      };
      PublishSeqlock(scratch, image, recorder);
    }
  } else if (IsTwoWindow()) {
    const uint64_t kept = naive ? 0 : keep;
    log.target = static_cast<uint32_t>(kept ^ 1);
    PublishTwoWindow(scratch, kept, image_from(base), at_once, !policy.beside, recorder);
  } else if (naive) {
    log.target = kBothCopies;
    PublishLatchTwice(scratch, image_from(base), recorder);
  } else {
    log.target = static_cast<uint32_t>((count & 1) ^ 1);
    PublishLatch(scratch, image_from(base), recorder);
  }
  if (log.stores > StoreLog::kMost) __builtin_trap();
}

void SteppedWorld::Prepare(const SteppedPolicy& policy) { Record(policy, Count(), false); }

void SteppedWorld::PrepareNaive(const SteppedPolicy& policy) { Record(policy, Count(), true); }

void SteppedWorld::Store(uint32_t most) {
  if (log.counter_inside && log.done <= 1 && most > 1) {
    // The counter is read only now, after the odd count: the words after it are of this instant.
    const StoreLog planned = log;
    segment_count = planned.segment;
    counter -= planned.done * kTick;
    Record(planned.policy, planned.count_before, false);
    counter += planned.done * kTick;
    log.done = planned.done;
  }
  for (; log.done < log.stores && log.done < most; log.done++) {
    const uint32_t i = log.done;
    const auto segment = static_cast<int32_t>(log.segment);
    counter += kTick;
    // The kernel's latch offers what it wrote with its second flip, and then writes it once more.
    const bool of_both = log.target == kBothCopies && i == log.stores / 2;
    if (of_both) copies[0] = copies[1] = segment;
    if (i + 1 == log.stores && log.target != kBothCopies) copies[log.target] = segment;
    // What holds readers off says nothing of the time.
    if ((i + 1 == log.stores || of_both) && !log.policy.hold) published = segment;
    if (log.at[i] == clock_page::kCountAt) {
      StoreCountWord(log.value[i]);
    } else if (log.at[i] != kNoWord) {
      StoreWord(page, log.at[i], log.value[i]);
    }
  }
}

void SteppedWorld::Close() {
  if (interval_count > 0) intervals[interval_count - 1].to = counter;
}

void SteppedWorld::Open() {
  if (interval_count >= kMostIntervals) __builtin_trap();
  intervals[interval_count++] = {counter, counter, generation, epoch, {current[0], current[1]}};
}

void SteppedWorld::Event() {
  Close();
  // No counter belongs to what was and to what is.
  counter++;
  Open();
}

void SteppedWorld::StoreCountWord(uint64_t count) {
  StoreWord(page, clock_page::kCountAt, count);
  if (protocol == ReaderProtocol::kSeqlock) {
    // Odd: the last one stays current, though nobody can have it.
    if ((count & 1) == 0) current[0] = copies[0], current[1] = -1;
  } else if (IsTwoWindow() && (count & 2) == 0) {
    current[0] = copies[0], current[1] = copies[1];
  } else {
    current[0] = copies[count & 1], current[1] = -1;
  }
  Event();
}

void SteppedWorld::SetGeneration(uint64_t value) {
  // Through an atomic word, as the reader loads it.
  std::atomic_ref<uint64_t>(generation).store(value, std::memory_order_relaxed);
  Event();
}

void SteppedWorld::Jump(uint64_t cycles) {
  if (published >= 0) resume_value = segments[published].ValueAt(counter);
  Close();
  counter = cycles;
  epoch++;
  Open();
}

void SteppedWorld::SetCount(uint64_t count) { StoreCountWord(count); }

void SteppedWorld::Become(const SteppedWorld& other) {
  const uint32_t shift = segment_count;
  if (shift + other.segment_count > kMostSegments) __builtin_trap();
  const uint32_t other_epoch = epoch + 1;
  for (uint32_t i = 0; i < other.segment_count; i++) {
    segments[shift + i] = other.segments[i];
    if (segments[shift + i].epoch != kNoEpoch) segments[shift + i].epoch = other_epoch;
  }
  segment_count += other.segment_count;
  const auto moved = [&](int32_t segment) {
    return segment < 0 ? segment : segment + static_cast<int32_t>(shift);
  };
  memcpy(page, other.page, sizeof page);
  for (int i = 0; i < 2; i++) copies[i] = moved(other.copies[i]), current[i] = moved(other.current[i]);
  published = moved(other.published);
  generation = other.generation;
  Close();
  counter = other.counter;
  epoch = other_epoch;
  Open();
}

uint64_t SteppedWorld::WindowEnd() const {
  for (const int32_t i : current) {
    if (i >= 0 && counter - segments[i].base < segments[i].max_delta)
      return segments[i].base + segments[i].max_delta;
  }
  return segments[published].base + segments[published].max_delta;
}

void SteppedWorld::BeginRead() {
  handed_count = 0;
  interval_count = 0;
  Open();
}

uint64_t SteppedWorld::HandCounter() {
  // Uneven, so that no two readings are equally far from the segments that were current then.
  counter += kTick + 101 * handed_count;
  if (hand_next != 0) counter = hand_next;
  hand_next = 0;
  if (handed_count < kMostHanded) handed[handed_count++] = counter;
  return counter;
}

Judgement SteppedWorld::Judge(ReaderGeneration with, ReadEnd end, bool has_value, uint64_t value,
                              uint64_t* generation_of) {
  if (end != ReadEnd::kValue) return Judgement::kRefused;
  if (!has_value) return Judgement::kMissing;
  Close();
  bool outside = false;
  for (uint32_t h = 0; h < handed_count; h++) {
    for (uint32_t i = 0; i < interval_count; i++) {
      const Interval& interval = intervals[i];
      if (handed[h] - interval.from > interval.to - interval.from) continue;
      for (const int32_t index : interval.current) {
        if (index < 0) continue;
        const SteppedSegment& segment = segments[index];
        if (segment.epoch != interval.epoch) continue;
        if (with != ReaderGeneration::kNone && segment.tag != interval.generation) continue;
        const uint64_t delta = handed[h] - segment.base;
        if (delta < segment.max_delta && segment.ValueAt(handed[h]) == value) {
          *generation_of = interval.generation;
          return Judgement::kRight;
        }
        const bool behind = static_cast<int64_t>(delta) < 0;
        outside |= delta >= segment.max_delta && segment.ValueAt(behind ? segment.base : handed[h]) == value;
      }
    }
  }
  return outside ? Judgement::kOutside : Judgement::kGarbage;
}

bool SteppedWorld::IsAmbiguous(uint64_t value) const {
  const auto words = [](const SteppedSegment& s, uint32_t i) {
    const uint64_t all[] = {s.base, s.mult, s.fraction, s.shift, s.whole};
    return all[i];
  };
  for (uint32_t h = 0; h < handed_count; h++) {
    for (uint32_t a = 0; a < segment_count; a++) {
      for (uint32_t b = a + 1; b < segment_count; b++) {
        if (segments[a].mult == 0 || segments[b].mult == 0) continue;
        for (uint32_t mask = 1; mask < 31; mask++) {
          uint64_t mixed[5];
          bool is_a = true, is_b = true;
          for (uint32_t i = 0; i < 5; i++) {
            const uint64_t of_a = words(segments[a], i), of_b = words(segments[b], i);
            mixed[i] = (mask >> i & 1) != 0 ? of_b : of_a;
            is_a &= mixed[i] == of_a;
            is_b &= mixed[i] == of_b;
          }
          if (is_a || is_b) continue;
          const SteppedSegment mix{mixed[0], 0, 0, mixed[1], mixed[2], mixed[3], mixed[4], 0};
          if (mix.ValueAt(handed[h]) == value) return true;
        }
      }
    }
  }
  return false;
}

}  // namespace latchclock
