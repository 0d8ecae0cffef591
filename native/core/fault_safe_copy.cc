#include "fault_safe_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "interrupted.h"

namespace latchclock {
namespace {

constexpr size_t kSmallestPage = 4096;

// Takes `length` bytes out of a pipe that has them.
Outcome TakeOut(int pipe_end, size_t length, uint8_t* out) {
  while (length > 0) {
    const ssize_t count = AgainWhenInterrupted([&] { return read(pipe_end, out, length); });
    // The end of a pipe that we can still write to cannot be.
    if (count <= 0) return Outcome::FailedCall("read", count < 0 ? errno : EIO);
    out += count;
    length -= static_cast<size_t>(count);
  }
  return {};
}

// The pipe is empty and holds a page at least, so that nothing waits. Kernels give whole counts then; others
// that stand in for them (sandboxes) may give less.
Outcome CopyWithinPage(const int pipe_ends[2], uintptr_t address, size_t length, uint8_t* out) {
  while (length > 0) {
    const ssize_t count = AgainWhenInterrupted(
        [&] { return write(pipe_ends[1], reinterpret_cast<const void*>(address), length); });
    if (count < 0 && errno == EFAULT) return Outcome::Failed(Status::kMemoryFault);
    if (count <= 0) return Outcome::FailedCall("write", count < 0 ? errno : EIO);
    const auto written = static_cast<size_t>(count);
    const Outcome taken = TakeOut(pipe_ends[0], written, out);
    if (!taken.ok()) return taken;
    address += written;
    out += written;
    length -= written;
  }
  return {};
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
