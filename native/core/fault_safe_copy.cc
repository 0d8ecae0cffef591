#include "fault_safe_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace latchclock {
namespace {

constexpr size_t kSmallestPage = 4096;

// Short counts cannot be: the pipe is empty and holds a page at least, and a chunk ends within its page.
Outcome CopyWithinPage(const int pipe_ends[2], uintptr_t address, size_t length, uint8_t* out) {
  ssize_t count;
  do {
    count = write(pipe_ends[1], reinterpret_cast<const void*>(address), length);
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    return errno == EFAULT ? Outcome::Failed(Status::kMemoryFault) : Outcome::FailedCall("write", errno);
  }
  do {
    count = read(pipe_ends[0], out, length);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return Outcome::FailedCall("read", errno);
  return static_cast<size_t>(count) == length ? Outcome{} : Outcome::Failed(Status::kMemoryFault);
}

}  // namespace

Outcome CopyMemory(uintptr_t address, size_t length, uint8_t* out) {
  if (address + length < address) return Outcome::Failed(Status::kMemoryFault);
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return Outcome::FailedCall("pipe2", errno);
  Outcome outcome;
  while (length > 0 && outcome.ok()) {
    const size_t chunk = std::min(length, kSmallestPage - address % kSmallestPage);
    outcome = CopyWithinPage(pipe_ends, address, chunk, out);
    address += chunk;
    out += chunk;
    length -= chunk;
  }
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  return outcome;
}

}  // namespace latchclock
