#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../core/kernel_page.h"

namespace latchclock::test {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// The CPUs that the calling thread may run on, at most so many of them.
std::vector<int> AllowedCpus(size_t most = SIZE_MAX);

// The same numbers in every run (splitmix64).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t Below(uint64_t limit) { return Next() % limit; }

 private:
  uint64_t state_;
};

// For what changes the thread that does it.
template <typename Function>
void RunInThread(Function&& function) {
  std::thread(std::forward<Function>(function)).join();
}

// Makes every call of system call `number` in this thread answer -`error_number` (0: success) without being
// made. For good; false where seccomp filters are not allowed.
bool AnswerInKernelsPlace(int number, int error_number);

struct Mapping {
  uintptr_t start = 0, end = 0;
};
// The mapping of that name in /proc/self/maps, empty if there is none.
Mapping FindMapping(const char* name);

// The value of a field of a /proc file of lines such as "Seccomp:\t0", empty if there is none.
std::string ProcField(const char* path, const char* field);

// Clocks of a page laid out as on kernels since 6.13.
inline constexpr uint32_t kSeqOffset = 0, kModeOffset = 4, kCycleLastOffset = 8, kMaxCyclesOffset = 16,
                          kMaskOffset = 24, kMultOffset = 32, kShiftOffset = 36, kBasetimeOffset = 40;
PageClock ClockAt(uint32_t basetime_index);

// A page of memory of our own, filled as a kernel might fill it: an even count, mode 1, all else zero.
class FakePage {
 public:
  FakePage();
  ~FakePage();
  FakePage(const FakePage&) = delete;
  FakePage& operator=(const FakePage&) = delete;

  const uint8_t* bytes() const { return bytes_; }
  void MakeReadOnly();
  // Relaxed atomics, since a reader may run beside the writer.
  template <typename Word>
  void Store(uint32_t offset, Word value, std::memory_order order = std::memory_order_relaxed) {
    std::atomic_ref<Word>(*reinterpret_cast<Word*>(bytes_ + offset)).store(value, order);
  }

 private:
  uint8_t* bytes_;
};

// Does something once, some milliseconds from now; waits for that in its destructor.
class LateWriter {
 public:
  template <typename Function>
  explicit LateWriter(Function write)
      : thread_([write] {
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
          write();
        }) {}
  ~LateWriter() { thread_.join(); }

 private:
  std::thread thread_;
};

// Takes steps in a thread of its own until it is destroyed.
class Writer {
 public:
  template <typename Function>
  explicit Writer(Function step)
      : thread_([this, step]() mutable {
          while (!stop_.load(std::memory_order_relaxed)) step();
        }) {}
  ~Writer() {
    stop_.store(true, std::memory_order_relaxed);
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace latchclock::test
