#include "../core/fault_safe_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <vector>

#include "check.h"
#include "support.h"

// The module once more under another name, with calls that give less than they were asked for.
namespace latchclock {
namespace {

// What the next calls of each kind answer: so many bytes at the most, or -1 and EINTR so often.
size_t most_written = SIZE_MAX, most_read = SIZE_MAX;
int interruptions = 0;

bool IsInterrupted() {
  if (interruptions == 0) return false;
  interruptions--;
  errno = EINTR;
  return true;
}

ssize_t WriteLess(int file, const void* bytes, size_t length) {
  return IsInterrupted() ? -1 : write(file, bytes, std::min(length, most_written));
}

ssize_t ReadLess(int file, void* bytes, size_t length) {
  return IsInterrupted() ? -1 : read(file, bytes, std::min(length, most_read));
}

}  // namespace
}  // namespace latchclock
#define write WriteLess
#define read ReadLess
#define CopyMemory CopyByLess
#include "../core/fault_safe_copy.cc"
#undef write
#undef read
#undef CopyMemory

namespace latchclock::test {
namespace {

// Three pages of known bytes that can be taken away.
class Pages {
 public:
  Pages() {
    void* memory = mmap(nullptr, 3 * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) abort();
    bytes_ = static_cast<uint8_t*>(memory);
    Random random(3);
    for (size_t i = 0; i < 3 * kPageSize; i++) bytes_[i] = static_cast<uint8_t>(random.Next());
  }
  ~Pages() { munmap(bytes_, 3 * kPageSize); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  const uint8_t* bytes() const { return bytes_; }
  uintptr_t address() const { return reinterpret_cast<uintptr_t>(bytes_); }
  void Unmap(size_t page) { munmap(bytes_ + page * kPageSize, kPageSize); }
  void Hide(size_t page) { mprotect(bytes_ + page * kPageSize, kPageSize, PROT_NONE); }

 private:
  uint8_t* bytes_;
};

int OpenDescriptors() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return -1;
  int count = 0;
  while (readdir(directory) != nullptr) count++;
  closedir(directory);
  return count;
}

TEST("a copy equals the memory, within a page and across pages, and writes no byte more") {
  const Pages pages;
  struct {
    size_t start, length;
  } const ranges[] = {{0, 1},
                      {0, kPageSize},
                      {kPageSize - 1, 2},
                      {1, kPageSize},
                      {kPageSize - 8, 16},
                      {17, 2 * kPageSize},
                      {0, 3 * kPageSize},
                      {kPageSize - 1, 1},
                      {kPageSize, kPageSize}};
  for (const auto& [start, length] : ranges) {
    std::vector<uint8_t> out(length + 1, 0xa5);
    CHECK(CopyMemory(pages.address() + start, length, out.data()).ok());
    CHECK_EQ(memcmp(out.data(), pages.bytes() + start, length), 0);
    CHECK_EQ(out[length], 0xa5);
  }
}

TEST("a copy is whole though each call writes or reads less than it is asked for, or is interrupted") {
  const Pages pages;
  constexpr size_t kAmounts[] = {1, 7, 4095, SIZE_MAX};
  for (const size_t write_amount : kAmounts) {
    for (const size_t read_amount : kAmounts) {
      most_written = write_amount;
      most_read = read_amount;
      interruptions = 3;
      std::vector<uint8_t> out(kPageSize + 17, 0xa5);
      CHECK(CopyByLess(pages.address() + 5, out.size(), out.data()).ok());
      CHECK_EQ(memcmp(out.data(), pages.bytes() + 5, out.size()), 0);
    }
  }
  most_written = most_read = SIZE_MAX;
}

TEST("a call that is interrupted for ever, or that takes or gives nothing, is told and does not hang") {
  const Pages pages;
  uint8_t byte = 0;
  interruptions = INT_MAX;
  const Outcome interrupted = CopyByLess(pages.address(), 1, &byte);
  interruptions = 0;
  CHECK(interrupted.status == Status::kSystemCall);
  CHECK_EQ(interrupted.error_number, EINTR);
  most_written = 0;
  const Outcome unwritten = CopyByLess(pages.address(), 1, &byte);
  most_written = SIZE_MAX;
  CHECK_EQ(unwritten.error_number, EIO);
  most_read = 0;
  const Outcome unread = CopyByLess(pages.address(), 1, &byte);
  most_read = SIZE_MAX;
  CHECK_EQ(unread.error_number, EIO);
}

TEST("a copy larger than a pipe holds does not wait for itself") {
  std::vector<uint8_t> memory(300'000), out(memory.size());
  Random random(4);
  for (uint8_t& byte : memory) byte = static_cast<uint8_t>(random.Next());
  CHECK(CopyMemory(reinterpret_cast<uintptr_t>(memory.data()), memory.size(), out.data()).ok());
  CHECK(out == memory);
}

TEST("memory that cannot be read is an answer, not a signal") {
  Pages unmapped, hidden;
  unmapped.Unmap(2);
  hidden.Hide(2);
  std::vector<uint8_t> out(2 * kPageSize);
  for (const Pages* pages : {&unmapped, &hidden}) {
    const uintptr_t bad = pages->address() + 2 * kPageSize;
    CHECK_EQ(CopyMemory(bad, 1, out.data()).status, Status::kMemoryFault);
    CHECK_EQ(CopyMemory(bad, kPageSize, out.data()).status, Status::kMemoryFault);
    CHECK_EQ(CopyMemory(bad - 1, 2, out.data()).status, Status::kMemoryFault);
    CHECK_EQ(CopyMemory(bad - kPageSize, kPageSize + 1, out.data()).status, Status::kMemoryFault);
    CHECK(CopyMemory(bad - 1, 1, out.data()).ok());
    CHECK_EQ(out[0], pages->bytes()[2 * kPageSize - 1]);
  }
  const uintptr_t bad[] = {
      0, 8, kPageSize - 1, uintptr_t{1} << 47, uintptr_t{0xffff800000000000}, ~uintptr_t{kPageSize - 1}};
  for (const uintptr_t address : bad)
    CHECK_EQ(CopyMemory(address, 8, out.data()).status, Status::kMemoryFault);
}

TEST("a range with a page amidst it that cannot be read is a fault, whatever comes after") {
  for (const size_t page : {size_t{0}, size_t{1}}) {
    Pages pages;
    pages.Hide(page);
    std::vector<uint8_t> out(3 * kPageSize);
    CHECK_EQ(CopyMemory(pages.address(), 3 * kPageSize, out.data()).status, Status::kMemoryFault);
  }
}

TEST("a range that wraps around the end of the addresses is a fault") {
  uint8_t out[16];
  CHECK_EQ(CopyMemory(~uintptr_t{0}, 2, out).status, Status::kMemoryFault);
  CHECK_EQ(CopyMemory(~uintptr_t{0} - 7, 8, out).status, Status::kMemoryFault);
  // Readable memory does not help: the range as a whole is none.
  const Pages pages;
  CHECK_EQ(CopyMemory(pages.address(), ~size_t{0}, out).status, Status::kMemoryFault);
}

TEST("nothing can be copied from anywhere") {
  uint8_t out = 0xa5;
  CHECK(CopyMemory(0, 0, &out).ok());
  CHECK(CopyMemory(~uintptr_t{0}, 0, &out).ok());
  CHECK(CopyMemory(reinterpret_cast<uintptr_t>(&out), 0, nullptr).ok());
  CHECK_EQ(out, 0xa5);
}

TEST("a thousand copies and a thousand faults leave no descriptor open") {
  const Pages pages;
  const int before = OpenDescriptors();
  if (before < 0) SKIP("/proc is not mounted");
  uint8_t out[16];
  for (int i = 0; i < 1000; i++) {
    CHECK(CopyMemory(pages.address(), sizeof out, out).ok());
    CHECK_EQ(CopyMemory(8, sizeof out, out).status, Status::kMemoryFault);
  }
  CHECK_EQ(OpenDescriptors(), before);
}

TEST("without descriptors to be had, the failure is the pipe's and not the memory's") {
  const Pages pages;
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) SKIP("the limit of descriptors cannot be read");
  const int free_descriptor = fcntl(0, F_DUPFD_CLOEXEC, 0);
  if (free_descriptor < 0) SKIP("descriptor 0 is closed");
  close(free_descriptor);
  uint8_t out[16] = {};
  // None left, and one left where two are needed.
  for (const int left : {0, 1}) {
    const rlimit tight = {static_cast<rlim_t>(free_descriptor + left), limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &tight) != 0) SKIP("the limit of descriptors cannot be lowered");
    const Outcome outcome = CopyMemory(pages.address(), sizeof out, out);
    setrlimit(RLIMIT_NOFILE, &limit);
    CHECK_EQ(outcome.status, Status::kSystemCall);
    CHECK_EQ(outcome.error_number, EMFILE);
    CHECK_EQ(std::string(outcome.call), "pipe2");
  }
  CHECK(CopyMemory(pages.address(), sizeof out, out).ok());
}

}  // namespace
}  // namespace latchclock::test
