#include "page_mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

#include "clock_page.h"
#include "interrupted.h"

namespace latchclock {
namespace {

// One mapped file. All words are atomic, since the handler reads them in whichever thread touched the page.
struct Guard {
  std::atomic<uintptr_t> start{0};  // 0: free
  std::atomic<bool> writable{false};
  std::atomic<bool> lost{false};
};

constexpr int kGuards = kMostPageFiles;
Guard guards[kGuards];
struct sigaction previous;

// Async-signal-safe: atomics without locks, and mmap, which is a bare system call.
void OnBusError(int signal, siginfo_t* info, void* context) {
  // One that was sent has a sender where a fault has an address.
  const bool sent = info->si_code <= 0;
  const uintptr_t page =
      sent ? 0 : reinterpret_cast<uintptr_t>(info->si_addr) & ~uintptr_t{clock_page::kBytes - 1};
  for (Guard& guard : guards) {
    // Acquire: pairs with the registration, so that `writable` is the mapping's.
    if (page == 0 || guard.start.load(std::memory_order_acquire) != page) continue;
    const int error = errno;
    const int protection = PROT_READ | (guard.writable.load(std::memory_order_relaxed) ? PROT_WRITE : 0);
    void* zeros = mmap(reinterpret_cast<void*>(page), clock_page::kBytes, protection,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    errno = error;
    if (zeros == MAP_FAILED) break;
    guard.lost.store(true, std::memory_order_release);
    return;
  }
  if ((previous.sa_flags & SA_SIGINFO) != 0) return previous.sa_sigaction(signal, info, context);
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) return previous.sa_handler(signal);
  // A fault cannot be ignored, what was sent can.
  if (sent && previous.sa_handler == SIG_IGN) return;
  // On return the access is made again, or what was sent is here again, and ends the process as it would have
  // without us.
  ::signal(SIGBUS, SIG_DFL);
  if (sent) raise(SIGBUS);
}

void Install() {
  struct sigaction action = {};
  action.sa_sigaction = OnBusError;
  // On the alternative stack, if the thread has one; not blocking others, since it returns at once.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &previous);
}

int Watch(uintptr_t start, bool writable) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, Install);
  for (int i = 0; i < kGuards; i++) {
    uintptr_t free = 0;
    if (guards[i].start.load(std::memory_order_relaxed) != 0) continue;
    // Claimed by a value that is no page, filled in, and only then watched.
    if (!guards[i].start.compare_exchange_strong(free, 1, std::memory_order_relaxed)) continue;
    guards[i].writable.store(writable, std::memory_order_relaxed);
    guards[i].lost.store(false, std::memory_order_relaxed);
    guards[i].start.store(start, std::memory_order_release);
    return i;
  }
  return -1;
}

}  // namespace

PageMapping::~PageMapping() {
  // Not watched any longer before the address can be another mapping's.
  if (guard_ >= 0) guards[guard_].start.store(0, std::memory_order_release);
  if (bytes_ != nullptr) munmap(bytes_, clock_page::kBytes);
  if (file_descriptor_ >= 0) close(file_descriptor_);
}

Outcome PageMapping::Map(int file_descriptor, int flags, bool writable) {
  void* page = mmap(nullptr, clock_page::kBytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED | flags,
                    file_descriptor, 0);
  if (page == MAP_FAILED) return Outcome::FailedCall("mmap", errno);
  bytes_ = static_cast<uint8_t*>(page);
  writable_ = writable;
  return {};
}

Outcome PageMapping::Anonymous(std::shared_ptr<PageMapping>* mapping) {
  std::shared_ptr<PageMapping> made(new PageMapping());
  const Outcome outcome = made->Map(-1, MAP_ANONYMOUS, true);
  if (outcome.ok()) *mapping = std::move(made);
  return outcome;
}

Outcome PageMapping::Memfd(std::shared_ptr<PageMapping>* mapping, int* file_descriptor) {
  const int file = memfd_create("latchclock-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file < 0) return Outcome::FailedCall("memfd_create", errno);
  std::shared_ptr<PageMapping> made(new PageMapping());
  Outcome outcome;
  // A memfd is everybody's to write, for whoever can reach its descriptor: readers refuse such a page.
  if (fchmod(file, 0644) != 0) {
    outcome = Outcome::FailedCall("fchmod", errno);
  } else if (ftruncate(file, clock_page::kBytes) != 0) {
    outcome = Outcome::FailedCall("ftruncate", errno);
  } else if (fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    outcome = Outcome::FailedCall("fcntl", errno);
  } else {
    outcome = made->Map(file, 0, true);
  }
  if (!outcome.ok()) {
    close(file);
    return outcome;
  }
  *file_descriptor = file;
  *mapping = std::move(made);
  return {};
}

Outcome PageMapping::File(int file_descriptor, bool writable, std::shared_ptr<PageMapping>* mapping) {
  struct stat status;
  if (fstat(file_descriptor, &status) != 0) return Outcome::FailedCall("fstat", errno);
  if (!S_ISREG(status.st_mode) || status.st_size != clock_page::kBytes) {
    return Outcome::Failed(Status::kBadArgument);
  }
  std::shared_ptr<PageMapping> made(new PageMapping());
  const Outcome outcome = made->Map(file_descriptor, 0, writable);
  if (!outcome.ok()) return outcome;
  if (writable) {
    made->file_descriptor_ = fcntl(file_descriptor, F_DUPFD_CLOEXEC, 0);
    if (made->file_descriptor_ < 0) return Outcome::FailedCall("fcntl", errno);
  }
  made->guard_ = Watch(reinterpret_cast<uintptr_t>(made->bytes_), writable);
  if (made->guard_ < 0) return Outcome::Failed(Status::kTooManyPages);
  *mapping = std::move(made);
  return {};
}

bool PageMapping::IsLost() const {
  return guard_ >= 0 && guards[guard_].lost.load(std::memory_order_acquire);
}

bool PageMapping::LooksLost() const {
  if (file_descriptor_ < 0 || IsLost()) return IsLost();
  struct stat status;
  if (fstat(file_descriptor_, &status) != 0 || status.st_size != clock_page::kBytes) {
    guards[guard_].lost.store(true, std::memory_order_release);
  }
  return IsLost();
}

Outcome LockFile(int file_descriptor, bool* locked) {
  // Non-blocking, but a signal may still come in before.
  *locked = AgainWhenInterrupted([&] { return flock(file_descriptor, LOCK_EX | LOCK_NB); }) == 0;
  return *locked || errno == EWOULDBLOCK ? Outcome{} : Outcome::FailedCall("flock", errno);
}

}  // namespace latchclock
