#include "bad_pointer_probe.h"

#include <errno.h>
#include <sys/mman.h>

#include "forked_call.h"
#include "interrupted.h"

namespace latchclock {
namespace {

constexpr uintptr_t kPage = 4096;

// A constant that is never written, and so lies in a read-only segment.
alignas(timespec) const unsigned char kReadOnlyBytes[sizeof(timespec)] = {};

// The start of a page that can be written, before one that cannot be touched; 0 where there is no memory for
// them. Kept for good: two pages in a process.
uintptr_t GuardedPage() {
  static const uintptr_t page = [] {
    void* memory = mmap(nullptr, 2 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, kPage, PROT_READ | PROT_WRITE) != 0) return uintptr_t{0};
    return reinterpret_cast<uintptr_t>(memory);
  }();
  return page;
}

uintptr_t Address(BadPointer pointer) {
  switch (pointer) {
    case BadPointer::kNull:
      return 0;
    case BadPointer::kReadOnly:
      return reinterpret_cast<uintptr_t>(kReadOnlyBytes);
    case BadPointer::kKernel:
      return 0xffff'8000'0000'0000;
    case BadPointer::kNoAccess:
      return GuardedPage() + kPage;
    case BadPointer::kTop:
      return UINTPTR_MAX;
    case BadPointer::kCrossing:
      return GuardedPage() + kPage - 2;
  }
  __builtin_unreachable();
}

struct Probe {
  ClockCall call;
  CallPath path;
  clockid_t id;
  void* out;
};

int MakeCall(void* argument) {
  const auto* probe = static_cast<const Probe*>(argument);
  return MakeClockCallAt(probe->call, probe->path, probe->id, probe->out);
}

}  // namespace

Outcome ProbeBadPointer(ClockCall call, CallPath path, clockid_t id, BadPointer pointer,
                        BadPointerEnding* ending) {
  const Outcome usable = CheckClockCall(call, path);
  if (!usable.ok()) return usable;
  if (GuardedPage() == 0) return Outcome::FailedCall("mmap", ENOMEM);
  Probe probe = {call, path, id, reinterpret_cast<void*>(Address(pointer))};
  if (path == CallPath::kSyscall) {
    ending->error_number = MakeCall(&probe);
    return {};
  }
  ChildEnding child;
  const Outcome called = CallInChild(MakeCall, &probe, &child);
  if (!called.ok()) return called;
  ending->error_number = child.value;
  ending->signal = child.signal;
  return {};
}

}  // namespace latchclock
