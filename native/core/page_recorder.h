#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernel_page.h"
#include "status.h"

namespace latchclock {

// A thread that watches the kernel's page and keeps every state that it sees, each a consistent copy. It
// spins: updates come hundreds of times a second, and one that is missed leaves a gap for good. Spinning also
// keeps a CPU busy, without which the kernel would not update at every tick.
class PageRecorder {
 public:
  // A recorded state in 64-bit words: the counter before and after the copy, then the copied words.
  static constexpr size_t kHeadWords = 2;

  PageRecorder() = default;
  PageRecorder(const PageRecorder&) = delete;
  PageRecorder& operator=(const PageRecorder&) = delete;
  ~PageRecorder() { Stop(); }

  // Copies the first `bytes` (a multiple of 8) of the page whenever the count at `seq` has changed, until
  // `capacity` states are kept, `most_cycles` have passed, or Stop. Once only for each recorder.
  Outcome Start(const uint8_t* page, uint32_t seq, uint32_t bytes, size_t capacity, uint64_t most_cycles);

  // Ends the thread; the words may be read from then on.
  void Stop();

  bool recording() const { return recording_.load(std::memory_order_relaxed); }
  size_t captured() const { return captured_.load(std::memory_order_acquire); }
  size_t row_words() const { return row_words_; }
  const uint64_t* words() const { return words_.get(); }

 private:
  static void* Run(void* recorder);
  void Record();

  const uint8_t* page_ = nullptr;
  uint32_t seq_ = 0;
  size_t row_words_ = 0;
  size_t capacity_ = 0;
  uint64_t most_cycles_ = 0;
  std::unique_ptr<uint64_t[]> words_;
  pthread_t thread_{};
  bool started_ = false;
  std::atomic<bool> stop_{false};
  std::atomic<bool> recording_{false};
  std::atomic<size_t> captured_{0};
};

}  // namespace latchclock
