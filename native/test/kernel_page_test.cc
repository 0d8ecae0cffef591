#include "../core/kernel_page.h"

#include <sys/mman.h>
#include <time.h>

#include <cstring>

#include "../core/fault_safe_copy.h"
#include "../core/posix_clock.h"
#include "../core/vdso_image.h"
#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

using Wide = unsigned __int128;

constexpr uint64_t kBit62 = uint64_t{1} << 62;
constexpr uint64_t kBit63 = uint64_t{1} << 63;

uint64_t WithLimit(uint64_t cycles, uint64_t cycle_last, uint64_t max_cycles, uint32_t mult, uint32_t shift,
                   uint64_t scaled_ns) {
  return KernelNanoseconds(cycles, cycle_last, max_cycles, true, mult, shift, scaled_ns);
}

uint64_t WithoutLimit(uint64_t cycles, uint64_t cycle_last, uint32_t mult, uint32_t shift,
                      uint64_t scaled_ns) {
  return KernelNanoseconds(cycles, cycle_last, 0, false, mult, shift, scaled_ns);
}

// What a clock shows by the rule of its design, in integers that cannot overflow: the base where the counter
// is behind it, else the base and the cycles since.
uint64_t Exact(uint64_t cycles, uint64_t cycle_last, uint32_t mult, uint32_t shift, uint64_t scaled_ns) {
  const Wide delta = cycles > cycle_last ? cycles - cycle_last : 0;
  return static_cast<uint64_t>((delta * mult + scaled_ns) >> shift);
}

// The page's state number n, from which every word follows, so that a copy mixed of two states shows.
struct Words {
  uint64_t cycle_last, max_cycles, scaled_ns;
  int64_t seconds;
  uint32_t mult, shift;
};

Words WordsOf(uint32_t n) {
  const uint64_t mixed = n * uint64_t{0x9e3779b97f4a7c15};
  return {mixed >> 3, mixed >> 21, ~mixed >> 5, n, static_cast<uint32_t>(mixed >> 32), n % 33};
}

void StoreWords(FakePage* page, const PageClock& clock, const Words& words) {
  page->Store<uint64_t>(clock.cycle_last, words.cycle_last);
  page->Store<uint64_t>(clock.max_cycles, words.max_cycles);
  page->Store<uint32_t>(clock.mult, words.mult);
  page->Store<uint32_t>(clock.shift, words.shift);
  page->Store<int64_t>(clock.seconds, words.seconds);
  page->Store<uint64_t>(clock.nanoseconds, words.scaled_ns);
}

// The protocol of a seqlock's writer, alone on its page.
void Publish(FakePage* page, const PageClock& clock, uint32_t n) {
  page->Store<uint32_t>(clock.seq, 2 * n - 1);
  // Pairs with the reader's acquire fence: a reader that loaded any word stored below finds this odd count,
  // or a later one, when it looks again.
  std::atomic_thread_fence(std::memory_order_release);
  StoreWords(page, clock, WordsOf(n));
  // Pairs with the reader's first load: a reader that finds this count loads these words, or later ones.
  page->Store<uint32_t>(clock.seq, 2 * n, std::memory_order_release);
}

// Why the running kernel's page cannot be used as ClockAt() lays it out, or null and its address.
const char* FindKernelPage(const uint8_t** page) {
  const Mapping vvar = FindMapping("[vvar]");
  if (vvar.start == 0) return "this process has no [vvar]";
  uint8_t bytes[kPageSize];
  if (!CopyMemory(vvar.start, kPageSize, bytes).ok()) return "[vvar] cannot be read";
  const auto word32 = [&](uint32_t offset) {
    uint32_t word;
    memcpy(&word, bytes + offset, sizeof word);
    return word;
  };
  const auto word64 = [&](uint32_t offset) {
    uint64_t word;
    memcpy(&word, bytes + offset, sizeof word);
    return word;
  };
  const uint32_t mode = word32(kModeOffset);
  if (mode == 0x7fffffff) return "this process is in a time namespace; its page holds offsets";
  if (mode != 1)
    return "the page is not laid out as on kernels since 6.13, or its clocksource is not the TSC";
  const uint32_t shift = word32(kShiftOffset);
  const uint64_t mask = word64(kMaskOffset);
  if (shift < 1 || shift > 32 || word32(kMultOffset) == 0 || (mask != ~uint64_t{0} && mask != ~kBit63)) {
    return "the page is not laid out as on kernels since 6.13";
  }
  timespec now;
  if (ClockGettime(ClockPath::kSyscall, CLOCK_MONOTONIC, &now) != 0) return "no CLOCK_MONOTONIC";
  const auto seconds = static_cast<int64_t>(word64(kBasetimeOffset + 16 * CLOCK_MONOTONIC));
  if (seconds > now.tv_sec || now.tv_sec - seconds > 10) {
    return "the page is not laid out as on kernels since 6.13: its seconds are not those of CLOCK_MONOTONIC";
  }
  *page = reinterpret_cast<const uint8_t*>(vvar.start);
  return nullptr;
}

// ---- KernelNanoseconds

TEST("with a limit: within it the value is the product in 64 bits, the limit included") {
  // By hand: 2,596,144 cycles of 2,596,144 kHz at mult 6462360, shift 24: 16,777,217,139,840 / 2^24.
  CHECK_EQ(WithLimit(2'596'144, 0, 0x256c0161b7a, 6462360, 24, 0), 1'000'000);
  CHECK_EQ(WithLimit(2'596'143, 0, 0x256c0161b7a, 6462360, 24, 0), 999'999);
  CHECK_EQ(WithLimit(12, 5, 7, 3, 1, 4), 12);  // (7 * 3 + 4) / 2
  // A product of 2^64 at the limit wraps to 0; one cycle more is past the limit and counts in full:
  // (2^64 + 2^31 + 5) / 2^32.
  const uint64_t limit = uint64_t{1} << 33;
  CHECK_EQ(WithLimit(limit, 0, limit, 1u << 31, 32, 5), 0);
  CHECK_EQ(WithLimit(limit + 1, 0, limit, 1u << 31, 32, 5), uint64_t{1} << 32);
  CHECK_EQ(WithLimit(kBit63 + limit, 0, limit, 1u << 31, 32, 5), 0);  // bit 63 is no part of the cycles
}

TEST("with a limit: a counter behind the base shows the base") {
  CHECK_EQ(WithLimit(99, 100, 1000, 7, 2, 40), 10);
  CHECK_EQ(WithLimit(100, 100, 1000, 7, 2, 40), 10);
  CHECK_EQ(WithLimit(101, 100, 1000, 7, 2, 40), 11);
  CHECK_EQ(WithLimit(0, kBit62, 1000, 7, 2, 40), 10);
}

TEST("with a limit: bit 62 of the difference alone tells behind from far ahead") {
  // 2^62 - 1 cycles ahead: (2^62 - 1) * 4 + 4 = 2^64, shifted by 32.
  CHECK_EQ(WithLimit(kBit62 - 1, 0, 1000, 4, 32, 4), uint64_t{1} << 32);
  CHECK_EQ(WithLimit(kBit62, 0, 1000, 4, 32, 4), 0);
  CHECK_EQ(WithLimit(kBit62 + kBit62 / 2, 0, 1000, 4, 32, uint64_t{7} << 32), 7);
}

TEST("with a limit: bit 63 of the counter is not looked at, and a counter may wrap through it") {
  CHECK_EQ(WithLimit(kBit63 + 5, 3, 1000, 10, 0, 1), 21);
  CHECK_EQ(WithLimit(kBit63 + 2, 3, 1000, 10, 0, 1), 1);
  // From 2^63 - 2 to 2^63 + 3: five cycles, by the wide way, since the difference in 64 bits is 2^63 + 5.
  CHECK_EQ(WithLimit(kBit63 + 3, kBit63 - 2, 1000, 10, 0, 1), 51);
  CHECK_EQ(WithLimit(kBit63 + 3, kBit63 - 2, 1000, 1, 1, 1), 3);
}

TEST("with a limit of zero only the base itself is within it") {
  CHECK_EQ(WithLimit(50, 50, 0, 7, 1, 9), 4);
  CHECK_EQ(WithLimit(51, 50, 0, 7, 1, 9), 8);
}

TEST("with a limit: 200,000 random inputs give the exact value") {
  Random random(1);
  uint64_t narrow = 0, behind = 0, wide = 0;
  for (int i = 0; i < 200'000; i++) {
    const auto mult = static_cast<uint32_t>(random.Next() >> random.Below(32) >> 32 | 1);
    const auto shift = static_cast<uint32_t>(random.Below(33));
    const uint64_t scaled = random.Next() >> 1 >> random.Below(33);
    // The kernel's own limit: nothing overflows up to it.
    const uint64_t max_cycles = kBit63 / mult;
    const uint64_t cycle_last = random.Below(kBit62);
    uint64_t cycles = random.Below(kBit62);
    if (i % 2 == 0) cycles = cycle_last + random.Below(max_cycles < kBit62 ? max_cycles + 1 : kBit62);
    if (cycles >= kBit62) cycles = cycle_last;
    (cycles < cycle_last ? behind : cycles - cycle_last <= max_cycles ? narrow : wide)++;
    if (!CHECK_EQ(WithLimit(cycles, cycle_last, max_cycles, mult, shift, scaled),
                  Exact(cycles, cycle_last, mult, shift, scaled))) {
      return;
    }
  }
  CHECK(narrow > 10'000 && behind > 10'000 && wide > 10'000);
}

TEST("without a limit: a counter behind the base shows the base, in all 64 bits") {
  CHECK_EQ(WithoutLimit(99, 100, 7, 2, 40), 10);
  CHECK_EQ(WithoutLimit(100, 100, 7, 2, 40), 10);
  CHECK_EQ(WithoutLimit(101, 100, 7, 2, 40), 11);
  CHECK_EQ(WithoutLimit(0, ~uint64_t{0}, 7, 2, 40), 10);
  CHECK_EQ(WithoutLimit(kBit63 + 1, kBit63 - 1, 7, 1, 40), 27);
}

TEST("without a limit: the product wraps at 64 bits") {
  CHECK_EQ(WithoutLimit(uint64_t{1} << 33, 0, 1u << 31, 0, 5), 5);
  CHECK_EQ(WithoutLimit(3, 0, 1, 0, ~uint64_t{0}), 2);
}

TEST("without a limit: 200,000 random inputs give the exact value, or its low 64 bits") {
  Random random(2);
  for (int i = 0; i < 200'000; i++) {
    const uint64_t cycle_last = random.Next() >> random.Below(64);
    const uint64_t cycles =
        i % 2 == 0 ? random.Next() >> random.Below(64) : cycle_last + random.Below(1 << 30);
    const auto mult = static_cast<uint32_t>(random.Next());
    const auto shift = static_cast<uint32_t>(random.Below(64));
    const uint64_t scaled = random.Next();
    // Low 64 bits before the shift: the exact value at shift 0, cut.
    const uint64_t expected = Exact(cycles, cycle_last, mult, 0, scaled) >> shift;
    if (!CHECK_EQ(WithoutLimit(cycles, cycle_last, mult, shift, scaled), expected)) return;
  }
}

// ---- IsInsidePage, CheckKernelPage

TEST("a word that is misaligned or reaches outside the page is refused, whichever it is") {
  const PageClock good = ClockAt(1);
  CHECK(IsInsidePage(good));
  struct {
    uint32_t PageClock::*field;
    uint32_t size;
  } const fields[] = {
      {&PageClock::seq, 4},        {&PageClock::mode, 4},        {&PageClock::cycle_last, 8},
      {&PageClock::max_cycles, 8}, {&PageClock::mult, 4},        {&PageClock::shift, 4},
      {&PageClock::seconds, 8},    {&PageClock::nanoseconds, 8},
  };
  for (const auto& [field, size] : fields) {
    PageClock clock = good;
    clock.*field = kPageSize - size;
    CHECK(IsInsidePage(clock));
    const uint32_t bad[] = {
        kPageSize - size + 1, kPageSize - size / 2, kPageSize,   kPageSize + 8, 1, size / 2,
        0x80000000u,          0xfffffff8u,          0xfffffffcu, 0xfffffffeu};
    for (const uint32_t offset : bad) {
      clock.*field = offset;
      CHECK(!IsInsidePage(clock));
    }
    clock.*field = kNoField;
    CHECK_EQ(IsInsidePage(clock), field == &PageClock::max_cycles);
  }
}

TEST("the kernel's page is accepted; what is unaligned, at or above the vDSO, or far away is refused") {
  const uintptr_t vdso = VdsoBase();
  if (vdso == 0) SKIP("this process has no vDSO");
  const Mapping vvar = FindMapping("[vvar]");
  if (vvar.start == 0) SKIP("this process has no [vvar]");
  CHECK(CheckKernelPage(vvar.start).ok());
  static uint8_t elsewhere[2 * kPageSize];
  const uintptr_t own = (reinterpret_cast<uintptr_t>(elsewhere) + kPageSize - 1) & ~uintptr_t{kPageSize - 1};
  const uintptr_t bad[] = {vvar.start + 1,
                           vvar.start + 8,
                           vvar.start - 1,
                           vdso,
                           vdso + kPageSize,
                           vdso - 17 * kPageSize,
                           own,
                           0,
                           vdso - (1ull << 30),
                           vdso + (1ull << 30),
                           ~uintptr_t{0},
                           ~uintptr_t{kPageSize - 1},
                           vdso - 256 * kPageSize};
  for (const uintptr_t address : bad) CHECK_EQ(CheckKernelPage(address).status, Status::kBadArgument);
}

TEST("memory of the process's own right below the kernel's pages is refused, readable as it is") {
  if (VdsoBase() == 0) SKIP("this process has no vDSO");
  const Mapping vvar = FindMapping("[vvar]");
  if (vvar.start == 0) SKIP("this process has no [vvar]");
  int own = 0;
  for (int i = 1; i <= 16; i++) {
    const uintptr_t address = vvar.start - static_cast<uintptr_t>(i) * kPageSize;
    // Fails where something is mapped already: that is not the kernel's either.
    void* page = mmap(reinterpret_cast<void*>(address), kPageSize, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(!CheckKernelPage(address).ok());
    if (page != MAP_FAILED) munmap(page, kPageSize);
    own += page != MAP_FAILED;
  }
  if (own == 0) SKIP("nothing could be mapped below the kernel's pages: all is taken");
}

TEST("a page of [vvar] that cannot be read is an answer, not a signal") {
  if (VdsoBase() == 0) SKIP("this process has no vDSO");
  int readable = 0, unreadable = 0;
  for (const char* name : {"[vvar]", "[vvar_vclock]"}) {
    const Mapping pages = FindMapping(name);
    for (uintptr_t page = pages.start; page < pages.end; page += kPageSize) {
      uint8_t bytes[kPageSize];
      const bool can_be_read = CopyMemory(page, kPageSize, bytes).ok();
      CHECK_EQ(CheckKernelPage(page).status, can_be_read ? Status::kOk : Status::kMemoryFault);
      (can_be_read ? readable : unreadable)++;
    }
  }
  if (readable + unreadable == 0) SKIP("this process has no [vvar]");
  CHECK(readable > 0);
  if (unreadable == 0) SKIP("every page of [vvar] can be read here");
}

// ---- ReadPageClock

TEST("the compiled reader has a fence right before its only reading of the counter") {
  if (kSanitized) SKIP("a sanitizer's build is not the code in use");
  // Where the processor may run an unfenced rdtsc ahead, it does so too seldom to be caught at it.
  const auto* code = reinterpret_cast<const uint8_t*>(&ReadPageClock);
  constexpr uint8_t kRdtsc[] = {0x0f, 0x31}, kFencedRdtsc[] = {0x0f, 0xae, 0xe8, 0x0f, 0x31};
  size_t at = 3;
  while (at < 1000 && memcmp(code + at, kRdtsc, sizeof kRdtsc) != 0) at++;
  CHECK(at < 1000);
  CHECK_EQ(memcmp(code + at - 3, kFencedRdtsc, sizeof kFencedRdtsc), 0);
}

TEST("the value is seconds, nanoseconds and the namespace's offset, whatever their signs") {
  FakePage page;
  PageClock clock = ClockAt(1);
  page.Store<uint32_t>(clock.seq, 0xfffffffe);
  page.Store<uint32_t>(clock.shift, 3);
  page.Store<int64_t>(clock.seconds, 12);
  page.Store<uint64_t>(clock.nanoseconds, (345'678'901u << 3) + 7);
  page.MakeReadOnly();  // as the kernel's is
  uint64_t retries = 0;
  for (const int64_t offset : {int64_t{0}, int64_t{1}, int64_t{-86'400'000'000'000}, INT64_MIN / 2}) {
    clock.namespace_ns = offset;
    PageReading reading{};
    CHECK(ReadPageClock(page.bytes(), clock, &reading, &retries).ok());
    CHECK_EQ(reading.ns, 12'345'678'901 + offset);
    CHECK_EQ(reading.seq, 0xfffffffe);
    CHECK_EQ(reading.seconds, 12);
    CHECK_EQ(reading.shift, 3);
  }
  CHECK_EQ(retries, 0);
}

TEST("each word comes from its own offset, and the counter is read during the call") {
  FakePage page;
  const PageClock clock = ClockAt(7);
  // Behind the base, so that the value does not depend on the counter.
  const Words words = {~uint64_t{0} >> 2, 22, 33 << 5, -44, 55, 5};
  StoreWords(&page, clock, words);
  PageReading reading{};
  uint64_t retries = 0;
  const uint64_t before = FencedRdtsc();
  CHECK(ReadPageClock(page.bytes(), clock, &reading, &retries).ok());
  const uint64_t after = FencedRdtsc();
  CHECK(before <= reading.cycles && reading.cycles <= after);
  CHECK_EQ(reading.cycle_last, words.cycle_last);
  CHECK_EQ(reading.max_cycles, words.max_cycles);
  CHECK_EQ(reading.mult, words.mult);
  CHECK_EQ(reading.shift, words.shift);
  CHECK_EQ(reading.scaled_ns, words.scaled_ns);
  CHECK_EQ(reading.seconds, words.seconds);
  CHECK_EQ(reading.ns, -44'000'000'000 + 33);
}

TEST("cycles since the base count, with and without a limit in the page") {
  FakePage page;
  PageClock clock = ClockAt(1);
  const uint64_t base = FencedRdtsc();
  page.Store<uint64_t>(clock.cycle_last, base);
  page.Store<uint64_t>(clock.max_cycles, ~uint64_t{0} >> 3);
  page.Store<uint32_t>(clock.mult, 3);
  page.Store<uint64_t>(clock.nanoseconds, 1000);
  uint64_t retries = 0;
  for (const uint32_t max_cycles : {clock.max_cycles, kNoField}) {
    clock.max_cycles = max_cycles;
    PageReading reading{};
    CHECK(ReadPageClock(page.bytes(), clock, &reading, &retries).ok());
    CHECK(reading.cycles >= base);
    CHECK_EQ(reading.ns, (reading.cycles - base) * 3 + 1000);
    CHECK_EQ(reading.max_cycles, max_cycles == kNoField ? 0 : ~uint64_t{0} >> 3);
  }
}

TEST("a product past 64 bits counts in full with a limit in the page, and wraps without") {
  FakePage page;
  PageClock clock = ClockAt(1);
  page.Store<uint64_t>(kMaxCyclesOffset, 1);
  page.Store<uint32_t>(kMultOffset, 0xffffffff);
  page.Store<uint32_t>(kShiftOffset, 32);
  PageReading with{}, without{};
  uint64_t retries = 0;
  CHECK(ReadPageClock(page.bytes(), clock, &with, &retries).ok());
  clock.max_cycles = kNoField;
  CHECK(ReadPageClock(page.bytes(), clock, &without, &retries).ok());
  if (with.cycles < uint64_t{1} << 33) SKIP("this machine has not run for 2^33 cycles yet");
  CHECK_EQ(with.ns, Exact(with.cycles, 0, 0xffffffff, 32, 0));
  CHECK_EQ(without.ns, Exact(without.cycles, 0, 0xffffffff, 0, 0) >> 32);
  CHECK(without.ns < int64_t{1} << 32);
}

TEST("seconds that no 64-bit count of nanoseconds holds are no undefined behaviour") {
  FakePage page;
  const PageClock clock = ClockAt(1);
  uint64_t retries = 0;
  for (const int64_t seconds : {INT64_MAX, INT64_MIN, int64_t{-1}}) {
    page.Store<int64_t>(clock.seconds, seconds);
    PageReading reading{};
    CHECK(ReadPageClock(page.bytes(), clock, &reading, &retries).ok());
    CHECK_EQ(static_cast<uint64_t>(reading.ns), static_cast<uint64_t>(seconds) * 1'000'000'000u);
  }
}

TEST("a mode other than the counter's is refused") {
  FakePage page;
  const PageClock clock = ClockAt(1);
  for (const uint32_t mode : {0u, 2u, 3u, 0x7fffffffu, 0x80000001u, 0x101u}) {
    page.Store<uint32_t>(clock.mode, mode);
    PageReading reading{};
    uint64_t retries = 0;
    CHECK_EQ(ReadPageClock(page.bytes(), clock, &reading, &retries).status, Status::kOtherClocksource);
  }
}

TEST("a shift of 64 or more is refused, and 63 is not") {
  FakePage page;
  const PageClock clock = ClockAt(1);
  page.Store<uint64_t>(clock.nanoseconds, kBit63);
  for (const uint32_t shift : {63u, 64u, 65u, 127u, 128u, 0xffffffffu}) {
    page.Store<uint32_t>(clock.shift, shift);
    PageReading reading{};
    uint64_t retries = 0;
    const Outcome outcome = ReadPageClock(page.bytes(), clock, &reading, &retries);
    CHECK_EQ(outcome.status, shift == 63 ? Status::kOk : Status::kBadArgument);
    if (shift == 63) CHECK_EQ(reading.ns, 1);
  }
}

TEST("a coarse clock needs neither the counter nor its words") {
  FakePage page;
  PageClock clock = ClockAt(6);
  clock.coarse = true;
  clock.namespace_ns = -5;
  StoreWords(&page, clock, {1, 2, 123'456'789, 77, 5, 99});
  for (const uint32_t mode : {0u, 1u, 2u, 0x7fffffffu}) {
    page.Store<uint32_t>(clock.mode, mode);
    PageReading reading{};
    uint64_t retries = 0;
    CHECK(ReadPageClock(page.bytes(), clock, &reading, &retries).ok());
    CHECK_EQ(reading.ns, 77'123'456'784);
    CHECK_EQ(reading.scaled_ns, 123'456'789);
    CHECK_EQ(reading.cycles, 0);
    CHECK_EQ(reading.mult, 0);
    CHECK_EQ(reading.shift, 0);
  }
}

TEST("a time namespace's own page, odd for ever, is refused at once") {
  FakePage page;
  PageClock clock = ClockAt(1);
  page.Store<uint32_t>(clock.seq, 1);
  page.Store<uint32_t>(clock.mode, kTimeNamespaceMode);
  PageReading reading{};
  uint64_t retries = 0;
  CHECK_EQ(ReadPageClock(page.bytes(), clock, &reading, &retries).status, Status::kBadArgument);
  CHECK_EQ(retries, 0);
}

TEST("a count that stays odd runs out of retries and gives no number") {
  FakePage page;
  PageClock clock = ClockAt(1);
  page.Store<uint32_t>(clock.seq, 1);
  PageReading reading{};
  reading.ns = -1;
  uint64_t retries = 1;
  CHECK_EQ(ReadPageClock(page.bytes(), clock, &reading, &retries).status, Status::kRetries);
  CHECK_EQ(retries, uint64_t{kMostSpins} + 1);
  CHECK_EQ(reading.ns, -1);
}

TEST("a reader waits for a writer that is late, and counts that") {
  // More than once only where this thread slept through the writer's pause.
  for (int attempt = 0; attempt < 50; attempt++) {
    FakePage page;
    const PageClock clock = ClockAt(1);
    page.Store<uint32_t>(clock.seq, 3);
    page.Store<int64_t>(clock.seconds, 1);
    PageReading reading{};
    uint64_t retries = 0;
    Outcome outcome;
    {
      LateWriter late([&] {
        page.Store<int64_t>(clock.seconds, 2);
        page.Store<uint32_t>(clock.seq, 4, std::memory_order_release);
      });
      outcome = ReadPageClock(page.bytes(), clock, &reading, &retries);
    }
    CHECK(outcome.ok());
    CHECK_EQ(reading.seq, 4);
    CHECK_EQ(reading.ns, 2'000'000'000);
    if (retries > 0) return;
  }
  SKIP("the reader was never scheduled while the count was odd");
}

TEST("no copy is torn, or older than the one before, while a writer rewrites the page at full rate") {
  constexpr int kReads = kSanitized ? 100'000 : 1'000'000;
  constexpr uint32_t kEnough = 100;
  FakePage page;
  const PageClock clock = ClockAt(1);
  StoreWords(&page, clock, WordsOf(0));
  uint64_t retries = 0;
  uint32_t last = 0, states = 0;
  {
    Writer writer([&, n = uint32_t{0}]() mutable {
      Publish(&page, clock, ++n);
      // Without a gap that varies, one side's loop may fall into step with the other's.
      for (uint32_t i = n % 8; i > 0; i--) _mm_pause();
    });
    // More than kReads where the writer, on a busy machine, has hardly run beside them.
    for (int i = 0; i < kReads || (i < 100 * kReads && (states < kEnough || retries < kEnough)); i++) {
      PageReading reading{};
      if (!CHECK(ReadPageClock(page.bytes(), clock, &reading, &retries).ok())) break;
      const auto n = static_cast<uint32_t>(reading.seconds);
      const Words words = WordsOf(n);
      const bool whole = reading.seq == 2 * n && reading.seconds == words.seconds &&
                         reading.cycle_last == words.cycle_last && reading.max_cycles == words.max_cycles &&
                         reading.mult == words.mult && reading.shift == words.shift &&
                         reading.scaled_ns == words.scaled_ns;
      if (!CHECK(whole)) break;
      if (!CHECK(n >= last)) break;
      states += n != last;
      last = n;
      const uint64_t ns = WithLimit(reading.cycles, words.cycle_last, words.max_cycles, words.mult,
                                    words.shift, words.scaled_ns);
      // A sum of such words wraps at 64 bits, and may come out negative.
      if (!CHECK_EQ(static_cast<uint64_t>(reading.ns), n * uint64_t{1'000'000'000} + ns)) break;
    }
  }
  if (std::thread::hardware_concurrency() < 2) SKIP("one CPU: reader and writer never ran at the same time");
  CHECK(states >= kEnough);
  CHECK(retries >= kEnough);
}

// ---- The running kernel's page

TEST("the kernel's own page read here lies between two readings through the kernel") {
  const uint8_t* page = nullptr;
  if (const char* reason = FindKernelPage(&page)) SKIP(reason);
  if (!CheckCounter(CounterMethod::kFencedRdtsc).ok()) SKIP("this thread may not read the counter");
  for (const clockid_t id : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI,
                             CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE}) {
    PageClock clock = ClockAt(static_cast<uint32_t>(id));
    clock.coarse = id == CLOCK_REALTIME_COARSE || id == CLOCK_MONOTONIC_COARSE;
    int judged = 0;
    for (int i = 0; i < 20'000; i++) {
      timespec before, after;
      PageReading reading{};
      uint64_t retries = 0;
      const uint32_t seq = LoadSeq(page, clock.seq, std::memory_order_acquire);
      CHECK_EQ(ClockGettime(ClockPath::kSyscall, id, &before), 0);
      if (!CHECK(ReadPageClock(page, clock, &reading, &retries).ok())) return;
      CHECK_EQ(ClockGettime(ClockPath::kSyscall, id, &after), 0);
      // Across an update a real kernel's clocks may go back: its frequency changed, or somebody set it.
      if (LoadSeq(page, clock.seq, std::memory_order_acquire) != seq) continue;
      judged++;
      if (!CHECK(ToNanoseconds(before) <= reading.ns && reading.ns <= ToNanoseconds(after))) break;
    }
    CHECK(judged > 10'000);
  }
}

}  // namespace
}  // namespace latchclock::test
