#include "page_recorder.h"

#include <errno.h>

#include <new>

#include "quiet_thread.h"

namespace latchclock {

Outcome PageRecorder::Start(const uint8_t* page, uint32_t seq, uint32_t bytes, size_t capacity,
                            uint64_t most_cycles) {
  // The words stay after Stop, for whoever has them counted.
  if (words_ != nullptr || page == nullptr || bytes == 0 || bytes % 8 != 0 || bytes > kPageSize ||
      seq % 4 != 0 || seq > kPageSize - 4 || capacity == 0) {
    return Outcome::Failed(Status::kBadArgument);
  }
  const size_t row_words = kHeadWords + bytes / 8;
  if (capacity > SIZE_MAX / sizeof(uint64_t) / row_words) return Outcome::Failed(Status::kBadArgument);
  const Outcome usable = CheckCounter(CounterMethod::kFencedRdtsc);
  if (!usable.ok()) return usable;
  page_ = page;
  seq_ = seq;
  row_words_ = row_words;
  capacity_ = capacity;
  most_cycles_ = most_cycles;
  words_.reset(new (std::nothrow) uint64_t[capacity * row_words_]);
  if (words_ == nullptr) return Outcome::FailedCall("malloc", ENOMEM);

  recording_.store(true, std::memory_order_relaxed);
  const int error = CreateQuietThread(&thread_, Run, this);

  if (error != 0) {
    recording_.store(false, std::memory_order_relaxed);
    words_.reset();
    return Outcome::FailedCall("pthread_create", error);
  }
  started_ = true;
  return {};
}

void PageRecorder::Stop() {
  if (!started_) return;
  stop_.store(true, std::memory_order_relaxed);
  pthread_join(thread_, nullptr);
  started_ = false;
}

void* PageRecorder::Run(void* recorder) {
  auto* self = static_cast<PageRecorder*>(recorder);
  self->Record();
  self->recording_.store(false, std::memory_order_relaxed);
  return nullptr;
}

void PageRecorder::Record() {
  const uint64_t start = FencedRdtsc();
  size_t count = 0;
  uint32_t last_seq = 1;  // odd: equal to no count of a finished state
  uint64_t* row = words_.get();
  while (count < capacity_ && !stop_.load(std::memory_order_relaxed)) {
    const uint64_t before = FencedRdtsc();
    // The counter's own fence is before it alone: without this one the count may be loaded first, and
    // `before` be later than the state that it is said to be before (seen on a busy machine, by 116 cycles).
    _mm_lfence();
    if (before - start > most_cycles_) break;
    // Acquire, and the fence below: the words are loaded between the two loads of the count.
    const uint32_t seq = LoadSeq(page_, seq_, std::memory_order_acquire);
    if (seq == last_seq || (seq & 1) != 0) {
      _mm_pause();
      continue;
    }
    for (size_t i = 0; i < row_words_ - kHeadWords; i++) {
      row[kHeadWords + i] = LoadRelaxed<uint64_t>(page_, static_cast<uint32_t>(8 * i));
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    if (LoadSeq(page_, seq_, std::memory_order_relaxed) != seq) continue;
    row[0] = before;
    row[1] = FencedRdtsc();
    last_seq = seq;
    row += row_words_;
    // Release: whoever sees the count sees the row.
    captured_.store(++count, std::memory_order_release);
  }
}

}  // namespace latchclock
