#include "latch_stress.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <vector>

#include "clock_page_writer.h"
#include "interrupted.h"
#include "page_mapping.h"
#include "pinned_threads.h"

namespace latchclock {
namespace {

constexpr size_t kCacheLine = 64;
constexpr ClockSlot kSlot = kClockSlots[1];  // monotonic
constexpr uint64_t kGeneration = 7;
constexpr int64_t kNoValue = INT64_MIN;
constexpr uint64_t kHashMask = 0xffff;
// What a reader that waits for a dead writer gives up after: a killed one never comes back.
constexpr uint32_t kSpinsForTheDead = 2'000;
constexpr uint64_t kTurnsOfWaiting = 100;
// Few: a reader that loops for the wrong reason is found out soon. A writer at full rate can lap a sound one
// so often, where the two fall into step; that is a refusal.
constexpr uint32_t kMostTries = 1u << 14;

uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

uint64_t HashOf(const CopyWords& words) {
  uint64_t hash = words.base;
  for (const uint64_t word : {words.tag, words.mult, words.fraction, words.shift, words.whole}) {
    hash = Mix(hash + 0x9e3779b97f4a7c15 + word);
  }
  return hash & kHashMask;
}

// The segments that a writer publishes. The line is continuous: a segment starts, to the last bit of its
// fraction, where the one before it is at its base.
class Line {
 public:
  // A rate near that of a 2.6 GHz counter. Where rates change they do so by a tenth: a reader that mixes an
  // old copy with a later counter is then off by what shows.
  Line(bool wide, bool changing, uint64_t origin, uint64_t window)
      : shift_(wide ? 60 : 24),
        nominal_(wide ? 444'110'000'000'000'000 : 6'462'360),
        changing_(changing),
        origin_(origin),
        window_(window) {}

  CopyImage At(uint64_t base) {
    if (changing_ && last_.mult != 0) {
      const auto sum = static_cast<unsigned __int128>(base - last_.base) * last_.mult + last_.fraction;
      last_.whole += static_cast<uint64_t>(sum >> shift_);
      last_.fraction = static_cast<uint64_t>(sum) & ((uint64_t{1} << shift_) - 1);
    } else {
      // Straight: from the origin, so that any writer finds the line without knowing what others published.
      const auto sum = static_cast<unsigned __int128>(base - origin_) * nominal_;
      last_.whole = static_cast<uint64_t>(sum >> shift_);
      last_.fraction = static_cast<uint64_t>(sum) & ((uint64_t{1} << shift_) - 1);
    }
    last_.base = base;
    last_.shift = shift_ | clock_page::kWritten;
    last_.tag = kGeneration;
    last_.mult = !changing_            ? nominal_
                 : (links_++ & 1) == 0 ? nominal_ + nominal_ / 10
                                       : nominal_ - nominal_ / 10;
    last_.max_delta = HashedLength(window_, last_);
    return Image();
  }

 private:
  CopyImage Image() const {
    CopyImage image;
    image.base = last_.base;
    image.max_delta = last_.max_delta;
    image.tag = last_.tag;
    image.shared = {last_.mult, last_.fraction, shift_};
    image.realtime = image.smeared = image.raw = image.shared;
    const auto whole = static_cast<int64_t>(last_.whole);
    image.monotonic = image.raw_whole = whole;
    image.boottime = whole + 1'000'000'000;
    image.sane = image.realtime_whole = image.smeared_whole = whole + 1'700'000'000'000'000'000;
    image.tai = image.sane + 37'000'000'000;
    return image;
  }

  uint64_t shift_;
  uint64_t nominal_;
  bool changing_;
  uint64_t origin_;
  uint64_t window_;
  uint64_t links_ = 0;
  CopyWords last_;
};

bool IsTwoWindow(ReaderProtocol protocol) {
  return protocol == ReaderProtocol::kTwoWindow || protocol == ReaderProtocol::kLiteralTwoWindow;
}

// Publishes one segment after another, each by the protocol of the page.
class StressWriter {
 public:
  StressWriter(uint8_t* page, ReaderProtocol protocol, const Line& line)
      : page_(page), protocol_(protocol), line_(line) {}

  template <class Pause = NoPause>
  void PublishNow(Pause&& pause = {}) {
    if (protocol_ == ReaderProtocol::kSeqlock) {
      PublishSeqlock(
          page_, [&] { return line_.At(FencedRdtsc()); }, pause);
    } else if (IsTwoWindow(protocol_)) {
      PublishNext(pause);
    } else {
      PublishLatch(page_, line_.At(FencedRdtsc()), pause);
    }
  }

  // Until the copy that was kept may be written again: its window is over.
  void WaitForTurn() const {
    while (next_ != 0 && static_cast<int64_t>(FencedRdtsc() - next_) < 0) _mm_pause();
  }

  void PublishAt(uint64_t base) {
    const CopyImage image = line_.At(base);
    if (protocol_ == ReaderProtocol::kSeqlock) {
      PublishSeqlock(page_, [&] { return image; });
    } else if (IsTwoWindow(protocol_)) {
      PublishTwoWindow(page_, TwoWindowKeep(page_), image, true, false);
    } else {
      PublishLatch(page_, image);
    }
  }

 private:
  // The next segment starts where the one that holds now ends, so that the windows touch.
  template <class Pause>
  void PublishNext(Pause&& pause) {
    const uint64_t now = FencedRdtsc();
    const uint64_t keep = TwoWindowKeep(page_);
    const uint64_t window = WindowAt(keep);
    const uint64_t base = LoadWord(page_, window + clock_page::kBaseIn);
    const uint64_t length = LoadWord(page_, window + clock_page::kMaxDeltaIn);
    if (length == 0 || now - base >= length) {
      // The first, or one that comes too late: what there is has expired.
      return PublishTwoWindow(page_, keep, line_.At(now), true, false, pause);
    }
    const uint64_t end = base + length;
    PublishTwoWindow(page_, keep, line_.At(end), false, true, pause);
    next_ = end;
  }

  uint8_t* page_;
  ReaderProtocol protocol_;
  Line line_;
  uint64_t next_ = 0;
};

struct alignas(kCacheLine) PerReader {
  StressTally tally;
  Outcome outcome;
  std::vector<uint64_t> latencies;  // empty: not counted
};

ReadFunction<HardwareCounter> ReaderOf(const StressRequest& request) {
  return request.read != nullptr ? request.read : FindReader<HardwareCounter, Words::kAll>(request.reader);
}

// Whether the writer stands half-way, or is about to: no reader begins then, so that those which meet the
// stall begin in it, and not an update before.
enum class Standing : uint32_t { kNo, kSoon, kYes };
constexpr uint64_t kSoonCycles = 10'000;

struct Context {
  const StressRequest* request;
  uint8_t* page;
  uint64_t origin;
  StressWriter* writer;
  std::vector<PerReader> readers;  // and the writer's, the last
  alignas(kCacheLine) std::atomic<bool> stop{false};
  std::atomic<Standing> standing{Standing::kNo};
  std::atomic<size_t> reading{0};
  // The largest value that any read has returned.
  alignas(kCacheLine) std::atomic<int64_t> highest{INT64_MIN};
};

// A read by this machinery, with the time that it took where the writer stood.
void ReadOnce(const Context& context, ReadFunction<HardwareCounter> read, const ReadLimits& limits,
              std::vector<uint64_t>* latencies, std::atomic<int64_t>* highest, StressTally* tally) {
  // Acquire: what the writer stored before it stalled is seen by the read.
  const bool stands =
      !latencies->empty() && context.standing.load(std::memory_order_acquire) == Standing::kYes;
  const uint64_t took = ReadAndJudge(context.page, read, limits, highest, tally);
  if (!stands) return;
  (*latencies)[LatencyBucket(took)]++;
  tally->longest = std::max(tally->longest, took);
}

void Write(Context* context) {
  const StressRequest& request = *context->request;
  StressWriter& writer = *context->writer;
  StressTally& tally = context->readers.back().tally;
  const uint64_t start = FencedRdtsc();
  const auto over = [&] { return FencedRdtsc() - start > request.most_cycles; };
  const auto wait = [&](uint64_t cycles) {
    for (const uint64_t from = FencedRdtsc(); FencedRdtsc() - from < cycles && !over();) _mm_pause();
  };
  switch (request.hazard) {
    case StressHazard::kUpdate:
      for (; !over(); tally.updates++) {
        writer.PublishNow();
        writer.WaitForTurn();
      }
      break;
    case StressHazard::kWriterStalled:
      writer.PublishNow();
      for (; !over(); tally.updates++) {
        uint32_t stores = 0;
        context->standing.store(Standing::kSoon, std::memory_order_relaxed);
        wait(kSoonCycles);
        writer.PublishNow([&] {
          // In the middle of the copy.
          if (++stores != 8) return;
          context->standing.store(Standing::kYes, std::memory_order_release);
          wait(request.stall_cycles);
          context->standing.store(Standing::kNo, std::memory_order_relaxed);
        });
        writer.WaitForTurn();
        wait(request.stall_cycles / 2);
      }
      break;
    case StressHazard::kWindowExpired:
    case StressHazard::kCounterBehind:
      wait(request.most_cycles);
      break;
    case StressHazard::kWriterKilled:
      break;
  }
  context->stop.store(true, std::memory_order_relaxed);
}

// All threads read but the last, which writes.
void Work(size_t thread, void* argument) {
  auto* context = static_cast<Context*>(argument);
  const StressRequest& request = *context->request;
  PerReader& own = context->readers[thread];
  own.outcome = CheckCounter(CounterMethod::kFencedRdtsc);
  const size_t writer = context->readers.size() - 1;
  if (thread == writer) {
    // Not before all readers read: what they see of the page is what is asked.
    while (context->reading.load(std::memory_order_relaxed) < writer) _mm_pause();
    if (own.outcome.ok()) Write(context);
    context->stop.store(true, std::memory_order_relaxed);
    return;
  }
  context->reading.fetch_add(1, std::memory_order_relaxed);
  if (!own.outcome.ok()) return;
  const auto read = ReaderOf(request);
  ReadLimits limits;
  limits.most_tries = kMostTries;
  while (!context->stop.load(std::memory_order_relaxed)) {
    if (context->standing.load(std::memory_order_relaxed) == Standing::kSoon) {
      _mm_pause();
      continue;
    }
    ReadOnce(*context, read, limits, &own.latencies, &context->highest, &own.tally);
  }
}

void Add(const StressTally& part, StressTally* sum) {
  sum->reads += part.reads;
  sum->values += part.values;
  sum->out_of_window += part.out_of_window;
  sum->ran_out += part.ran_out;
  sum->refused_otherwise += part.refused_otherwise;
  sum->retries += part.retries;
  sum->waited += part.waited;
  sum->updates += part.updates;
  sum->torn += part.torn;
  sum->missing += part.missing;
  sum->outside += part.outside;
  sum->backwards += part.backwards;
  sum->worst_back_ns = std::max(sum->worst_back_ns, part.worst_back_ns);
  sum->longest = std::max(sum->longest, part.longest);
}

// Lets processes write and die. In the child only what is safe after a fork of a process with threads: no
// allocation.
class Deaths {
 public:
  Deaths(const StressRequest& request, Context* context, std::atomic<uint64_t>* inside)
      : request_(request), context_(*context), highest_(context->highest), inside_(inside) {}

  Outcome Run(StressTally* tally) {
    const uint64_t start = FencedRdtsc();
    for (uint32_t i = 0; i < request_.kills && FencedRdtsc() - start < request_.most_cycles; i++) {
      const uint64_t deaths = tally->kills;
      const Outcome outcome = One(tally);
      if (!outcome.ok()) return outcome;
      // One that lived on says that the others would.
      if (tally->kills == deaths) break;
    }
    return {};
  }

 private:
  // A death comes within some hundreds of microseconds.
  static constexpr uint64_t kLongestLife = 500'000;
  static constexpr int kReadsAfterwards = 200;
  // Some tens of milliseconds. A killed process that takes longer has no instruction left to look with
  // whether it is asked to end: it dies all the same.
  static constexpr uint64_t kLongestDeath = 100'000'000;

  Outcome One(StressTally* tally) {
    // Relaxed: fork and waitpid order what the processes do.
    inside_[0].store(0, std::memory_order_relaxed);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0) return Outcome::FailedCall("fork", errno);
    if (child == 0) WriteUntilKilled(parent);
    const uint64_t life = Mix(request_.seed + writers_++) % kLongestLife;
    // From its first update on, so that no death is before it. One that has ended by itself, and was waited
    // for, is not killed: its number may be another process's.
    int status = 0;
    bool ended = false;
    while (inside_[1].load(std::memory_order_relaxed) == 0 && !ended) {
      const pid_t waited = waitpid(child, &status, WNOHANG);
      ended = waited == child || (waited < 0 && errno == ECHILD);
      Read(tally);
    }
    for (const uint64_t born = FencedRdtsc(); FencedRdtsc() - born < life;) Read(tally);
    Outcome killed;
    if (!ended) {
      if (kill(child, SIGKILL) != 0) killed = Outcome::FailedCall("kill", errno);
      WaitForEnd(child, killed.ok() ? kLongestDeath : 0, &status);
    }
    inside_[1].store(0, std::memory_order_relaxed);
    // A sandbox can answer kill without doing it: what was asked for is no death.
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
      tally->kills++;
      tally->killed_inside += inside_[0].load(std::memory_order_relaxed);
    }
    for (int i = 0; i < kReadsAfterwards; i++) Read(tally);
    return killed;
  }

  // One that has not died in the time given is asked to end.
  void WaitForEnd(pid_t child, uint64_t most_cycles, int* status) {
    for (const uint64_t start = FencedRdtsc(); FencedRdtsc() - start < most_cycles; sched_yield()) {
      if (waitpid(child, status, WNOHANG) != 0) return;
    }
    inside_[2].store(1, std::memory_order_relaxed);
    AgainWhenInterrupted([&] { return waitpid(child, status, 0); });
    inside_[2].store(0, std::memory_order_relaxed);
  }

  void Read(StressTally* tally) {
    ReadLimits limits;
    limits.most_spins = kSpinsForTheDead;
    limits.most_tries = kMostTries;
    ReadOnce(context_, read_, limits, &no_latencies_, &highest_, tally);
  }

  [[noreturn]] void WriteUntilKilled(pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The parent may have died before that.
    if (getppid() != parent) _exit(0);
    StressWriter writer(context_.page, request_.reader.protocol,
                        Line(request_.reader.wide, false, context_.origin, request_.window_cycles));
    const uint64_t start = FencedRdtsc();
    while (FencedRdtsc() - start < request_.most_cycles && inside_[2].load(std::memory_order_relaxed) == 0) {
      inside_[0].store(1, std::memory_order_relaxed);
      // At once, also with two windows: waiting for one to end, hardly any writer would die in an update.
      // (The literal reader is to have time for its wrong reasons.)
      if (request_.reader.protocol == ReaderProtocol::kTwoWindow) {
        writer.PublishAt(FencedRdtsc());
      } else {
        writer.PublishNow();
      }
      inside_[0].store(0, std::memory_order_relaxed);
      inside_[1].store(1, std::memory_order_relaxed);
      writer.WaitForTurn();
    }
    _exit(0);
  }

  const StressRequest& request_;
  const Context& context_;
  std::atomic<int64_t>& highest_;
  // Shared with the children: whether a writer is in an update, whether it has made one, whether it is to
  // end.
  std::atomic<uint64_t>* inside_;
  uint64_t writers_ = 0;
  std::vector<uint64_t> no_latencies_;
  ReadFunction<HardwareCounter> read_ = ReaderOf(request_);
};

// What a value must be by the words that it was computed from. A counter behind the base reads as the base.
int64_t ExpectedFrom(const ClockReading& reading) {
  const CopyWords& words = reading.words;
  const uint64_t delta = reading.cycles - words.base;
  const bool behind = static_cast<int64_t>(delta) < 0;
  const uint64_t used = behind ? 0 : delta;
  const auto sum = static_cast<unsigned __int128>(used) * words.mult + words.fraction;
  return static_cast<int64_t>(words.whole + static_cast<uint64_t>(sum >> (words.shift & 63)));
}

// Counts how a read ended. False where that was without a value.
bool CountEnd(ReadEnd end, StressTally* tally) {
  switch (end) {
    case ReadEnd::kValue:
      tally->values++;
      return true;
    case ReadEnd::kOutOfWindow:
      tally->out_of_window++;
      return false;
    case ReadEnd::kRetries:
      tally->ran_out++;
      return false;
    case ReadEnd::kDisrupted:
    case ReadEnd::kUnpublished:
    case ReadEnd::kUnusable:
      tally->refused_otherwise++;
      return false;
  }
  __builtin_unreachable();
}

}  // namespace

uint64_t HashedLength(uint64_t window, const CopyWords& words) {
  return (window & ~kHashMask) + HashOf(words);
}

uint64_t ReadAndJudge(const uint8_t* page, ReadFunction<HardwareCounter> read, const ReadLimits& limits,
                      std::atomic<int64_t>* highest, StressTally* tally) {
  // Acquire: that read ended before this one starts.
  const int64_t floor = highest->load(std::memory_order_acquire);
  ClockReading reading;
  reading.ns = kNoValue;
  const uint64_t before = FencedRdtsc();
  const ReadEnd end =
      read(page, kSlot, page + clock_page::kGenerationAt, {}, limits, &reading, &tally->retries);
  const uint64_t took = FencedRdtsc() - before;
  tally->reads++;
  tally->waited += reading.waits >= kTurnsOfWaiting;
  if (!CountEnd(end, tally)) return took;
  const CopyWords& words = reading.words;
  if (reading.ns == kNoValue) {
    tally->missing++;
    return took;
  }
  const int64_t expected = ExpectedFrom(reading);
  if ((words.max_delta & kHashMask) != HashOf(words)) {
    tally->torn++;
    return took;
  }
  if (reading.cycles - words.base >= words.max_delta) {
    tally->outside++;
    return took;
  }
  if (reading.ns != expected) {
    tally->torn++;
    return took;
  }
  if (reading.ns < floor) {
    tally->backwards++;
    tally->worst_back_ns =
        std::max(tally->worst_back_ns, static_cast<uint64_t>(floor) - static_cast<uint64_t>(reading.ns));
  }
  int64_t known = highest->load(std::memory_order_relaxed);
  // Release: whoever sees the value starts after this read ended.
  while (known < reading.ns && !highest->compare_exchange_weak(known, reading.ns, std::memory_order_release,
                                                               std::memory_order_relaxed)) {
  }
  return took;
}

Outcome RunStress(const StressRequest& request, StressTally* tally) {
  constexpr uint64_t kLongestWindow = uint64_t{1} << 39;
  if (request.cpu_count == 0 || request.window_cycles > kLongestWindow ||
      request.window_cycles <= kHashMask) {
    return Outcome::Failed(Status::kBadArgument);
  }
  const Outcome usable = CheckCounter(CounterMethod::kFencedRdtsc);
  if (!usable.ok()) return usable;
  std::shared_ptr<PageMapping> mapping;
  const Outcome mapped = PageMapping::Anonymous(&mapping);
  if (!mapped.ok()) return mapped;

  Context context;
  context.request = &request;
  context.page = mapping->bytes();
  context.origin = FencedRdtsc();
  std::vector<int> cpus(request.cpus, request.cpus + request.cpu_count);
  // A writer that stands has a CPU of its own where there are two: how long reads take meanwhile is to be the
  // protocol's doing, and not the scheduler's.
  const bool alone = request.hazard == StressHazard::kWriterStalled && request.cpu_count > 1;
  if (!alone) cpus.push_back(cpus.back());
  context.readers = std::vector<PerReader>(cpus.size());
  if (request.latencies != nullptr) {
    for (PerReader& reader : context.readers) reader.latencies.assign(kLatencyBuckets, 0);
  }
  StoreWord(context.page, clock_page::kGenerationAt, kGeneration);
  const bool changing = request.hazard == StressHazard::kUpdate;
  StressWriter first(context.page, request.reader.protocol,
                     Line(request.reader.wide, changing, context.origin, request.window_cycles));
  context.writer = &first;
  constexpr uint64_t kSecondsAhead = uint64_t{1} << 34;
  const bool ahead = request.hazard == StressHazard::kCounterBehind;
  // Twice, so that no copy of a latch is empty; the second of two windows starts where the first one ends.
  first.PublishAt(context.origin + (ahead ? kSecondsAhead : 0));
  if (!IsTwoWindow(request.reader.protocol))
    first.PublishAt(context.origin + (ahead ? kSecondsAhead : 0) + 1);

  if (request.hazard == StressHazard::kWriterKilled) {
    // Some words beside the clock page's own, in memory that parent and children share.
    std::shared_ptr<PageMapping> shared;
    const Outcome both = PageMapping::Anonymous(&shared);
    if (!both.ok()) return both;
    auto* inside = new (shared->bytes()) std::atomic<uint64_t>[3];
    return Deaths(request, &context, inside).Run(tally);
  }
  const Outcome started = RunPinned(cpus.data(), cpus.size(), Work, &context);
  if (!started.ok()) return started;
  for (const PerReader& reader : context.readers) {
    if (!reader.outcome.ok()) return reader.outcome;
    Add(reader.tally, tally);
    for (size_t bucket = 0; bucket < reader.latencies.size(); bucket++) {
      request.latencies[bucket] += reader.latencies[bucket];
    }
  }
  return {};
}

}  // namespace latchclock
