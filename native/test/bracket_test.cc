#include "../core/bracket.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <vector>

#include "../core/posix_clock.h"
#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

constexpr ReadingSource kPaths[] = {ReadingSource::kVdso, ReadingSource::kLibc, ReadingSource::kSyscall};

BracketRequest Request(ReadingSource outer, ReadingSource inner, uint64_t count) {
  BracketRequest request = {};
  request.outer = outer;
  request.inner = inner;
  request.id = CLOCK_MONOTONIC;
  request.count = count;
  request.row_every = 1;
  return request;
}

// Room for rows that ends in words which must stay as they are.
class Rows {
 public:
  explicit Rows(size_t capacity) : words_((capacity + 1) * kRowWords, kUntouched) {}
  int64_t* data() { return words_.data(); }
  const int64_t* Row(size_t index) const { return words_.data() + index * kRowWords; }
  bool IsUntouchedFrom(size_t row) const {
    return std::all_of(words_.begin() + static_cast<ptrdiff_t>(row * kRowWords), words_.end(),
                       [](int64_t word) { return word == kUntouched; });
  }

 private:
  static constexpr int64_t kUntouched = 0x5eed5eed5eed5eed;
  std::vector<int64_t> words_;
};

// A page whose clock stands still, at `seconds`.
constexpr int64_t kFarPast = 0, kFarFuture = int64_t{1} << 32;
constexpr uint64_t kCycleLast = ~uint64_t{0} >> 2;
constexpr int64_t kStoodStillNs = 9;

void StandStill(FakePage* page, const PageClock& clock, int64_t seconds) {
  page->Store<uint32_t>(clock.seq, 6);
  page->Store<uint64_t>(clock.cycle_last, kCycleLast);  // every counter is behind it
  page->Store<uint64_t>(clock.max_cycles, 1000);
  page->Store<uint32_t>(clock.mult, 3);
  page->Store<uint32_t>(clock.shift, 2);
  page->Store<int64_t>(clock.seconds, seconds);
  page->Store<uint64_t>(clock.nanoseconds, kStoodStillNs << 2);
}

void CheckPageWords(const int64_t* words, int64_t seconds) {
  CHECK_EQ(words[1], kCycleLast);
  CHECK_EQ(words[2], 3);
  CHECK_EQ(words[3], 2);
  CHECK_EQ(words[4], seconds);
  CHECK_EQ(words[5], kStoodStillNs << 2);
  CHECK_EQ(words[6], 1000);
  CHECK_EQ(words[7], seconds * 1'000'000'000 + kStoodStillNs);
}

bool AllZero(const int64_t* words, size_t count) {
  return std::all_of(words, words + count, [](int64_t word) { return word == 0; });
}

TEST("no reading of CLOCK_MONOTONIC by any path lies outside two readings by any path") {
  if (!CheckClockPath(ClockPath::kVdso).ok()) SKIP("this process has no vDSO that it may use");
  for (const ReadingSource outer : kPaths) {
    for (const ReadingSource inner : kPaths) {
      BracketTally tally;
      CHECK(RunBracket(Request(outer, inner, 20'000), &tally).ok());
      CHECK_EQ(tally.samples, 20'000);
      CHECK_EQ(tally.outside, 0);
      CHECK_EQ(tally.worst_ns, 0);
      CHECK_EQ(tally.across_update, 0);
      CHECK_EQ(tally.retries, 0);
      CHECK_EQ(tally.rows, 0);
      CHECK(tally.width_min_ns <= tally.width_sum_ns / tally.samples);
      CHECK(tally.width_sum_ns > 0);
    }
  }
}

TEST("a request that cannot be answered is refused before anything is read or written") {
  FakePage page;
  const PageClock clock = ClockAt(1);
  std::vector<BracketRequest> bad;
  for (const ReadingSource path : kPaths) {
    bad.push_back(Request(ReadingSource::kPage, path, 1));  // no page
    bad.push_back(Request(path, ReadingSource::kPage, 1));
  }
  BracketRequest request = Request(ReadingSource::kPage, ReadingSource::kPage, 1);
  bad.push_back(request);
  request.page = page.bytes();
  request.clock = clock;
  bad.push_back(request);  // the page against itself
  request = Request(ReadingSource::kSyscall, ReadingSource::kSyscall, 1);
  request.row_every = 0;
  bad.push_back(request);
  request.row_every = 1;
  request.page = page.bytes();
  request.clock = clock;
  request.clock.seq = kPageSize;
  bad.push_back(request);
  for (const BracketRequest& each : bad) {
    BracketTally tally;
    CHECK_EQ(RunBracket(each, &tally).status, Status::kBadArgument);
    CHECK_EQ(tally.samples, 0);
  }
}

TEST("an unknown clock ends the bracket with the system call's errno") {
  for (const ReadingSource outer : kPaths) {
    if (!CheckClockPath(static_cast<ClockPath>(outer)).ok()) continue;
    BracketRequest request = Request(outer, ReadingSource::kSyscall, 10);
    request.id = 9999;
    BracketTally tally;
    const Outcome outcome = RunBracket(request, &tally);
    CHECK_EQ(outcome.status, Status::kSystemCall);
    CHECK_EQ(outcome.error_number, EINVAL);
    CHECK_EQ(std::string(outcome.call), "clock_gettime");
    CHECK_EQ(tally.samples, 0);
  }
}

TEST("a clock that goes away ends the bracket and leaves the tally of the samples before") {
  // The CPU-time clock of a thread goes away with the thread. It may do so before the first sample is taken.
  for (int attempt = 0; attempt < 20; attempt++) {
    std::thread thread([] {
      const timespec pause = {0, 5'000'000};
      nanosleep(&pause, nullptr);
    });
    BracketRequest request = Request(ReadingSource::kSyscall, ReadingSource::kSyscall, uint64_t{1} << 40);
    Rows rows(4);
    request.rows = rows.data();
    request.row_capacity = 4;
    const bool known = pthread_getcpuclockid(thread.native_handle(), &request.id) == 0;
    BracketTally tally;
    const Outcome outcome = known ? RunBracket(request, &tally) : Outcome{};
    thread.join();
    if (tally.samples == 0) continue;
    CHECK_EQ(outcome.status, Status::kSystemCall);
    CHECK_EQ(outcome.error_number, EINVAL);
    CHECK_EQ(tally.outside, 0);
    CHECK_EQ(tally.rows, std::min<uint64_t>(tally.samples, 4));
    CHECK(rows.IsUntouchedFrom(tally.rows));
    return;
  }
  SKIP("the thread always ended before the first sample");
}

TEST("an inner value certainly below or above its bracket counts, with the distance, every time") {
  constexpr uint64_t kSamples = 100;
  for (const bool above : {false, true}) {
    const int64_t seconds = above ? kFarFuture : kFarPast;
    FakePage page;
    BracketRequest request = Request(ReadingSource::kSyscall, ReadingSource::kPage, kSamples);
    request.clock = ClockAt(1);
    StandStill(&page, request.clock, seconds);
    request.page = page.bytes();
    Rows outside(kSamples);
    request.outside_rows = outside.data();
    request.outside_capacity = kSamples;
    BracketTally tally;
    CHECK(RunBracket(request, &tally).ok());
    CHECK_EQ(tally.samples, kSamples);
    CHECK_EQ(tally.outside, kSamples);
    CHECK_EQ(tally.outside_across_update, 0);
    CHECK_EQ(tally.across_update, 0);
    CHECK_EQ(tally.outside_rows, kSamples);
    CHECK_EQ(tally.rows, 0);
    uint64_t worst = 0, width = 0, narrowest = ~uint64_t{0};
    for (size_t i = 0; i < tally.outside_rows; i++) {
      const int64_t* row = outside.Row(i);
      CHECK_EQ(row[0], static_cast<int64_t>(above ? BracketVerdict::kAbove : BracketVerdict::kBelow));
      CHECK_EQ(row[3], seconds * 1'000'000'000 + kStoodStillNs);
      CHECK(row[2] <= row[4]);
      CHECK(row[1] <= row[kRowReadingA] && row[kRowReadingA] <= row[5]);  // counters in order
      CHECK_EQ(row[6], 6);
      CHECK_EQ(row[7], 6);
      CheckPageWords(row + kRowReadingA, seconds);
      CHECK(AllZero(row + kRowReadingB, 8));
      worst = std::max(worst, static_cast<uint64_t>(above ? row[3] - row[4] : row[2] - row[3]));
      width += static_cast<uint64_t>(row[4] - row[2]);
      narrowest = std::min(narrowest, static_cast<uint64_t>(row[4] - row[2]));
    }
    CHECK_EQ(tally.worst_ns, worst);
    CHECK_EQ(tally.width_sum_ns, width);
    CHECK_EQ(tally.width_min_ns, narrowest);
  }
}

TEST("a page around a reading of the kernel leaves both of its readings in the row") {
  FakePage page;
  BracketRequest request = Request(ReadingSource::kPage, ReadingSource::kSyscall, 10);
  request.clock = ClockAt(1);
  StandStill(&page, request.clock, kFarPast);
  request.page = page.bytes();
  Rows rows(10), outside(10);
  request.rows = rows.data();
  request.outside_rows = outside.data();
  request.row_capacity = request.outside_capacity = 10;
  BracketTally tally;
  CHECK(RunBracket(request, &tally).ok());
  CHECK_EQ(tally.outside, 10);
  CHECK_EQ(tally.width_sum_ns, 0);
  CHECK_EQ(tally.width_min_ns, 0);
  for (size_t i = 0; i < 10; i++) {
    const int64_t* row = outside.Row(i);
    CHECK(std::equal(row, row + kRowWords, rows.Row(i)));
    CHECK_EQ(row[0], static_cast<int64_t>(BracketVerdict::kAbove));
    CHECK_EQ(row[2], kStoodStillNs);
    CHECK_EQ(row[4], kStoodStillNs);
    CHECK(row[1] <= row[kRowReadingA] && row[kRowReadingA] < row[kRowReadingB] &&
          row[kRowReadingB] <= row[5]);
    CheckPageWords(row + kRowReadingA, kFarPast);
    CheckPageWords(row + kRowReadingB, kFarPast);
  }
}

TEST("a value equal to both ends of its bracket is inside") {
  // The coarse clock and its copy on a page stand still together, unless an update comes between.
  const ReadingSource path = ReadingSource::kSyscall;
  for (int attempt = 0; attempt < 100; attempt++) {
    timespec now;
    CHECK_EQ(ClockGettime(ClockPath::kSyscall, CLOCK_MONOTONIC_COARSE, &now), 0);
    FakePage page;
    BracketRequest request = Request(path, ReadingSource::kPage, 1);
    request.id = CLOCK_MONOTONIC_COARSE;
    request.clock = ClockAt(6);
    request.clock.coarse = true;
    page.Store<int64_t>(request.clock.seconds, now.tv_sec);
    page.Store<uint64_t>(request.clock.nanoseconds, static_cast<uint64_t>(now.tv_nsec));
    request.page = page.bytes();
    Rows rows(1);
    request.rows = rows.data();
    request.row_capacity = 1;
    BracketTally tally;
    CHECK(RunBracket(request, &tally).ok());
    if (rows.Row(0)[2] != ToNanoseconds(now) || rows.Row(0)[4] != ToNanoseconds(now)) continue;
    CHECK_EQ(tally.outside, 0);
    CHECK_EQ(rows.Row(0)[0], static_cast<int64_t>(BracketVerdict::kInside));
    CHECK_EQ(rows.Row(0)[3], ToNanoseconds(now));
    return;
  }
  SKIP("the coarse clock moved within every bracket");
}

TEST("rows are written from the first sample on, every so many, and never past their room") {
  struct {
    uint64_t count, every;
    size_t capacity, expected;
  } const cases[] = {{10, 3, 9, 4},   {10, 3, 2, 2}, {9, 3, 9, 3}, {10, 1, 9, 9},
                     {10, 100, 9, 1}, {10, 1, 0, 0}, {0, 1, 9, 0}};
  for (const auto& [count, every, capacity, expected] : cases) {
    BracketRequest request = Request(ReadingSource::kSyscall, ReadingSource::kSyscall, count);
    Rows rows(capacity);
    request.rows = rows.data();
    request.row_capacity = capacity;
    request.row_every = every;
    BracketTally tally;
    CHECK(RunBracket(request, &tally).ok());
    CHECK_EQ(tally.samples, count);
    CHECK_EQ(tally.rows, expected);
    CHECK(rows.IsUntouchedFrom(expected));
    for (size_t i = 0; i < expected; i++) {
      const int64_t* row = rows.Row(i);
      CHECK_EQ(row[0], static_cast<int64_t>(BracketVerdict::kInside));
      CHECK(row[1] < row[5]);
      CHECK(row[2] <= row[3] && row[3] <= row[4]);
      CHECK(AllZero(row + 6, kRowWords - 6));  // no page
      if (i > 0) CHECK(rows.Row(i - 1)[5] < row[1]);
    }
  }
}

TEST("samples outside past the room for them are counted all the same") {
  FakePage page;
  BracketRequest request = Request(ReadingSource::kSyscall, ReadingSource::kPage, 10);
  request.clock = ClockAt(1);
  StandStill(&page, request.clock, kFarPast);
  request.page = page.bytes();
  Rows outside(3);
  request.outside_rows = outside.data();
  request.outside_capacity = 3;
  BracketTally tally;
  CHECK(RunBracket(request, &tally).ok());
  CHECK_EQ(tally.outside, 10);
  CHECK_EQ(tally.outside_rows, 3);
  CHECK(outside.IsUntouchedFrom(3));
}

TEST("a sample begun while the page is being written is across an update") {
  FakePage page;
  BracketRequest request = Request(ReadingSource::kSyscall, ReadingSource::kSyscall, 10);
  request.clock = ClockAt(1);
  request.page = page.bytes();
  Rows rows(1);
  request.rows = rows.data();
  request.row_capacity = 1;
  for (const uint32_t seq : {7u, 8u}) {
    page.Store<uint32_t>(request.clock.seq, seq);
    BracketTally tally;
    CHECK(RunBracket(request, &tally).ok());
    CHECK_EQ(tally.across_update, seq == 7 ? 10 : 0);
    CHECK_EQ(tally.outside + tally.outside_across_update, 0);
    CHECK_EQ(rows.Row(0)[6], seq);
    CHECK_EQ(rows.Row(0)[7], seq);
  }
}

TEST("a sample that had to wait for the page's writer is across an update, and its retries are counted") {
  // More than once only where this thread slept through the writer's pause.
  for (int attempt = 0; attempt < 50; attempt++) {
    FakePage page;
    BracketRequest request = Request(ReadingSource::kSyscall, ReadingSource::kPage, 3);
    request.clock = ClockAt(1);
    StandStill(&page, request.clock, kFarPast);
    page.Store<uint32_t>(request.clock.seq, 7);
    request.page = page.bytes();
    BracketTally tally;
    {
      LateWriter late([&] { page.Store<uint32_t>(request.clock.seq, 8, std::memory_order_release); });
      CHECK(RunBracket(request, &tally).ok());
    }
    CHECK_EQ(tally.samples, 3);
    if (tally.retries == 0) continue;
    CHECK_EQ(tally.across_update, 1);
    CHECK_EQ(tally.outside_across_update, 1);
    CHECK_EQ(tally.outside, 2);
    return;
  }
  SKIP("the reader was never scheduled while the count was odd");
}

TEST("samples outside across an update are counted apart from those within one state of the page") {
  if (std::thread::hardware_concurrency() < 2) SKIP("one CPU: a writer seldom runs during a sample");
  FakePage page;
  BracketRequest request = Request(ReadingSource::kSyscall, ReadingSource::kPage, 5'000);
  request.clock = ClockAt(1);
  StandStill(&page, request.clock, kFarPast);
  request.page = page.bytes();
  Rows rows(request.count);
  request.rows = rows.data();
  request.row_capacity = request.count;
  Writer writer([&, seq = uint32_t{6}]() mutable {
    page.Store<uint32_t>(request.clock.seq, ++seq);
    page.Store<uint32_t>(request.clock.seq, ++seq, std::memory_order_release);
    // Longer than some samples and shorter than others.
    for (uint32_t i = seq % 128; i > 0; i--) _mm_pause();
  });
  // On a busy machine the writer may not run during the first of these.
  for (int attempt = 0; attempt < 200; attempt++) {
    BracketTally tally;
    CHECK(RunBracket(request, &tally).ok());
    uint64_t across = 0;
    for (size_t i = 0; i < tally.rows; i++) {
      const int64_t* row = rows.Row(i);
      across += row[6] != row[7] || row[6] % 2 != 0;
    }
    CHECK_EQ(tally.samples, request.count);
    CHECK_EQ(tally.across_update, across);
    CHECK_EQ(tally.outside_across_update, across);
    CHECK_EQ(tally.outside, tally.samples - across);
    if (across > 0) return;
  }
  CHECK(!"no sample was across an update");
}

}  // namespace
}  // namespace latchclock::test
