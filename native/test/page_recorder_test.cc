#include "../core/page_recorder.h"

#include <sys/prctl.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../core/posix_clock.h"
#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

constexpr uint64_t kForEver = ~uint64_t{0};
constexpr uint32_t kCountAtEnd = kPageSize - 4;

// Bounded; a machine that is busy gets its time.
template <typename Condition>
bool Within20Seconds(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
  return true;
}

// Word `index` of state `n`: all follow from n, so that a copy mixed of two states shows.
uint64_t WordOf(uint32_t n, uint32_t index) { return (uint64_t{n} << 32) ^ (0x9e3779b97f4a7c15 * index); }

// Publishes state n in the first `bytes`, with the count in their first four bytes or at the page's end, and
// whatever the last word shares with it zero.
void Publish(FakePage* page, uint32_t seq_offset, uint32_t bytes, uint32_t n) {
  page->Store<uint32_t>(seq_offset, 2 * n - 1);
  // Pairs with the recorder's acquire fence: who loads any word below finds this count, or a later one.
  std::atomic_thread_fence(std::memory_order_release);
  for (uint32_t i = 1; i < std::min(bytes, kCountAtEnd - 4) / 8; i++) {
    page->Store<uint64_t>(8 * i, WordOf(n, i));
  }
  page->Store<uint32_t>(seq_offset, 2 * n, std::memory_order_release);
}

// The state of a row, or 0 if the row is no copy of one. (State 0 is that of a fresh page.)
uint32_t StateOf(const uint64_t* row, uint32_t bytes) {
  const uint64_t* words = row + PageRecorder::kHeadWords;
  const auto n = static_cast<uint32_t>(words[1] >> 32) ^ static_cast<uint32_t>(WordOf(0, 1) >> 32);
  for (uint32_t i = 1; i < std::min(bytes, kCountAtEnd - 4) / 8; i++) {
    if (words[i] != WordOf(n, i)) return 0;
  }
  return n;
}

uint32_t CountOf(const uint64_t* row) { return static_cast<uint32_t>(row[PageRecorder::kHeadWords]); }

std::string ThreadCount() { return ProcField("/proc/self/status", "Threads"); }

const uint64_t* RowOf(const PageRecorder& recorder, size_t index) {
  return recorder.words() + index * recorder.row_words();
}

// What every recording must be: counters in order, around each copy and from one to the next.
void CheckCounters(const PageRecorder& recorder, uint64_t begun, uint64_t ended) {
  uint64_t last = begun;
  for (size_t i = 0; i < recorder.captured(); i++) {
    const uint64_t* row = RowOf(recorder, i);
    if (!CHECK(last <= row[0]) || !CHECK(row[0] < row[1])) return;
    last = row[1];
  }
  CHECK(last <= ended);
}

TEST("every state that is recorded is a whole one, none comes twice, and counts only grow") {
  // The smaller page changes at a high rate, the larger one takes long to copy.
  for (const uint32_t bytes : {16u, 128u, kPageSize}) {
    FakePage page;
    Publish(&page, 0, bytes, 1);
    PageRecorder recorder;
    const uint64_t begun = FencedRdtsc();
    if (!CHECK(recorder.Start(page.bytes(), 0, bytes, 3000, kForEver).ok())) return;
    uint32_t published = 1;
    {
      Writer writer([&page, &published, bytes, random = Random(bytes)]() mutable {
        Publish(&page, 0, bytes, ++published);
        // Long enough for a copy, and sometimes not.
        for (uint64_t i = random.Below(200); i > 0; i--) _mm_pause();
      });
      CHECK(Within20Seconds([&] { return recorder.captured() >= 1000; }));
    }
    recorder.Stop();
    CheckCounters(recorder, begun, FencedRdtsc());
    CHECK_EQ(recorder.row_words(), PageRecorder::kHeadWords + bytes / 8);
    uint32_t last = 0;
    for (size_t i = 0; i < recorder.captured(); i++) {
      const uint32_t n = StateOf(RowOf(recorder, i), bytes);
      if (!CHECK(n > last) || !CHECK_EQ(CountOf(RowOf(recorder, i)), 2 * n)) break;
      last = n;
    }
    CHECK(last <= published);
  }
}

TEST("the counters around a copy are from before the end, and after the beginning, of the state copied") {
  constexpr uint32_t kBytes = 128;
  constexpr uint64_t kMostCycles = 3'000'000'000;
  struct Life {
    uint64_t begin = 0, end = 0;  // not after the state can be seen; not before it can be seen no more
  };
  std::vector<Life> lives(size_t{1} << 21);
  FakePage page;
  PageRecorder recorder;
  if (!CHECK(recorder.Start(page.bytes(), 0, kBytes, 100'000, kMostCycles).ok())) return;
  {
    Writer writer([&page, &lives, n = 0u]() mutable {
      if (n + 1 == lives.size()) return;
      page.Store<uint32_t>(0, 2 * n + 1);
      _mm_mfence();  // else the store might be seen later than the counter is read
      lives[n].end = FencedRdtsc();
      n++;
      lives[n].begin = FencedRdtsc();
      Publish(&page, 0, kBytes, n);
      for (int i = 0; i < 5; i++) _mm_pause();
    });
    CHECK(Within20Seconds([&] { return !recorder.recording(); }));
  }
  recorder.Stop();
  for (size_t i = 0; i < recorder.captured(); i++) {
    const uint64_t* row = RowOf(recorder, i);
    const uint32_t n = CountOf(row) / 2;
    if (!CHECK(n < lives.size()) || !CHECK(lives[n].begin < row[1])) return;
    if (lives[n].end != 0 && !CHECK(row[0] < lives[n].end)) return;
  }
}

TEST("no state is missed by a recorder that is given the time to see each") {
  constexpr uint32_t kStates = 300;
  for (const uint32_t seq : {0u, kCountAtEnd}) {
    FakePage page;
    Publish(&page, seq, kPageSize, 1);
    PageRecorder recorder;
    const uint64_t begun = FencedRdtsc();
    if (!CHECK(recorder.Start(page.bytes(), seq, kPageSize, kStates, kForEver).ok())) return;
    for (uint32_t n = 1; n <= kStates; n++) {
      if (n > 1) Publish(&page, seq, kPageSize, n);
      if (!CHECK(Within20Seconds([&] { return recorder.captured() == n; }))) return;
      // A row may be read as soon as it is counted.
      CHECK_EQ(StateOf(RowOf(recorder, n - 1), kPageSize), n);
    }
    recorder.Stop();
    CHECK_EQ(recorder.captured(), kStates);
    for (uint32_t n = 1; n <= kStates; n++) CHECK_EQ(StateOf(RowOf(recorder, n - 1), kPageSize), n);
    CheckCounters(recorder, begun, FencedRdtsc());
  }
}

TEST("a recorder that is full ends, with as many states as it was made for") {
  for (const size_t capacity : {1, 2, 7}) {
    FakePage page;
    Publish(&page, 0, 64, 1);
    PageRecorder recorder;
    if (!CHECK(recorder.Start(page.bytes(), 0, 64, capacity, kForEver).ok())) return;
    uint32_t published = 1;
    for (uint32_t n = 2; n <= capacity; n++) {
      CHECK(Within20Seconds([&] { return recorder.captured() == n - 1; }));
      CHECK(recorder.recording());
      Publish(&page, 0, 64, published = n);
    }
    CHECK(Within20Seconds([&] { return !recorder.recording(); }));
    Publish(&page, 0, 64, published + 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK_EQ(recorder.captured(), capacity);
    recorder.Stop();
    CHECK_EQ(recorder.captured(), capacity);
    for (uint32_t n = 1; n <= capacity; n++) CHECK_EQ(StateOf(RowOf(recorder, n - 1), 64), n);
  }
}

TEST("a page that does not change is recorded once, and the time given ends that") {
  FakePage page;
  Publish(&page, 0, 64, 9);
  PageRecorder recorder;
  constexpr uint64_t kMostCycles = 50'000'000;
  const uint64_t begun = FencedRdtsc();
  CHECK(recorder.Start(page.bytes(), 0, 64, 100, kMostCycles).ok());
  CHECK(Within20Seconds([&] { return !recorder.recording(); }));
  CHECK(FencedRdtsc() - begun > kMostCycles);
  recorder.Stop();
  CHECK(recorder.captured() <= 1);  // 0 if the thread lost its CPU for all of the time
  if (recorder.captured() == 1) CHECK_EQ(StateOf(recorder.words(), 64), 9);
}

TEST("a page that is being written is not recorded until it is finished") {
  FakePage page;
  page.Store<uint32_t>(0, 1);
  PageRecorder recorder;
  CHECK(recorder.Start(page.bytes(), 0, 64, 100, kForEver).ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK_EQ(recorder.captured(), 0);
  page.Store<uint32_t>(0, 3);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK_EQ(recorder.captured(), 0);
  Publish(&page, 0, 64, 2);
  CHECK(Within20Seconds([&] { return recorder.captured() == 1; }));
  recorder.Stop();
  CHECK_EQ(recorder.captured(), 1);
  CHECK_EQ(StateOf(recorder.words(), 64), 2);
}

TEST("an update with the same words is a state of its own, and a fresh page is the first state") {
  FakePage page;
  PageRecorder recorder;
  CHECK(recorder.Start(page.bytes(), 0, 8, 100, kForEver).ok());
  for (uint32_t count = 0; count < 10; count += 2) {
    page.Store<uint32_t>(0, count);
    CHECK(Within20Seconds([&] { return recorder.captured() == count / 2 + 1; }));
  }
  recorder.Stop();
  if (!CHECK_EQ(recorder.captured(), 5)) return;
  for (uint32_t i = 0; i < 5; i++) CHECK_EQ(CountOf(RowOf(recorder, i)), 2 * i);
}

TEST("a recorder may be stopped twice, and before it was started") {
  FakePage page;
  PageRecorder recorder;
  recorder.Stop();
  CHECK(!recorder.recording());
  CHECK_EQ(recorder.captured(), 0);
  CHECK(recorder.Start(page.bytes(), 0, 64, 10, kForEver).ok());
  CHECK(Within20Seconds([&] { return recorder.captured() == 1; }));
  CHECK(recorder.recording());
  recorder.Stop();
  CHECK(!recorder.recording());
  recorder.Stop();
  CHECK_EQ(recorder.captured(), 1);
}

TEST("the end of a recorder ends its thread, and nothing reads the page any more") {
  const std::string threads = ThreadCount();
  for (int i = 0; i < 20; i++) {
    FakePage page;  // unmapped after the recorder's end: a thread that still read it would fault
    PageRecorder recorder;
    CHECK(recorder.Start(page.bytes(), 0, kPageSize, 10, kForEver).ok());
    if (i % 2 == 0) CHECK(Within20Seconds([&] { return recorder.captured() == 1; }));
  }
  // A joined thread may still be counted for an instant.
  CHECK(Within20Seconds([&] { return ThreadCount() == threads; }));
}

TEST("a recorder is started once, and refuses to be started again, also after its end") {
  FakePage page, other;
  Publish(&page, 0, 64, 1);
  PageRecorder recorder;
  CHECK(recorder.Start(page.bytes(), 0, 64, 10, kForEver).ok());
  CHECK(Within20Seconds([&] { return recorder.captured() == 1; }));
  CHECK_EQ(recorder.Start(other.bytes(), 0, 128, 10, kForEver).status, Status::kBadArgument);
  CHECK(recorder.recording());
  Publish(&page, 0, 64, 2);
  CHECK(Within20Seconds([&] { return recorder.captured() == 2; }));
  recorder.Stop();
  // Rows of the first recording stay as they are: who has them counted may still read them.
  CHECK_EQ(recorder.Start(other.bytes(), 0, 8, 1, kForEver).status, Status::kBadArgument);
  CHECK(!recorder.recording());
  CHECK_EQ(recorder.captured(), 2);
  CHECK_EQ(recorder.row_words(), PageRecorder::kHeadWords + 8);
  CHECK_EQ(StateOf(RowOf(recorder, 0), 64), 1);
  CHECK_EQ(StateOf(RowOf(recorder, 1), 64), 2);
}

TEST("what cannot be recorded is refused, and the recorder may still be started") {
  FakePage page;
  PageRecorder recorder;
  struct {
    const uint8_t* page;
    uint32_t seq, bytes;
    size_t capacity;
  } const bad[] = {
      {nullptr, 0, 64, 10},
      {page.bytes(), 0, 0, 10},
      {page.bytes(), 0, 4, 10},
      {page.bytes(), 0, 65, 10},
      {page.bytes(), 0, kPageSize + 8, 10},
      {page.bytes(), 0, ~uint32_t{7}, 10},
      {page.bytes(), 2, 64, 10},
      {page.bytes(), kPageSize - 2, 64, 10},
      {page.bytes(), kPageSize, 64, 10},
      {page.bytes(), ~uint32_t{3}, 64, 10},
      {page.bytes(), 0, 64, 0},
      // Rows of 10 words: so many are 2^64 words and a few, of which 64 bits keep the few.
      {page.bytes(), 0, 64, ~size_t{0} / 10 + 1},
      {page.bytes(), 0, 64, ~size_t{0}},
  };
  for (const auto& [bytes_of, seq, bytes, capacity] : bad) {
    if (!CHECK_EQ(recorder.Start(bytes_of, seq, bytes, capacity, kForEver).status, Status::kBadArgument)) {
      return;
    }
    CHECK(!recorder.recording());
    CHECK_EQ(recorder.captured(), 0);
  }
  CHECK(recorder.Start(page.bytes(), kCountAtEnd, kPageSize, 1, kForEver).ok());
  CHECK(Within20Seconds([&] { return recorder.captured() == 1; }));
}

TEST("a recorder that gets no time records nothing") {
  FakePage page;
  PageRecorder recorder;
  CHECK(recorder.Start(page.bytes(), 0, 64, 10, 0).ok());
  CHECK(Within20Seconds([&] { return !recorder.recording(); }));
  recorder.Stop();
  CHECK_EQ(recorder.captured(), 0);
}

TEST("a recorder where the counter is disabled is refused and not run into") {
  FakePage page;
  PageRecorder recorder;
  bool disabled = false;
  Outcome outcome;
  RunInThread([&] {
    disabled = prctl(PR_SET_TSC, PR_TSC_SIGSEGV) == 0;
    if (disabled) outcome = recorder.Start(page.bytes(), 0, 64, 10, kForEver);
    prctl(PR_SET_TSC, PR_TSC_ENABLE);
  });
  if (!disabled) SKIP("this kernel cannot disable the counter");
  CHECK_EQ(outcome.status, Status::kCounterDisabled);
  CHECK(!recorder.recording());
  recorder.Stop();
  CHECK_EQ(recorder.captured(), 0);
}

TEST("the kernel's own page is recorded update by update") {
  const Mapping vvar = FindMapping("[vvar]");
  if (vvar.start == 0) SKIP("this process has no [vvar]");
  const auto* page = reinterpret_cast<const uint8_t*>(vvar.start);
  if (!CheckKernelPage(vvar.start).ok()) SKIP("[vvar] cannot be read");
  if (LoadRelaxed<uint32_t>(page, kModeOffset) != kTscMode) {
    SKIP("the page is not laid out as on kernels since 6.13, or its clocksource is not the TSC");
  }
  PageRecorder recorder;
  constexpr uint32_t kBytes = 8 * 40;
  const uint64_t begun = FencedRdtsc();
  CHECK(recorder.Start(page, kSeqOffset, kBytes, 1000, kForEver).ok());
  // Ten ticks: 0.1 s at 100 Hz, if no other work takes the CPU.
  CHECK(Within20Seconds([&] { return recorder.captured() >= 10; }));
  recorder.Stop();
  CheckCounters(recorder, begun, FencedRdtsc());
  uint32_t last_count = 0;
  uint64_t last_cycles = 0;
  for (size_t i = 0; i < recorder.captured(); i++) {
    const uint32_t count = CountOf(RowOf(recorder, i));
    CHECK_EQ(count % 2, 0);
    if (i > 0) CHECK(static_cast<int32_t>(count - last_count) > 0);
    last_count = count;
    const uint64_t cycles = RowOf(recorder, i)[PageRecorder::kHeadWords + kCycleLastOffset / 8];
    CHECK(last_cycles <= cycles);
    CHECK(cycles <= RowOf(recorder, i)[1]);
    last_cycles = cycles;
  }
}

}  // namespace
}  // namespace latchclock::test
