#include "../core/seqlock_hold.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <vector>

#include "../core/clock_page_reader.h"
#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

constexpr ClockSlot kMonotonic = kClockSlots[1];
constexpr ReaderKind kReader{ReaderProtocol::kSeqlock, ReaderGeneration::kNone, true};

class OurPage {
 public:
  uint8_t* bytes() { return bytes_; }
  uint64_t count() const { return LoadWord(bytes_, clock_page::kCountAt); }
  uint64_t base() const { return LoadWord(bytes_, WindowAt(0) + clock_page::kBaseIn); }
  void SetCount(uint64_t count) { StoreWord(bytes_, clock_page::kCountAt, count); }

 private:
  alignas(64) uint8_t bytes_[clock_page::kBytes] = {};
};

CopyImage ImageAt(uint64_t base, int64_t whole = 0, uint64_t mult = 1) {
  CopyImage image;
  image.base = base;
  image.max_delta = uint64_t{1} << 40;
  image.shared = {mult, 0, 0};
  image.monotonic = whole;
  return image;
}

// Moves by a step with every reading, after it has shown it.
struct SteppingCounter {
  uint64_t step;
  std::function<void(uint64_t)> at_read = [](uint64_t) {};
  mutable uint64_t cycles = 0;

  uint64_t Read() const {
    at_read(cycles);
    const uint64_t now = cycles;
    cycles += step;
    return now;
  }
};

TEST(
    "a seqlock's page is open until shortly before the base, then odd, and stored when the counter is "
    "there") {
  OurPage page;
  page.SetCount(6);
  constexpr uint64_t kStart = 1'000'000, kBase = kStart + 3 * kHeldBefore;
  uint32_t open = 0, held = 0;
  const SteppingCounter counter{100,
                                [&](uint64_t cycles) {
                                  const bool is_held = cycles > kBase - kHeldBefore;
                                  // The reading that ends the wait comes before the odd count.
                                  const bool is_edge = cycles < kBase - kHeldBefore + 200;
                                  CHECK(page.count() == (is_held ? 7 : 6) || is_edge);
                                  CHECK_EQ(page.base(), 0);
                                  CHECK(cycles < kBase + 100);
                                  (is_held ? held : open)++;
                                },
                                kStart};
  CHECK_EQ(PublishSeqlockAtBase(page.bytes(), ImageAt(kBase), counter), HoldEnd::kInTime);
  CHECK_EQ(page.count(), 8);
  CHECK_EQ(page.base(), kBase);
  CHECK(open > 80);
  CHECK(held > 30);
  CHECK(counter.cycles >= kBase);
}

TEST("a seqlock that is held too late for its base is published, and said to be late") {
  // By the counter that is seen once the page is held: the reading after the ones that open it.
  for (const auto& [ahead, end] :
       {std::pair{kInFlight, HoldEnd::kInTime}, std::pair{kInFlight - 1, HoldEnd::kLate},
        std::pair{uint64_t{0}, HoldEnd::kLate}, std::pair{uint64_t{0} - 1'000'000, HoldEnd::kLate}}) {
    OurPage page;
    const uint64_t base = 50'000'000;
    // Stands at first, then steps over the base.
    int reads = 0;
    SteppingCounter counter{0};
    counter.cycles = base - ahead;
    counter.at_read = [&](uint64_t) {
      if (++reads > 3) counter.cycles = base + 1'000'000;
    };
    CHECK_EQ(PublishSeqlockAtBase(page.bytes(), ImageAt(base), counter), end);
    CHECK_EQ(page.count(), 2);
    CHECK_EQ(page.base(), base);
  }
}

TEST("a base across the counter's zero is waited for like another") {
  OurPage page;
  const SteppingCounter counter{100, [](uint64_t) {}, ~uint64_t{0} - 10'000};
  CHECK_EQ(PublishSeqlockAtBase(page.bytes(), ImageAt(5'000), counter), HoldEnd::kInTime);
  CHECK_EQ(page.base(), 5'000);
  CHECK(counter.cycles >= 5'000 && counter.cycles < 10'000);
}

TEST("a base that lies too far ahead is refused at once, and the page is left as it was") {
  for (const uint64_t count : {uint64_t{6}, uint64_t{7}}) {
    OurPage page;
    page.SetCount(count);
    int reads = 0;
    const SteppingCounter counter{100, [&](uint64_t) { reads++; }, 1'000};
    const CopyImage image = ImageAt(1'000 + kFurthestBase + 1);
    CHECK_EQ(PublishSeqlockAtBase(page.bytes(), image, counter), HoldEnd::kTooFar);
    CHECK_EQ(page.count(), count);
    CHECK_EQ(page.base(), 0);
    CHECK_EQ(reads, 1);
  }
}

TEST("a counter that stands is waited for a bounded time, and readers then have the old copy") {
  if (kSanitized) SKIP("each turn takes too long");
  for (const uint64_t ahead : {kHeldBefore + 1, kHeldBefore}) {
    OurPage page;
    PublishSeqlock(page.bytes(), [] { return ImageAt(10, 70'000); });
    const SteppingCounter counter{0, [](uint64_t) {}, 1'000};
    CHECK_EQ(PublishSeqlockAtBase(page.bytes(), ImageAt(1'000 + ahead, 90'000), counter), HoldEnd::kTooFar);
    CHECK_EQ(page.count() & 1, 0);
    ClockReading reading;
    uint64_t retries = 0;
    const auto read = FindReader<SteppingCounter>(kReader);
    CHECK_EQ(read(page.bytes(), kMonotonic, page.bytes(), counter, {}, &reading, &retries), ReadEnd::kValue);
    CHECK_EQ(reading.ns, 70'990);
  }
}

TEST("a counter that stands leaves a page odd that a dead writer left odd: its copy may be half-written") {
  if (kSanitized) SKIP("each turn takes too long");
  OurPage page;
  page.SetCount(7);
  const SteppingCounter counter{0, [](uint64_t) {}, 1'000};
  CHECK_EQ(PublishSeqlockAtBase(page.bytes(), ImageAt(1'100), counter), HoldEnd::kTooFar);
  CHECK_EQ(page.count() & 1, 1);
}

TEST("at each store an update at its base is hidden, and a successor's odd count is not a dead writer's") {
  for (const uint64_t found : {uint64_t{6}, uint64_t{7}}) {
    OurPage page;
    page.SetCount(found);
    const SteppingCounter counter{100, [](uint64_t) {}, 1'000};
    uint32_t stores = 0;
    PublishSeqlockAtBase(page.bytes(), ImageAt(6'000), counter, [&] {
      stores++;
      CHECK_EQ(page.count(), stores < 28 ? found + 1 + (found & 1) : found + 2 + (found & 1));
    });
    CHECK_EQ(stores, 28);
  }
}

// What a reader saw.
struct Sample {
  uint64_t cycles;
  int64_t ns;
};

TEST("readers beside updates at their base never have the old line at or past it, nor go back") {
  constexpr size_t kCorners = kSanitized ? 150 : 400;
  constexpr uint64_t kApart = 200'000;
  OurPage page;
  // One continuous line whose rate is 2, 1, 2, 1... ns a cycle.
  const uint64_t origin = FencedRdtsc();
  std::vector<CopyImage> images = {ImageAt(origin, 1'000'000, 2)};
  PublishSeqlock(page.bytes(), [&] { return images[0]; });
  // Where a late one was published for certain, else 0.
  std::vector<uint64_t> late_until = {0};
  std::atomic<bool> over{false};
  std::array<std::vector<Sample>, 2> samples;
  std::array<std::atomic<uint64_t>, 2> taken{};
  const auto read = [&](size_t who) {
    const auto reader = FindReader(kReader);
    while (!over.load(std::memory_order_relaxed) && samples[who].size() < 2'000'000) {
      ClockReading reading;
      uint64_t retries = 0;
      const ReadEnd end = reader(page.bytes(), kMonotonic, page.bytes(), {}, {}, &reading, &retries);
      if (end == ReadEnd::kValue) samples[who].push_back({reading.cycles, reading.ns});
      taken[who].store(samples[who].size(), std::memory_order_relaxed);
      for (int i = 0; i < 5; i++) _mm_pause();
    }
  };
  std::thread one(read, 0), other(read, 1);
  size_t in_time = 0;
  const auto start = std::chrono::steady_clock::now();
  const auto is_enough = [&] {
    // Where CPUs are shared, readers have a turn between two corners.
    std::this_thread::yield();
    const bool all = std::min(taken[0].load(), taken[1].load()) > 20 * kCorners && images.size() > kCorners;
    return all || std::chrono::steady_clock::now() - start > std::chrono::seconds(10);
  };
  while (!is_enough()) {
    const CopyImage& last = images.back();
    const uint64_t base = std::max(last.base, FencedRdtsc()) + kApart;
    const auto elapsed = static_cast<int64_t>((base - last.base) * last.shared.mult);
    images.push_back(ImageAt(base, last.monotonic + elapsed, 3 - last.shared.mult));
    const HoldEnd end = PublishSeqlockAtBase(page.bytes(), images.back());
    in_time += end == HoldEnd::kInTime;
    late_until.push_back(end == HoldEnd::kInTime ? 0 : FencedRdtsc());
    if (!CHECK(end != HoldEnd::kTooFar)) break;
  }
  over.store(true, std::memory_order_relaxed);
  one.join();
  other.join();
  size_t judged = 0;
  for (const std::vector<Sample>& seen : samples) {
    size_t k = 0;
    int64_t highest = 0;
    for (const Sample& sample : seen) {
      while (k + 1 < images.size() && static_cast<int64_t>(sample.cycles - images[k + 1].base) >= 0) k++;
      if (static_cast<int64_t>(sample.cycles - late_until[k]) < 0) continue;
      const CopyImage& image = images[k];
      const auto elapsed = static_cast<int64_t>((sample.cycles - image.base) * image.shared.mult);
      if (!CHECK_EQ(sample.ns, image.monotonic + elapsed)) return;
      if (!CHECK(sample.ns >= highest)) return;
      highest = sample.ns;
      judged++;
    }
  }
  // Most of them, unless others want the CPU all the while.
  CHECK(in_time > images.size() / 10);
  CHECK(judged > 1'000);
}

}  // namespace
}  // namespace latchclock::test
