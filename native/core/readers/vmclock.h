#pragma once

#include "seqlock.h"

namespace latchclock {

// A VMClock page (the kernel's include/uapi/linux/vmclock-abi.h; lib/page/vmclock.ts has the whole of it): a
// seqlock of a 32-bit count, whose value is a time in seconds and 2^-64 seconds.
namespace vmclock {
inline constexpr uint32_t kCounterIdAt = 0x0a, kCountAt = 0x0c, kDisruptionAt = 0x10, kStatusAt = 0x22,
                          kPeriodShiftAt = 0x27, kCounterAt = 0x28, kPeriodAt = 0x30, kSecondsAt = 0x48,
                          kFractionAt = 0x50, kReadBytes = 0x58;
inline constexpr uint8_t kTscCounter = 1, kSynchronized = 2, kFreerunning = 3;
}  // namespace vmclock

struct VmclockReading {
  uint64_t seconds = 0;
  uint64_t fraction = 0;  // 2^-64 s
  uint64_t cycles = 0;
  uint64_t disruption_marker = 0;
  uint32_t count = 0;
};

// time + ((cycles - counter) * period >> shift), the product in 128 bits and rounded down to 2^-64 s. A
// counter behind the page's (by the sign of the 64-bit difference) is refused, and so is a page that counts
// by another counter, or whose clock is unknown, initializing or unreliable. The words that never change
// (magic, version, size, scale) are looked at before a page is read, by lib/page/vmclock.ts.
template <class Counter = HardwareCounter>
inline ReadEnd ReadVmclock(const uint8_t* page, const Counter& counter, uint32_t most_spins,
                           VmclockReading* reading, uint64_t* retries) {
  struct Page {
    const uint8_t* page;
    const Counter& counter;
    VmclockReading* reading;
    uint64_t base = 0, period = 0, seconds = 0, fraction = 0;
    uint8_t shift = 0, counter_id = 0, status = 0;

    uint8_t Load8(uint32_t at) const {
      return std::atomic_ref<uint8_t>(*const_cast<uint8_t*>(page + at)).load(std::memory_order_relaxed);
    }
    uint32_t Count(std::memory_order order) const {
      auto* word = reinterpret_cast<uint32_t*>(const_cast<uint8_t*>(page + vmclock::kCountAt));
      return std::atomic_ref<uint32_t>(*word).load(order);
    }
    bool WhileOdd() const { return true; }
    void Take() {
      reading->disruption_marker = LoadWord(page, vmclock::kDisruptionAt);
      reading->cycles = counter.Read();
      base = LoadWord(page, vmclock::kCounterAt);
      period = LoadWord(page, vmclock::kPeriodAt);
      seconds = LoadWord(page, vmclock::kSecondsAt);
      fraction = LoadWord(page, vmclock::kFractionAt);
      shift = Load8(vmclock::kPeriodShiftAt);
      // Within the section: a guest can come to a host that has no usable counter.
      counter_id = Load8(vmclock::kCounterIdAt);
      status = Load8(vmclock::kStatusAt);
    }
    void Accept(uint32_t count) const { reading->count = count; }
  };
  Page taken{page, counter, reading};
  if (!SeqlockLoop(taken, most_spins, retries)) return ReadEnd::kRetries;
  const bool runs = taken.status == vmclock::kSynchronized || taken.status == vmclock::kFreerunning;
  if (taken.counter_id != vmclock::kTscCounter || !runs) return ReadEnd::kUnusable;
  if (taken.period == 0) return ReadEnd::kUnpublished;
  const uint64_t delta = reading->cycles - taken.base;
  if (static_cast<int64_t>(delta) < 0) return ReadEnd::kOutOfWindow;
  // Shifts of 128 and more are in the page's range, and leave nothing.
  const auto product = static_cast<unsigned __int128>(delta) * taken.period;
  const auto elapsed = taken.shift < 128 ? product >> taken.shift : 0;
  const auto sum = static_cast<unsigned __int128>(taken.fraction) + static_cast<uint64_t>(elapsed);
  reading->fraction = static_cast<uint64_t>(sum);
  reading->seconds = taken.seconds + static_cast<uint64_t>(elapsed >> 64) + static_cast<uint64_t>(sum >> 64);
  return ReadEnd::kValue;
}

}  // namespace latchclock
