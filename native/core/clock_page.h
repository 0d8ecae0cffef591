#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace latchclock {

// The byte layout of our own clock page, version 2: docs/clock-page.md is its source, and a test holds these
// numbers to it. Every word is little-endian and lies at a multiple of its size.
namespace clock_page {

inline constexpr uint32_t kBytes = 4096;

// Written once, before anybody else sees the page.
inline constexpr uint32_t kMagicAt = 0x00;             // u64
inline constexpr uint32_t kVersionAt = 0x08;           // u32
inline constexpr uint32_t kSizeAt = 0x0c;              // u32
inline constexpr uint32_t kCounterIdAt = 0x10;         // u8
inline constexpr uint32_t kProtocolAt = 0x11;          // u8
inline constexpr uint32_t kGenerationSourceAt = 0x12;  // u8
inline constexpr uint32_t kArithmeticAt = 0x13;        // u8
inline constexpr uint32_t kClocksAt = 0x14;            // u32

// Of kGenerationSourceAt: the word kGenerationAt of the page itself.
inline constexpr uint8_t kGenerationInPage = 1;

// The line that every read touches: the count, the generation, and the windows of both copies.
inline constexpr uint32_t kCountAt = 0x40;
inline constexpr uint32_t kGenerationAt = 0x48;
inline constexpr uint32_t kWindowsAt = 0x50;
inline constexpr uint32_t kWindowStride = 24;
inline constexpr uint32_t kBaseIn = 0, kMaxDeltaIn = 8, kTagIn = 16;  // within a window

inline constexpr uint32_t kCopiesAt = 0x100;
inline constexpr uint32_t kCopyStride = 0x100;
inline constexpr uint32_t kMultIn = 0, kFractionIn = 8, kShiftIn = 16;  // within a group

// Set in every shift word that a writer stores. The shift is the last word of its line that a clock is
// computed from, and this its last bit: a file that is cut short has zeros from some byte on, and they take
// the bit away from every clock of which they take anything.
inline constexpr uint64_t kWritten = uint64_t{1} << 63;

// Offsets within a copy.
inline constexpr uint32_t kMonotonicWhole = 0x00, kBoottimeWhole = 0x08, kTaiWhole = 0x10, kSaneWhole = 0x18;
inline constexpr uint32_t kSharedGroup = 0x28;
inline constexpr uint32_t kRealtimeWhole = 0x40, kRealtimeGroup = 0x48;
inline constexpr uint32_t kSmearedWhole = 0x60, kSmearedGroup = 0x68;
inline constexpr uint32_t kRawWhole = 0x80, kRawGroup = 0x88;
inline constexpr uint32_t kBoundWhole = 0xa0, kBoundGroup = 0xa8;
inline constexpr uint32_t kCopyBytes = 0xc0;

}  // namespace clock_page

// Where the words of one clock lie within a copy: mult, fraction and shift of its group, and its whole
// nanoseconds.
struct ClockSlot {
  uint32_t group;
  uint32_t whole;
};

// The clocks of a page, numbered as in docs/clock-page.md.
inline constexpr ClockSlot kClockSlots[] = {
    {clock_page::kRawGroup, clock_page::kRawWhole},            // 0 monotonic-raw
    {clock_page::kSharedGroup, clock_page::kMonotonicWhole},   // 1 monotonic
    {clock_page::kSharedGroup, clock_page::kBoottimeWhole},    // 2 boottime
    {clock_page::kSharedGroup, clock_page::kTaiWhole},         // 3 tai
    {clock_page::kSharedGroup, clock_page::kSaneWhole},        // 4 sane-realtime
    {clock_page::kSmearedGroup, clock_page::kSmearedWhole},    // 5 smeared-realtime
    {clock_page::kRealtimeGroup, clock_page::kRealtimeWhole},  // 6 realtime
};
inline constexpr uint32_t kClockSlotCount = sizeof kClockSlots / sizeof kClockSlots[0];

// A word of a page that a writer may change at any time. Relaxed: the protocol around it brings the order.
inline uint64_t LoadWord(const uint8_t* page, uint64_t at,
                         std::memory_order order = std::memory_order_relaxed) {
  // atomic_ref takes no const object before C++26; a load never writes, so a read-only mapping is enough.
  auto* word = reinterpret_cast<uint64_t*>(const_cast<uint8_t*>(page + at));
  return std::atomic_ref<uint64_t>(*word).load(order);
}

inline void StoreWord(uint8_t* page, uint64_t at, uint64_t value,
                      std::memory_order order = std::memory_order_relaxed) {
  std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(page + at)).store(value, order);
}

inline uint64_t WindowAt(uint64_t copy) { return clock_page::kWindowsAt + clock_page::kWindowStride * copy; }

inline uint64_t CopyAt(uint64_t copy) { return clock_page::kCopiesAt + clock_page::kCopyStride * copy; }

}  // namespace latchclock
