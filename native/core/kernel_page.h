#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "counter.h"
#include "readers/seqlock.h"
#include "status.h"

namespace latchclock {

inline constexpr uint32_t kPageSize = 4096;
inline constexpr uint32_t kNoField = 0xffffffffu;

// clock_mode of the page (enum vdso_clock_mode, arch/x86/include/asm/vdso/clocksource.h).
inline constexpr uint32_t kTscMode = 1;
inline constexpr uint32_t kTimeNamespaceMode = 0x7fffffff;

// One clock of the kernel's page: where its words lie, in bytes from the page's start. The layout is the
// caller's (it has proved it); the values are read here.
struct PageClock {
  uint32_t seq;
  uint32_t mode;
  uint32_t cycle_last;
  uint32_t max_cycles;  // kNoField on kernels whose arithmetic has no such limit
  uint32_t mult;
  uint32_t shift;
  uint32_t seconds;
  uint32_t nanoseconds;  // shifted left by `shift`, plain for a coarse clock
  bool coarse;
  int64_t namespace_ns;  // offset of the time namespace, added after the shift
};

// True if every word lies inside a page at its natural alignment.
bool IsInsidePage(const PageClock& clock);

// kOk if `address` is a page that the kernel maps for its clocks, and so can be read for as long as the
// process lives: page-aligned, among the pages right below the vDSO, readable now, and no ordinary memory.
Outcome CheckKernelPage(uintptr_t address);

// One consistent copy of a clock's words with the counter read among them, and the value they give.
struct PageReading {
  uint64_t cycles;
  uint64_t cycle_last;
  uint64_t max_cycles;
  uint64_t scaled_ns;
  int64_t seconds;
  uint32_t mult;
  uint32_t shift;
  uint32_t seq;
  int64_t ns;
};

inline uint32_t LoadSeq(const uint8_t* page, uint32_t offset, std::memory_order order) {
  // atomic_ref takes no const object before C++26; a load never writes, so a read-only mapping is enough.
  auto* word = reinterpret_cast<uint32_t*>(const_cast<uint8_t*>(page + offset));
  return std::atomic_ref<uint32_t>(*word).load(order);
}

template <typename Word>
Word LoadRelaxed(const uint8_t* page, uint32_t offset) {
  auto* word = reinterpret_cast<Word*>(const_cast<uint8_t*>(page + offset));
  return std::atomic_ref<Word>(*word).load(std::memory_order_relaxed);
}

// Nanoseconds below the second part, by the kernel's own rules (lib/vdso/gettimeofday.c and
// arch/x86/include/asm/vdso/gettimeofday.h). With max_cycles (6.10 and later): 63-bit cycles, a delta with
// bit 62 set is behind the base and clamped to it, one beyond max_cycles is multiplied in 128 bits. Without:
// a counter behind the base is clamped, and the product wraps at 64 bits.
inline uint64_t KernelNanoseconds(uint64_t cycles, uint64_t cycle_last, uint64_t max_cycles,
                                  bool has_max_cycles, uint32_t mult, uint32_t shift, uint64_t scaled_ns) {
  constexpr uint64_t kMask63 = ~uint64_t{0} >> 1;
  if (!has_max_cycles) {
    const uint64_t delta = cycles > cycle_last ? cycles - cycle_last : 0;
    return (delta * mult + scaled_ns) >> shift;
  }
  const uint64_t delta = (cycles & kMask63) - cycle_last;
  if (__builtin_expect(delta <= max_cycles, 1)) return (delta * mult + scaled_ns) >> shift;
  if ((delta & (uint64_t{1} << 62)) != 0) return scaled_ns >> shift;
  const auto product = static_cast<unsigned __int128>(delta & kMask63) * mult + scaled_ns;
  return static_cast<uint64_t>(product >> shift);
}

// What the protocol of readers/seqlock.h takes from the kernel's page for one clock.
struct PageClockTake {
  const uint8_t* page;
  const PageClock& clock;
  PageReading* reading;
  uint32_t mode = 0;
  bool in_time_namespace = false;

  uint32_t Count(std::memory_order order) const { return LoadSeq(page, clock.seq, order); }
  bool WhileOdd() {
    // The first page of a time namespace: odd for ever, nobody is writing.
    in_time_namespace = LoadRelaxed<uint32_t>(page, clock.mode) == kTimeNamespaceMode;
    return !in_time_namespace;
  }
  [[gnu::always_inline]] void Take() {
    mode = LoadRelaxed<uint32_t>(page, clock.mode);
    if (!clock.coarse) {
      // The fence puts the counter after the first load of the count. Nothing puts it before the second: the
      // count vouches for the words, and for an instant at or before that of the counter, as in the vDSO.
      reading->cycles = FencedRdtsc();
      reading->cycle_last = LoadRelaxed<uint64_t>(page, clock.cycle_last);
      reading->max_cycles = clock.max_cycles == kNoField ? 0 : LoadRelaxed<uint64_t>(page, clock.max_cycles);
      reading->mult = LoadRelaxed<uint32_t>(page, clock.mult);
      reading->shift = LoadRelaxed<uint32_t>(page, clock.shift);
    } else {
      reading->cycles = reading->cycle_last = reading->max_cycles = 0;
      reading->mult = reading->shift = 0;
    }
    reading->seconds = LoadRelaxed<int64_t>(page, clock.seconds);
    reading->scaled_ns = LoadRelaxed<uint64_t>(page, clock.nanoseconds);
  }
  void Accept(uint32_t count) const { reading->seq = count; }
};

// Reads a clock as the vDSO does. Cycles must come from the counter itself (mode 1): kOtherClocksource for
// any other mode, which a kernel can take at any time, except for a coarse clock, which needs no counter.
// `retries` grows by the copies thrown away.
inline Outcome ReadPageClock(const uint8_t* page, const PageClock& clock, PageReading* reading,
                             uint64_t* retries) {
  PageClockTake taken{page, clock, reading};
  if (!SeqlockLoop(taken, kMostSpins, retries)) {
    return Outcome::Failed(taken.in_time_namespace ? Status::kBadArgument : Status::kRetries);
  }
  // Judged only now: words of a copy that was thrown away may have been anything.
  if (!clock.coarse && taken.mode != kTscMode) return Outcome::Failed(Status::kOtherClocksource);
  if (reading->shift >= 64) return Outcome::Failed(Status::kBadArgument);
  const uint64_t ns =
      KernelNanoseconds(reading->cycles, reading->cycle_last, reading->max_cycles,
                        clock.max_cycles != kNoField, reading->mult, reading->shift, reading->scaled_ns);
  // In unsigned arithmetic: the bytes of a page, not this code, say what the sum is.
  reading->ns = static_cast<int64_t>(static_cast<uint64_t>(reading->seconds) * 1'000'000'000u + ns +
                                     static_cast<uint64_t>(clock.namespace_ns));
  return {};
}

}  // namespace latchclock
