#pragma once

#include "seqlock.h"

namespace latchclock {

// A pvclock page (struct pvclock_vcpu_time_info, an ABI of KVM and Xen): a seqlock of a 32-bit version.
namespace pvclock {
inline constexpr uint32_t kVersionAt = 0, kTimestampAt = 8, kSystemTimeAt = 16, kMulAt = 24, kShiftAt = 28,
                          kFlagsAt = 29, kReadBytes = 32;
inline constexpr uint8_t kStableFlag = 1;
}  // namespace pvclock

struct PvclockReading {
  uint64_t ns = 0;
  uint64_t cycles = 0;
  uint32_t version = 0;
  uint8_t flags = 0;
};

// system_time + ((delta << tsc_shift, or >> -tsc_shift) * mul >> 32), each step rounded down, the product in
// 128 bits as the vDSO's mul_u64_u32_shr has it.
inline uint64_t PvclockNanoseconds(uint64_t delta, uint64_t system_time, uint32_t mul, int8_t shift) {
  // A shift of 64 or more would be undefined; it leaves nothing.
  const int by = shift < 0 ? -shift : shift;
  const uint64_t scaled = by >= 64 ? 0 : shift < 0 ? delta >> by : delta << by;
  return system_time + static_cast<uint64_t>((static_cast<unsigned __int128>(scaled) * mul) >> 32);
}

template <class Counter = HardwareCounter>
inline ReadEnd ReadPvclock(const uint8_t* page, const Counter& counter, uint32_t most_spins,
                           PvclockReading* reading, uint64_t* retries) {
  struct Page {
    const uint8_t* page;
    const Counter& counter;
    PvclockReading* reading;
    uint64_t timestamp = 0, system_time = 0;
    uint32_t mul = 0;
    int8_t shift = 0;

    uint32_t Load32(uint32_t at, std::memory_order order) const {
      auto* word = reinterpret_cast<uint32_t*>(const_cast<uint8_t*>(page + at));
      return std::atomic_ref<uint32_t>(*word).load(order);
    }
    uint8_t Load8(uint32_t at) const {
      return std::atomic_ref<uint8_t>(*const_cast<uint8_t*>(page + at)).load(std::memory_order_relaxed);
    }
    uint32_t Count(std::memory_order order) const { return Load32(pvclock::kVersionAt, order); }
    bool WhileOdd() const { return true; }
    void Take() {
      reading->cycles = counter.Read();
      timestamp = LoadWord(page, pvclock::kTimestampAt);
      system_time = LoadWord(page, pvclock::kSystemTimeAt);
      mul = Load32(pvclock::kMulAt, std::memory_order_relaxed);
      shift = static_cast<int8_t>(Load8(pvclock::kShiftAt));
      reading->flags = Load8(pvclock::kFlagsAt);
    }
    void Accept(uint32_t version) const { reading->version = version; }
  };
  Page taken{page, counter, reading};
  if (!SeqlockLoop(taken, most_spins, retries)) return ReadEnd::kRetries;
  if (taken.mul == 0) return ReadEnd::kUnpublished;
  // As the vDSO does: unless the flag says so, the pages of other CPUs need not agree with this one.
  if ((reading->flags & pvclock::kStableFlag) == 0) return ReadEnd::kUnusable;
  const uint64_t delta = reading->cycles - taken.timestamp;
  if (static_cast<int64_t>(delta) < 0) return ReadEnd::kOutOfWindow;
  reading->ns = PvclockNanoseconds(delta, taken.system_time, taken.mul, taken.shift);
  return ReadEnd::kValue;
}

}  // namespace latchclock
