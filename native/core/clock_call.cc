#include "clock_call.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>

#include "counter.h"
#include "forked_call.h"
#include "vdso_image.h"

namespace latchclock {
namespace {

// The libc declares that some of its pointers are never null, and a compiler may build on that: called
// through pointers whose types say nothing of the kind, and that the compiler does not see through.
int (*volatile const libc_clock_gettime)(clockid_t, timespec*) = clock_gettime;
int (*volatile const libc_clock_getres)(clockid_t, timespec*) = clock_getres;
int (*volatile const libc_gettimeofday)(timeval*, void*) = gettimeofday;
time_t (*volatile const libc_time)(time_t*) = time;
int (*volatile const libc_getcpu)(unsigned*, unsigned*) = getcpu;

// Fixed by the kernel's ABI (asm/vsyscall.h): three calls, 1024 bytes apart.
constexpr uintptr_t kVsyscallPage = 0xffff'ffff'ff60'0000;
auto const vsyscall_gettimeofday = reinterpret_cast<int (*)(timeval*, void*)>(kVsyscallPage);
auto const vsyscall_time = reinterpret_cast<time_t (*)(time_t*)>(kVsyscallPage + 1024);
auto const vsyscall_getcpu = reinterpret_cast<int (*)(unsigned*, unsigned*, void*)>(kVsyscallPage + 2048);

bool ReadsCounter(ClockCall call) {
  return call == ClockCall::kClockGettime || call == ClockCall::kGettimeofday;
}

bool VdsoHas(ClockCall call) {
  const VdsoFunctions& vdso = GetVdsoFunctions();
  switch (call) {
    case ClockCall::kClockGettime:
      return vdso.clock_gettime != nullptr;
    case ClockCall::kClockGetres:
      return vdso.clock_getres != nullptr;
    case ClockCall::kGettimeofday:
      return vdso.gettimeofday != nullptr;
    case ClockCall::kTime:
      return vdso.time != nullptr;
    case ClockCall::kGetcpu:
      return vdso.getcpu != nullptr;
  }
  __builtin_unreachable();
}

int CallVsyscall(void* call) {
  CallAnswer answer;
  return MakeClockCall(*static_cast<const ClockCall*>(call), CallPath::kVsyscall, 0, &answer);
}

// Whether the page answers is asked once in a process: the kernel maps it at boot or never.
Outcome CheckVsyscall(ClockCall call) {
  static std::atomic<int> known[kClockCalls] = {};  // 0: not asked, 1: answers, 2: does not
  // Relaxed: the number is all that there is, and whoever asks twice gets the same answer.
  std::atomic<int>& state = known[static_cast<uint32_t>(call)];
  if (state.load(std::memory_order_relaxed) == 0) {
    ChildEnding ending;
    const Outcome asked = CallInChild(CallVsyscall, &call, &ending);
    if (!asked.ok()) return asked;
    const bool answers = ending.signal == 0 && ending.value == 0;
    state.store(answers ? 1 : 2, std::memory_order_relaxed);
  }
  return state.load(std::memory_order_relaxed) == 1 ? Outcome{} : Outcome::FailedCall("vsyscall", EFAULT);
}

// glibc resolves gettimeofday and time to the vDSO's functions themselves (IFUNC), which return the negative
// error as the kernel does and set no errno.
int ErrnoOf(long result) {
  if (result == 0) return 0;
  return result == -1 ? errno : static_cast<int>(-result);
}

// time returns its value: only the system call, which answers a bad pointer, can fail.
int CallTime(CallPath path, time_t* out, time_t* returned) {
  switch (path) {
    case CallPath::kVdso:
      *returned = GetVdsoFunctions().time(out);
      return 0;
    case CallPath::kLibc:
      *returned = libc_time(out);
      if (*returned < -1 && *returned > -4096) return static_cast<int>(-*returned);
      return *returned == -1 ? errno : 0;
    case CallPath::kSyscall:
      *returned = syscall(SYS_time, out);
      return *returned == -1 ? errno : 0;
    case CallPath::kVsyscall:
      *returned = vsyscall_time(out);
      return *returned < 0 ? static_cast<int>(-*returned) : 0;
  }
  __builtin_unreachable();
}

int CallGetcpu(CallPath path, unsigned* cpu, unsigned* node) {
  switch (path) {
    case CallPath::kVdso:
      return static_cast<int>(-GetVdsoFunctions().getcpu(cpu, node, nullptr));
    case CallPath::kLibc:
      return ErrnoOf(libc_getcpu(cpu, node));
    case CallPath::kSyscall:
      return ErrnoOf(syscall(SYS_getcpu, cpu, node, nullptr));
    case CallPath::kVsyscall:
      return -vsyscall_getcpu(cpu, node, nullptr);
  }
  __builtin_unreachable();
}

int CallGettimeofday(CallPath path, timeval* out) {
  switch (path) {
    case CallPath::kVdso:
      return -GetVdsoFunctions().gettimeofday(out, nullptr);
    case CallPath::kLibc:
      return ErrnoOf(libc_gettimeofday(out, nullptr));
    case CallPath::kSyscall:
      return ErrnoOf(syscall(SYS_gettimeofday, out, nullptr));
    case CallPath::kVsyscall:
      return -vsyscall_gettimeofday(out, nullptr);
  }
  __builtin_unreachable();
}

// clock_gettime or clock_getres: not by vsyscall, which CheckClockCall refuses for both.
int CallPosixClock(ClockCall call, CallPath path, clockid_t id, timespec* out) {
  const bool gettime = call == ClockCall::kClockGettime;
  switch (path) {
    case CallPath::kVdso: {
      const VdsoFunctions& vdso = GetVdsoFunctions();
      return -(gettime ? vdso.clock_gettime : vdso.clock_getres)(id, out);
    }
    case CallPath::kLibc:
      return ErrnoOf((gettime ? libc_clock_gettime : libc_clock_getres)(id, out));
    case CallPath::kSyscall:
      return ErrnoOf(syscall(gettime ? SYS_clock_gettime : SYS_clock_getres, id, out));
    case CallPath::kVsyscall:
      return ENOSYS;
  }
  __builtin_unreachable();
}

}  // namespace

Outcome CheckClockCall(ClockCall call, CallPath path) {
  const bool in_vdso = VdsoHas(call);
  switch (path) {
    case CallPath::kSyscall:
      return {};
    case CallPath::kVsyscall:
      if (call == ClockCall::kClockGettime || call == ClockCall::kClockGetres) {
        return Outcome::FailedCall("vsyscall", ENOSYS);
      }
      return CheckVsyscall(call);
    case CallPath::kVdso:
      if (!in_vdso) return Outcome::Failed(Status::kNoVdso);
      break;
    case CallPath::kLibc:
      break;
  }
  return in_vdso && ReadsCounter(call) ? CheckCounter(CounterMethod::kRdtsc) : Outcome{};
}

int MakeClockCall(ClockCall call, CallPath path, clockid_t id, CallAnswer* answer) {
  int64_t* words = answer->words;
  switch (call) {
    case ClockCall::kClockGettime:
    case ClockCall::kClockGetres: {
      timespec time = {0, 0};
      const int error = CallPosixClock(call, path, id, &time);
      words[0] = time.tv_sec;
      words[1] = time.tv_nsec;
      return error;
    }
    case ClockCall::kGettimeofday: {
      timeval time = {0, 0};
      const int error = CallGettimeofday(path, &time);
      words[0] = time.tv_sec;
      words[1] = time.tv_usec;
      return error;
    }
    case ClockCall::kTime: {
      time_t stored = 0, returned = 0;
      const int error = CallTime(path, &stored, &returned);
      words[0] = returned;
      // Wraps rather than overflow: a library in the kernel's place may answer anything.
      words[1] = static_cast<int64_t>(static_cast<uint64_t>(stored) - static_cast<uint64_t>(returned));
      return error;
    }
    case ClockCall::kGetcpu: {
      unsigned cpu = 0, node = 0;
      const int error = CallGetcpu(path, &cpu, &node);
      words[0] = cpu;
      words[1] = node;
      return error;
    }
  }
  __builtin_unreachable();
}

int MakeClockCallAt(ClockCall call, CallPath path, clockid_t id, void* out) {
  switch (call) {
    case ClockCall::kClockGettime:
    case ClockCall::kClockGetres:
      return CallPosixClock(call, path, id, static_cast<timespec*>(out));
    case ClockCall::kGettimeofday:
      return CallGettimeofday(path, static_cast<timeval*>(out));
    case ClockCall::kTime: {
      time_t returned;
      return CallTime(path, static_cast<time_t*>(out), &returned);
    }
    case ClockCall::kGetcpu:
      return CallGetcpu(path, static_cast<unsigned*>(out), nullptr);
  }
  __builtin_unreachable();
}

int64_t FractionUnitNs(ClockCall call) {
  if (call == ClockCall::kGettimeofday) return 1'000;
  return call == ClockCall::kTime || call == ClockCall::kGetcpu ? 0 : 1;
}

bool IsWellFormed(ClockCall call, const CallAnswer& answer) {
  if (call == ClockCall::kGetcpu) return true;
  if (call == ClockCall::kTime) return answer.words[1] == 0;
  const int64_t limit = 1'000'000'000 / FractionUnitNs(call);
  return answer.words[1] >= 0 && answer.words[1] < limit;
}

}  // namespace latchclock
