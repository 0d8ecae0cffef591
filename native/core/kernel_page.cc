#include "kernel_page.h"

#include <sys/uio.h>
#include <unistd.h>

#include "fault_safe_copy.h"
#include "vdso_image.h"

namespace latchclock {
namespace {

// [vvar] and [vvar_vclock] have at most 6 pages on any kernel from 5.4 to 7.2, right below the vDSO.
constexpr uintptr_t kMostPagesBelowVdso = 16;

// The kernel's own pages cannot be pinned, so that this call refuses them; it copies all other memory. Where
// it is forbidden (seccomp) nothing is known, and the page passes for the kernel's.
bool IsOrdinaryMemory(uintptr_t address) {
  uint8_t byte;
  const iovec here = {&byte, 1};
  const iovec there = {reinterpret_cast<void*>(address), 1};
  return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1;
}

bool IsWordInside(uint32_t offset, uint32_t size) { return offset % size == 0 && offset <= kPageSize - size; }

}  // namespace

bool IsInsidePage(const PageClock& clock) {
  return IsWordInside(clock.seq, 4) && IsWordInside(clock.mode, 4) && IsWordInside(clock.cycle_last, 8) &&
         (clock.max_cycles == kNoField || IsWordInside(clock.max_cycles, 8)) && IsWordInside(clock.mult, 4) &&
         IsWordInside(clock.shift, 4) && IsWordInside(clock.seconds, 8) && IsWordInside(clock.nanoseconds, 8);
}

Outcome CheckKernelPage(uintptr_t address) {
  const uintptr_t vdso = MappedVdsoBase();
  if (vdso == 0) return Outcome::Failed(Status::kNoVdso);
  if (address % kPageSize != 0 || address >= vdso || vdso - address > kMostPagesBelowVdso * kPageSize) {
    return Outcome::Failed(Status::kBadArgument);
  }
  if (IsOrdinaryMemory(address)) return Outcome::Failed(Status::kBadArgument);
  uint8_t copy[kPageSize];
  return CopyMemory(address, kPageSize, copy);
}

}  // namespace latchclock
