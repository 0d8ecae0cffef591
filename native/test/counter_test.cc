#include "../core/counter.h"

#include <asm/prctl.h>
#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "../core/bracket.h"
#include "../core/cpu_affinity.h"
#include "../core/fast_path_probe.h"
#include "../core/posix_clock.h"
#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

constexpr CounterMethod kMethods[] = {CounterMethod::kRdtsc, CounterMethod::kFencedRdtsc,
                                      CounterMethod::kRdtscp};

// The first test that asks about rdtscp, since an answer may be kept for the process.
TEST("a thread whose CPUID traps is told so, and spoils nothing for the other threads") {
  bool pretended = false;
  Outcome cpuid, rdtscp;
  uint32_t registers[4] = {1, 2, 3, 4};
  RunInThread([&] {
    // To ARCH_GET_CPUID an answer of 0 means that CPUID traps. The CPU itself may be unable to.
    pretended = AnswerInKernelsPlace(SYS_arch_prctl, 0);
    if (!pretended) return;
    cpuid = ReadCpuid(0, 0, registers);
    rdtscp = CheckCounter(CounterMethod::kRdtscp);
  });
  if (!pretended) SKIP("seccomp filters are not allowed here");
  CHECK_EQ(cpuid.status, Status::kCounterUnsupported);
  CHECK_EQ(rdtscp.status, Status::kCounterUnsupported);
  CHECK(registers[0] == 1 && registers[3] == 4);
  if (!CHECK(ReadCpuid(0x80000001u, 0, registers).ok())) return;
  const bool has_rdtscp = (registers[3] & (1u << 27)) != 0;
  CHECK_EQ(CheckCounter(CounterMethod::kRdtscp).ok(), has_rdtscp);
}

TEST("with ARCH_SET_CPUID off, CPUID is refused and not run into") {
  int error = 0;
  Outcome outcome;
  RunInThread([&] {
    error = syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) == 0 ? 0 : errno;
    uint32_t registers[4];
    outcome = ReadCpuid(0, 0, registers);
    if (error == 0) syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
  });
  if (error != 0) SKIP(std::string("this CPU or kernel cannot trap CPUID: ") + strerror(error));
  CHECK_EQ(outcome.status, Status::kCounterUnsupported);
}

TEST("CPUID leaf 0 names the vendor that the kernel names") {
  uint32_t registers[4] = {};
  if (!ReadCpuid(0, 0, registers).ok()) SKIP("CPUID traps in this thread");
  char vendor[13] = {};
  memcpy(vendor, &registers[1], 4);
  memcpy(vendor + 4, &registers[3], 4);
  memcpy(vendor + 8, &registers[2], 4);
  CHECK(registers[0] >= 1);
  const std::string expected = ProcField("/proc/cpuinfo", "vendor_id");
  if (expected.empty()) SKIP("/proc/cpuinfo names no vendor");
  CHECK_EQ(std::string(vendor), expected);
}

TEST("CPUID subleaves are told apart") {
  uint32_t registers[4] = {};
  if (!ReadCpuid(0, 0, registers).ok()) SKIP("CPUID traps in this thread");
  if (registers[0] < 0xd) SKIP("this CPU has no leaf with subleaves that are known to differ");
  uint32_t first[4], second[4];
  CHECK(ReadCpuid(0xd, 0, first).ok() && ReadCpuid(0xd, 1, second).ok());
  if (memcmp(first, second, sizeof first) == 0) CHECK_EQ(first[0], 0);  // leaf 0xd hidden
}

TEST("fenced readings never go back on one CPU, by either way, and time passes between them") {
  std::vector<int> cpus;
  CHECK(GetCpuAffinity(&cpus).ok());
  const bool has_rdtscp = CheckCounter(CounterMethod::kRdtscp).ok();
  for (const int cpu : cpus) {
    Outcome pinned;
    uint64_t back = 0, first = 0, last = 0;
    RunInThread([&] {
      pinned = SetCpuAffinity({cpu});
      if (!pinned.ok() || !CheckCounter(CounterMethod::kFencedRdtsc).ok()) return;
      first = last = FencedRdtsc();
      for (int i = 0; i < 300'000; i++) {
        const uint64_t now = has_rdtscp && i % 2 == 0 ? Rdtscp().cycles : FencedRdtsc();
        back += now < last;
        last = now;
      }
    });
    CHECK(pinned.ok());
    CHECK_EQ(back, 0);
    CHECK(last > first);
    if (&cpu - cpus.data() >= 8) break;  // enough of a large machine
  }
}

TEST("every method reads the one counter") {
  RunInThread([&] {
    std::vector<int> cpus;
    if (GetCpuAffinity(&cpus).ok()) SetCpuAffinity({cpus.front()});
    for (const CounterMethod method : kMethods) {
      if (!CheckCounter(method).ok()) continue;
      for (int i = 0; i < 1000; i++) {
        const uint64_t before = FencedRdtsc();
        _mm_lfence();  // an unfenced reading may otherwise run ahead
        const uint64_t reading = ReadCounter(method);
        const uint64_t after = FencedRdtsc();
        if (!CHECK(before <= reading && reading <= after)) break;
      }
    }
  });
}

TEST("rdtscp names the CPU that the thread is pinned to") {
  if (!CheckCounter(CounterMethod::kRdtscp).ok()) SKIP("this CPU has no rdtscp");
  std::vector<int> cpus;
  CHECK(GetCpuAffinity(&cpus).ok());
  for (const int cpu : cpus) {
    Outcome pinned;
    uint32_t named = 0;
    RunInThread([&] {
      pinned = SetCpuAffinity({cpu});
      named = Rdtscp().aux & 0xfff;
    });
    CHECK(pinned.ok());
    CHECK_EQ(named, cpu);
  }
}

TEST("a thread may read the counter by default") {
  CHECK_EQ(CounterStateOfThread(), CounterState::kEnabled);
  CHECK(CheckCounter(CounterMethod::kRdtsc).ok());
  CHECK(CheckCounter(CounterMethod::kFencedRdtsc).ok());
}

TEST("a thread that may not read the counter is told so by everything that would") {
  struct {
    bool disabled = false;
    CounterState state = CounterState::kUnknown;
    Outcome counter[kCounterMethods], path[kClockPaths], bracket, probe;
    int syscall_error = -1;
    timespec time = {};
    CounterState state_afterwards = CounterState::kUnknown;
  } seen;
  RunInThread([&] {
    // Between the two calls of prctl this thread would die of any clock read through the vDSO.
    seen.disabled = prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) == 0;
    if (!seen.disabled) return;
    seen.state = CounterStateOfThread();
    for (const CounterMethod method : kMethods) {
      seen.counter[static_cast<uint32_t>(method)] = CheckCounter(method);
    }
    for (uint32_t path = 0; path < kClockPaths; path++) {
      seen.path[path] = CheckClockPath(static_cast<ClockPath>(path));
    }
    BracketRequest request = {};
    request.outer = request.inner = ReadingSource::kSyscall;
    request.id = CLOCK_MONOTONIC;
    request.count = request.row_every = 1;
    BracketTally tally;
    seen.bracket = RunBracket(request, &tally);
    FastPathCount clock = {CLOCK_MONOTONIC};
    seen.probe = ProbeFastPath(&clock, 1, 1);
    seen.syscall_error = ClockGettime(ClockPath::kSyscall, CLOCK_MONOTONIC, &seen.time);
    prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0);
    seen.state_afterwards = CounterStateOfThread();
  });
  if (!seen.disabled) SKIP("this kernel does not let a thread disable its counter");
  CHECK_EQ(seen.state, CounterState::kDisabled);
  for (const Outcome& outcome : seen.counter) CHECK_EQ(outcome.status, Status::kCounterDisabled);
  const bool has_vdso = CheckClockPath(ClockPath::kVdso).ok();
  const auto path_status = [&](ClockPath path) { return seen.path[static_cast<uint32_t>(path)].status; };
  CHECK_EQ(path_status(ClockPath::kVdso), has_vdso ? Status::kCounterDisabled : Status::kNoVdso);
  CHECK_EQ(path_status(ClockPath::kLibc), Status::kCounterDisabled);
  CHECK_EQ(path_status(ClockPath::kSyscall), Status::kOk);
  CHECK_EQ(seen.bracket.status, Status::kCounterDisabled);
  CHECK_EQ(seen.probe.status, has_vdso ? Status::kCounterDisabled : Status::kNoVdso);
  CHECK_EQ(seen.syscall_error, 0);
  CHECK(seen.time.tv_sec > 0 || seen.time.tv_nsec > 0);
  CHECK_EQ(seen.state_afterwards, CounterState::kEnabled);
}

}  // namespace
}  // namespace latchclock::test
