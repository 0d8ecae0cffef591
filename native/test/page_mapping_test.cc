#include "../core/page_mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../core/clock_page_reader.h"
#include "../core/clock_page_set.h"
#include "../core/clock_page_writer.h"
#include "../core/quiet_thread.h"
#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

using clock_page::kBytes;

// A file of so many bytes, gone with the object.
class TestFile {
 public:
  explicit TestFile(off_t bytes = kBytes) : descriptor_(memfd_create("latchclock-test", MFD_CLOEXEC)) {
    CHECK_EQ(ftruncate(descriptor_, bytes), 0);
  }
  ~TestFile() { close(descriptor_); }
  TestFile(const TestFile&) = delete;
  TestFile& operator=(const TestFile&) = delete;

  int descriptor() const { return descriptor_; }
  void Resize(off_t bytes) const { CHECK_EQ(ftruncate(descriptor_, bytes), 0); }

 private:
  int descriptor_;
};

using Mapped = std::shared_ptr<PageMapping>;

Mapped MapFile(const TestFile& file, bool writable = true) {
  Mapped mapping;
  CHECK(PageMapping::File(file.descriptor(), writable, &mapping).ok());
  return mapping;
}

// How a child ended: the status that it exited with, or the signal that killed it and 1000.
template <class Function>
int EndOfChild(Function function) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    alarm(20);
    _exit(function());
  }
  int status = 0;
  if (!CHECK_EQ(waitpid(child, &status, 0), child)) return -1;
  return WIFSIGNALED(status) ? 1'000 + WTERMSIG(status) : WEXITSTATUS(status);
}

// A page that is mapped by somebody else, and gone: touching it is a fault that is not ours.
const uint8_t* ForeignLostPage() {
  const int file = memfd_create("foreign", MFD_CLOEXEC);
  if (ftruncate(file, kBytes) != 0) return nullptr;
  void* page = mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, file, 0);
  if (page == MAP_FAILED || ftruncate(file, 0) != 0) return nullptr;
  return static_cast<const uint8_t*>(page);
}

using Handler = void (*)(int, siginfo_t*, void*);
Handler InstalledHandler() {
  struct sigaction now = {};
  sigaction(SIGBUS, nullptr, &now);
  return now.sa_sigaction;
}

constexpr int kNotFirst = 90, kNotLost = 91, kSurvived = 92, kHandled = 42;

// In a child, before anything was mapped: what this process does with SIGBUS, then a mapping, and one that is
// lost, which is ours; then `rest`.
int AfterOwnFault(const std::function<void()>& install, const std::function<int()>& rest) {
  install();
  const Handler before = InstalledHandler();
  const TestFile file;
  const Mapped mapping = MapFile(file);
  if (InstalledHandler() == before) return kNotFirst;
  file.Resize(0);
  if (LoadWord(mapping->bytes(), 0) != 0 || !mapping->IsLost()) return kNotLost;
  return rest();
}

const uint8_t* volatile expected_address = nullptr;

void OnSignal(int) { _exit(kHandled); }
void OnSignalWithAddress(int signal, siginfo_t* info, void* context) {
  const bool right = signal == SIGBUS && info->si_addr == expected_address && context != nullptr;
  _exit(right ? kHandled : kSurvived);
}

int TouchForeign() {
  const uint8_t* page = ForeignLostPage();
  if (page == nullptr) return kNotLost;
  expected_address = page + 8;
  LoadWord(page, 8);
  return kSurvived;
}

void InstallDefault() { signal(SIGBUS, SIG_DFL); }

// The tests of the handler come first: each needs a process that has mapped no file yet, since the handler is
// installed with the first.
TEST("a bus error that is not ours kills, as without us") {
  CHECK_EQ(EndOfChild([] { return AfterOwnFault(InstallDefault, TouchForeign); }), 1'000 + SIGBUS);
  // The kernel does not let a fault be ignored.
  const auto ignore = [] { signal(SIGBUS, SIG_IGN); };
  CHECK_EQ(EndOfChild([&] { return AfterOwnFault(ignore, TouchForeign); }), 1'000 + SIGBUS);
}

TEST("a handler that was installed before ours is called for a bus error that is not ours") {
  const auto plain = [] { signal(SIGBUS, OnSignal); };
  CHECK_EQ(EndOfChild([&] { return AfterOwnFault(plain, TouchForeign); }), kHandled);
  const auto with_address = [] {
    struct sigaction action = {};
    action.sa_sigaction = OnSignalWithAddress;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGBUS, &action, nullptr);
  };
  CHECK_EQ(EndOfChild([&] { return AfterOwnFault(with_address, TouchForeign); }), kHandled);
}

TEST("a SIGBUS that somebody sends does to the process what it did without us") {
  const auto send = [] {
    kill(getpid(), SIGBUS);
    return kSurvived;
  };
  CHECK_EQ(EndOfChild([&] { return AfterOwnFault(InstallDefault, send); }), 1'000 + SIGBUS);
  const auto plain = [] { signal(SIGBUS, OnSignal); };
  CHECK_EQ(EndOfChild([&] { return AfterOwnFault(plain, send); }), kHandled);
  const auto send_and_map = [] {
    kill(getpid(), SIGBUS);
    // Mappings are still watched.
    const TestFile file;
    const Mapped mapping = MapFile(file);
    file.Resize(0);
    return LoadWord(mapping->bytes(), 0) == 0 && mapping->IsLost() ? kSurvived : kNotLost;
  };
  const auto ignore = [] { signal(SIGBUS, SIG_IGN); };
  CHECK_EQ(EndOfChild([&] { return AfterOwnFault(ignore, send_and_map); }), kSurvived);
}

TEST("where a page was unmapped nothing is put in place of what follows: a fault there is not ours") {
  const auto touch = [] {
    const TestFile file;
    const uint8_t* was = MapFile(file)->bytes();  // unmapped with that
    void* again = mmap(const_cast<uint8_t*>(was), kBytes, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE,
                       file.descriptor(), 0);
    if (again != was) return kNotLost;
    file.Resize(0);
    LoadWord(was, 0);
    return kSurvived;
  };
  CHECK_EQ(EndOfChild([&] { return AfterOwnFault(InstallDefault, touch); }), 1'000 + SIGBUS);
}

// ---- pages

TEST("an anonymous page is zeros, can be written, and is shared with children") {
  Mapped mapping;
  if (!CHECK(PageMapping::Anonymous(&mapping).ok())) return;
  CHECK(mapping->writable());
  CHECK(!mapping->IsLost());
  CHECK(std::all_of(mapping->bytes(), mapping->bytes() + kBytes, [](uint8_t byte) { return byte == 0; }));
  CHECK_EQ(EndOfChild([&] {
             StoreWord(mapping->bytes(), kBytes - 8, 77);
             return 0;
           }),
           0);
  CHECK_EQ(LoadWord(mapping->bytes(), kBytes - 8), 77);
}

TEST("a memfd's page is sealed: it can neither shrink nor grow, nor can the seals be broken") {
  Mapped mapping;
  int file = -1;
  if (!CHECK(PageMapping::Memfd(&mapping, &file).ok())) return;
  CHECK(mapping->writable());
  CHECK_EQ(lseek(file, 0, SEEK_END), kBytes);
  for (const off_t bytes : {off_t{0}, off_t{kBytes - 1}, off_t{kBytes + 1}, off_t{2 * kBytes}}) {
    CHECK_EQ(ftruncate(file, bytes), -1);
    CHECK_EQ(errno, EPERM);
  }
  // A seal that would be possible beside a writable mapping, were the seals not sealed.
  CHECK_EQ(fcntl(file, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
  CHECK_EQ(errno, EPERM);
  CHECK((fcntl(file, F_GETFD) & FD_CLOEXEC) != 0);
  // The descriptor is the caller's, and another mapping of it is the same page.
  Mapped other;
  if (!CHECK(PageMapping::File(file, false, &other).ok())) return;
  CHECK(!other->writable());
  StoreWord(mapping->bytes(), 64, 5);
  CHECK_EQ(LoadWord(other->bytes(), 64), 5);
  CHECK_EQ(close(file), 0);
  mapping.reset();
  CHECK_EQ(LoadWord(other->bytes(), 64), 5);
}

TEST("a file of another size, and what is no file, is refused, and nothing is handed over") {
  Mapped mapping;
  for (const off_t bytes :
       {off_t{0}, off_t{1}, off_t{kBytes - 1}, off_t{kBytes + 1}, off_t{2 * kBytes}, off_t{1} << 40}) {
    const TestFile file(bytes);
    CHECK_EQ(PageMapping::File(file.descriptor(), true, &mapping).status, Status::kBadArgument);
    CHECK(mapping == nullptr);
  }
  int ends[2];
  if (!CHECK_EQ(pipe(ends), 0)) return;
  const int others[] = {ends[0], open("/dev/zero", O_RDWR | O_CLOEXEC), open("/", O_RDONLY | O_CLOEXEC)};
  for (const int file : others) {
    CHECK_EQ(PageMapping::File(file, false, &mapping).status, Status::kBadArgument);
    close(file);
  }
  close(ends[1]);
  const Outcome none = PageMapping::File(-1, false, &mapping);
  CHECK_EQ(none.status, Status::kSystemCall);
  CHECK_EQ(none.error_number, EBADF);
  CHECK_EQ(std::string(none.call), "fstat");
  CHECK(mapping == nullptr);
}

TEST("a file that may only be read is mapped to be read, and refused to be written") {
  const TestFile file;
  StoreWord(MapFile(file)->bytes(), 0, 9);
  const std::string path = "/proc/self/fd/" + std::to_string(file.descriptor());
  const int readable = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (!CHECK(readable >= 0)) return;
  Mapped mapping;
  const Outcome refused = PageMapping::File(readable, true, &mapping);
  CHECK_EQ(refused.error_number, EACCES);
  CHECK_EQ(std::string(refused.call), "mmap");
  CHECK(mapping == nullptr);
  CHECK(PageMapping::File(readable, false, &mapping).ok());
  close(readable);
  CHECK(!mapping->writable());
  CHECK_EQ(LoadWord(mapping->bytes(), 0), 9);
  // A read-only mapping is one for the CPU as well.
  CHECK_EQ(EndOfChild([&] {
             signal(SIGSEGV, SIG_DFL);
             StoreWord(mapping->bytes(), 0, 1);
             return 0;
           }),
           1'000 + SIGSEGV);
}

// ---- files that are cut short

// A page that every reader of each of the protocols of ours takes a value from, at counters from 1000 on.
void Fill(uint8_t* page) {
  CopyImage image;
  image.base = 1'000;
  image.max_delta = uint64_t{1} << 40;
  image.shared = {8, 0, 2};
  image.monotonic = 70'000;
  StoreCopy(page, 0, image);
  StoreCopy(page, 1, image);
  StoreWord(page, clock_page::kCountAt, 8);
}

struct FixedCounter {
  std::function<void()> at_read = {};
  uint64_t Read() const {
    if (at_read) at_read();
    return 1'100;
  }
};

ReadEnd ReadAs(const ReaderKind& kind, const uint8_t* page, const FixedCounter& counter, int64_t* ns) {
  ClockReading reading;
  uint64_t retries = 0;
  const ReadEnd end = FindReader<FixedCounter>(kind)(page, kClockSlots[1], page + clock_page::kGenerationAt,
                                                     counter, {}, &reading, &retries);
  *ns = reading.ns;
  return end;
}

std::vector<ReaderKind> SoundKinds() {
  std::vector<ReaderKind> kinds;
  for (const ReaderProtocol protocol : {ReaderProtocol::kSeqlock, ReaderProtocol::kLatch,
                                        ReaderProtocol::kLatchWindow, ReaderProtocol::kTwoWindow}) {
    for (const ReaderGeneration generation : {ReaderGeneration::kNone, ReaderGeneration::kTagged}) {
      kinds.push_back({protocol, generation, true});
    }
  }
  return kinds;
}

ReadEnd RefusalOf(ReaderProtocol protocol) {
  const bool windowed = protocol == ReaderProtocol::kLatchWindow || protocol == ReaderProtocol::kTwoWindow;
  return windowed ? ReadEnd::kOutOfWindow : ReadEnd::kUnpublished;
}

struct Loss {
  PageMapping* mapping = nullptr;
  bool lost_before = true, lost_after = false, zeros = true;
  int error_number = 0;
  uint64_t written = 0;
};

void* TouchLost(void* argument) {
  auto* loss = static_cast<Loss*>(argument);
  loss->lost_before = loss->mapping->IsLost();
  errno = 1'234;
  for (uint32_t at = 0; at < kBytes; at += 8) loss->zeros &= LoadWord(loss->mapping->bytes(), at) == 0;
  loss->error_number = errno;
  loss->lost_after = loss->mapping->IsLost();
  if (loss->mapping->writable()) {
    StoreWord(loss->mapping->bytes(), 8, 5);
    loss->written = LoadWord(loss->mapping->bytes(), 8);
  }
  return nullptr;
}

void CheckLoss(const Loss& loss) {
  CHECK(!loss.lost_before);
  CHECK(loss.zeros);
  CHECK(loss.lost_after);
  CHECK_EQ(loss.error_number, 1'234);
  // A writer goes on, unheard.
  CHECK_EQ(loss.written, loss.mapping->writable() ? 5 : 0);
}

TEST("a file that is cut short while it is mapped reads as zeros, and the page tells, in the main thread") {
  for (const bool writable : {false, true}) {
    const TestFile file;
    Fill(MapFile(file)->bytes());
    const Mapped mapping = MapFile(file, writable);
    CHECK_EQ(LoadWord(mapping->bytes(), clock_page::kCountAt), 8);
    CHECK(!mapping->IsLost());
    file.Resize(0);
    Loss loss{mapping.get()};
    TouchLost(&loss);
    CheckLoss(loss);
    // For good: what becomes of the file is no longer this page's.
    file.Resize(kBytes);
    CHECK_EQ(LoadWord(mapping->bytes(), clock_page::kCountAt), 0);
    CHECK(mapping->IsLost());
  }
}

TEST("a file that is cut short while it is mapped reads as zeros, and the page tells, in a quiet thread") {
  for (const bool writable : {false, true}) {
    const TestFile file;
    const Mapped mapping = MapFile(file, writable);
    file.Resize(0);
    Loss loss{mapping.get()};
    pthread_t thread;
    if (!CHECK_EQ(CreateQuietThread(&thread, TouchLost, &loss), 0)) return;
    pthread_join(thread, nullptr);
    CheckLoss(loss);
  }
}

TEST("a page that is lost to many threads at once is zeros to all of them") {
#if defined(__SANITIZE_THREAD__)
  SKIP(
      "ThreadSanitizer takes the mapping of zeros in one thread for a write that races with the others' "
      "loads");
#endif
  for (int i = 0; i < 50; i++) {
    const TestFile file;
    const Mapped mapping = MapFile(file, false);
    file.Resize(0);
    struct Touch {
      const uint8_t* page;
      std::atomic<int>* waiting;
      uint64_t seen = 1;
    };
    constexpr int kThreads = 4;
    std::atomic<int> waiting{kThreads};
    Touch touches[kThreads];
    pthread_t threads[kThreads];
    const auto touch = [](void* argument) -> void* {
      auto* self = static_cast<Touch*>(argument);
      self->waiting->fetch_sub(1, std::memory_order_relaxed);
      while (self->waiting->load(std::memory_order_relaxed) > 0) sched_yield();
      self->seen = LoadWord(self->page, 8);
      return nullptr;
    };
    for (int t = 0; t < kThreads; t++) {
      touches[t] = {mapping->bytes(), &waiting};
      if (!CHECK_EQ(CreateQuietThread(&threads[t], touch, &touches[t]), 0)) return;
    }
    for (int t = 0; t < kThreads; t++) {
      pthread_join(threads[t], nullptr);
      CHECK_EQ(touches[t].seen, 0);
    }
    CHECK(mapping->IsLost());
  }
}

TEST("each mapping is lost for itself") {
  const TestFile file, whole;
  const Mapped one = MapFile(file), other = MapFile(file), untouched = MapFile(whole);
  file.Resize(0);
  LoadWord(one->bytes(), 0);
  CHECK(one->IsLost());
  CHECK(!other->IsLost());
  LoadWord(other->bytes(), 0);
  CHECK(other->IsLost());
  LoadWord(untouched->bytes(), 0);
  CHECK(!untouched->IsLost());
}

TEST("a file that is cut short behind the page's start, but not to nothing, is zeros past its end") {
  const TestFile file;
  const Mapped mapping = MapFile(file);
  Fill(mapping->bytes());
  // Within the page the kernel fills up with zeros, without a fault.
  file.Resize(8);
  int64_t ns;
  for (const ReaderKind& kind : SoundKinds()) {
    CHECK_EQ(ReadAs(kind, mapping->bytes(), {}, &ns), RefusalOf(kind.protocol));
  }
}

TEST("a file that is cut to any size leaves every reader the right value or none, single clocks and sets") {
  // The counter stands at 1'100.
  constexpr uint64_t kBase = 779, kCycles = 1'100;
  CopyImage image;
  image.base = kBase, image.max_delta = 1'000, image.tag = 0;
  // No byte of the words is zero that a cut could not show in.
  image.shared = {0x0123'4567'89ab'cdef, 0x0fed'cba9'8765'4321, 61};
  image.realtime = image.smeared = image.raw = image.bound = image.shared;
  const int64_t whole = 0x1122'3344'5566'7788;
  image.monotonic = image.boottime = image.tai = image.sane = whole;
  image.realtime_whole = image.smeared_whole = image.raw_whole = image.bound_whole = whole;
  const auto sum =
      static_cast<unsigned __int128>(kCycles - kBase) * image.shared.mult + image.shared.fraction;
  const int64_t right = whole + static_cast<int64_t>(sum >> 61);
  const TestFile file;
  const Mapped mapping = MapFile(file);
  const FixedCounter counter;
  for (const ReaderKind& kind : SoundKinds()) {
    if (!kind.wide) continue;
    uint32_t values = 0, wrong = 0;
    for (off_t size = 1; size < kBytes; size++) {
      for (const uint64_t copy : {0, 1}) StoreCopy(mapping->bytes(), copy, image);
      // Of two copies the second one, which more sizes cut.
      const uint64_t count = kind.protocol == ReaderProtocol::kSeqlock ? 4 : 7;
      StoreWord(mapping->bytes(), clock_page::kCountAt, count);
      if (ftruncate(file.descriptor(), size) != 0) continue;
      for (const ClockSlot& slot : kClockSlots) {
        ClockReading reading;
        uint64_t retries = 0;
        const ReadEnd end = FindReader<FixedCounter>(kind)(mapping->bytes(), slot,
                                                           mapping->bytes() + clock_page::kGenerationAt,
                                                           counter, {2, 2}, &reading, &retries);
        values += end == ReadEnd::kValue;
        wrong += end == ReadEnd::kValue && reading.ns != right;
      }
      SetReading set;
      uint64_t retries = 0;
      const ReadEnd end = ReadSet<FixedCounter>(FindReader<FixedCounter>(kind), kind, mapping->bytes(),
                                                kAllClocks, mapping->bytes() + clock_page::kGenerationAt,
                                                counter, {2, 2}, &set, &retries);
      for (const int64_t ns : set.ns) wrong += end == ReadEnd::kValue && ns != right;
      wrong += end == ReadEnd::kValue && set.bound_ns != right + 1;
      values += end == ReadEnd::kValue;
      wrong += !mapping->LooksLost();
      if (ftruncate(file.descriptor(), kBytes) != 0) return;
    }
    CHECK_EQ(wrong, 0);
    // All that lies behind the copies may be cut.
    CHECK(values >= 8 * (kBytes - 0x2c0));
  }
}

TEST("the size of a file is looked at where its page may be written, and in no other case") {
  const TestFile file;
  const Mapped writable = MapFile(file), readable = MapFile(file, false);
  CHECK(!writable->LooksLost());
  file.Resize(4'095);
  CHECK(!writable->IsLost());
  CHECK(writable->LooksLost());
  CHECK(writable->IsLost());
  CHECK(!readable->LooksLost());
  Mapped memory;
  CHECK(PageMapping::Anonymous(&memory).ok());
  CHECK(!memory->LooksLost());
}

TEST("every reader refuses a page that was lost before the read") {
  for (const ReaderKind& kind : SoundKinds()) {
    const TestFile file;
    const Mapped mapping = MapFile(file);
    Fill(mapping->bytes());
    int64_t ns = 0;
    CHECK_EQ(ReadAs(kind, mapping->bytes(), {}, &ns), ReadEnd::kValue);
    CHECK_EQ(ns, 70'200);
    file.Resize(0);
    CHECK_EQ(ReadAs(kind, mapping->bytes(), {}, &ns), RefusalOf(kind.protocol));
    CHECK(mapping->IsLost());
  }
}

TEST("every reader refuses a page that is lost in the middle of the read") {
  for (const ReaderKind& kind : SoundKinds()) {
    const TestFile file;
    const Mapped mapping = MapFile(file, false);
    Fill(MapFile(file)->bytes());
    int64_t ns = 0;
    CHECK_EQ(ReadAs(kind, mapping->bytes(), {[&] { file.Resize(0); }}, &ns), RefusalOf(kind.protocol));
    CHECK(mapping->IsLost());
  }
}

TEST("readers of hypervisors' pages refuse one that was lost") {
  const TestFile file;
  const Mapped mapping = MapFile(file, false);
  const Mapped filled = MapFile(file);
  file.Resize(0);
  VmclockReading vmclock_reading;
  PvclockReading pvclock_reading;
  uint64_t retries = 0;
  CHECK_EQ(ReadVmclock(mapping->bytes(), FixedCounter{}, 5, &vmclock_reading, &retries), ReadEnd::kUnusable);
  CHECK_EQ(ReadPvclock(filled->bytes(), FixedCounter{}, 5, &pvclock_reading, &retries),
           ReadEnd::kUnpublished);
}

// ---- the places that watch

TEST("mappings that are closed make room: 3000 one after another are each watched") {
  const TestFile whole;
  for (int i = 0; i < 3'000; i++) {
    const Mapped mapping = MapFile(whole, i % 2 == 0);
    if (!CHECK(mapping != nullptr) || !CHECK(!mapping->IsLost())) return;
    CHECK_EQ(LoadWord(mapping->bytes(), 0), 0);
    if (i % 100 != 0) continue;
    const TestFile file;
    const Mapped lost = MapFile(file);
    file.Resize(0);
    CHECK_EQ(LoadWord(lost->bytes(), 0), 0);
    CHECK(lost->IsLost());
    CHECK(!mapping->IsLost());
  }
}

TEST("so many files can be mapped at once, one more is refused, and a place that is given back can be had") {
  const TestFile file;
  std::vector<Mapped> mappings;
  for (int i = 0; i < kMostPageFiles; i++) {
    mappings.push_back(MapFile(file, false));
    if (mappings.back() == nullptr) return;
  }
  Mapped more;
  CHECK_EQ(PageMapping::File(file.descriptor(), false, &more).status, Status::kTooManyPages);
  CHECK(more == nullptr);
  mappings[700].reset();
  CHECK(PageMapping::File(file.descriptor(), false, &more).ok());
  file.Resize(0);
  for (const Mapped& mapping : mappings) {
    if (mapping != nullptr && !CHECK_EQ(LoadWord(mapping->bytes(), 0), 0)) return;
  }
  CHECK_EQ(LoadWord(more->bytes(), 0), 0);
  CHECK(more->IsLost());
}

}  // namespace
}  // namespace latchclock::test
