#include "single_step.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <type_traits>

#ifdef __AVX__
#error "only the registers of SSE are saved and restored"
#endif

// Leaves the caller for the reader in `read` (rdi), and comes back when the reader returns, or when a signal
// handler goes on at StepperLeave. iretq takes instruction pointer, flags and stack pointer at once: nothing
// is pushed onto the reader's stack, below which it may keep words, and a trap flag is in force from the
// reader's first instruction on.
asm(R"(
.text
.globl StepperEnter
.hidden StepperEnter
.type StepperEnter, @function
StepperEnter:
  push %rbx
  push %rbp
  push %r12
  push %r13
  push %r14
  push %r15
  sub $8, %rsp
  mov %rsp, stepper_stack(%rip)
  fxrstor64 144(%rdi)
  mov %ss, %eax
  push %rax
  pushq 120(%rdi)
  pushq 136(%rdi)
  mov %cs, %eax
  push %rax
  pushq 128(%rdi)
  mov 0(%rdi), %r8
  mov 8(%rdi), %r9
  mov 16(%rdi), %r10
  mov 24(%rdi), %r11
  mov 32(%rdi), %r12
  mov 40(%rdi), %r13
  mov 48(%rdi), %r14
  mov 56(%rdi), %r15
  mov 72(%rdi), %rsi
  mov 80(%rdi), %rbp
  mov 88(%rdi), %rbx
  mov 96(%rdi), %rdx
  mov 104(%rdi), %rax
  mov 112(%rdi), %rcx
  mov 64(%rdi), %rdi
  iretq
.size StepperEnter, .-StepperEnter
.globl StepperLeave
.hidden StepperLeave
.type StepperLeave, @function
StepperLeave:
  mov stepper_stack(%rip), %rsp
  cld
  add $8, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  ret
.size StepperLeave, .-StepperLeave
.local stepper_stack
.comm stepper_stack, 8, 8
)");

extern "C" uint64_t StepperEnter(latchclock::SteppedRead* read);
extern "C" void StepperLeave();

namespace latchclock {
namespace {

constexpr uint64_t kTrapFlag = 0x100;
constexpr size_t kSignalStack = 1 << 18;
constexpr uint64_t kCanary = 0x5a5a'c3c3'9696'0f0f;
constexpr uint32_t kTickMilliseconds = 25;
// A read takes microseconds, two signals each.
constexpr uint32_t kEndlessTicks = 8;

static_assert(offsetof(SteppedRead, registers) == 0 && offsetof(SteppedRead, vector) == 144);
static_assert(REG_R8 == 0 && REG_RDI == 8 && REG_RAX == 13 && REG_RSP == 15 && REG_RIP == 16 &&
              REG_EFL == 17);
static_assert(sizeof(ClockSlot) == 8 && std::is_trivially_copyable_v<ClockSlot>);
static_assert(std::is_trivially_copyable_v<SteppedWorld>);
static_assert(offsetof(SteppedWorld, page) == 0 &&
              offsetof(SteppedWorld, counter) == SteppedWorld::kSharedBytes);

SteppedRead live;
alignas(16) uint8_t signal_stack[kSignalStack];
// Volatile: written by signal handlers of this thread.
volatile bool inside, stepping, watching;
volatile Stop stop;
volatile uint64_t run;
volatile uint32_t ticks_of_run;
uint64_t ticked_run;
void (*deadline_passed)();

bool IsReturn(uint64_t address) { return address == reinterpret_cast<uint64_t>(&StepperLeave); }

// Goes on in the caller of StepperEnter once the handler returns.
void Leave(ucontext_t* context, Stop why) {
  auto& registers = context->uc_mcontext.gregs;
  for (int i = 0; i < 18; i++) live.registers[i] = static_cast<uint64_t>(registers[i]);
  memcpy(live.vector, context->uc_mcontext.fpregs, sizeof live.vector);
  live.registers[REG_EFL] &= ~kTrapFlag;
  registers[REG_EFL] &= ~static_cast<int64_t>(kTrapFlag);
  registers[REG_RIP] = static_cast<int64_t>(reinterpret_cast<uint64_t>(&StepperLeave));
  inside = false;
  stop = why;
}

void OnTrap(int, siginfo_t*, void* argument) {
  auto* context = static_cast<ucontext_t*>(argument);
  if (!inside) return;
  const auto address = static_cast<uint64_t>(context->uc_mcontext.gregs[REG_RIP]);
  Leave(context, IsReturn(address) ? Stop::kReturned : Stop::kStepped);
}

// Instruction bytes of a counter reading: rdtsc, or rdtscp.
int CounterInstruction(const uint8_t* code) {
  if (code[0] != 0x0f) return 0;
  if (code[1] == 0x31) return 2;
  return code[1] == 0x01 && code[2] == 0xf9 ? 3 : 0;
}

void OnFault(int signal, siginfo_t* info, void* argument) {
  auto* context = static_cast<ucontext_t*>(argument);
  auto& registers = context->uc_mcontext.gregs;
  // By the kernel and without an address, as a protection fault is: the code can be read then.
  const bool protection = signal == SIGSEGV && info->si_code == SI_KERNEL;
  const int bytes = protection ? CounterInstruction(reinterpret_cast<const uint8_t*>(registers[REG_RIP])) : 0;
  if (inside && watching) {
    const uint64_t offset =
        reinterpret_cast<uint64_t>(info->si_addr) - reinterpret_cast<uint64_t>(&live.world);
    const bool shared =
        signal == SIGSEGV && info->si_code == SEGV_ACCERR && offset < SteppedWorld::kSharedBytes;
    if (bytes != 0 || shared) return Leave(context, Stop::kAccess);
  }
  if (bytes == 0) {
    if (inside) return Leave(context, Stop::kCrashed);
    // Our own: let it happen again, for good.
    ::signal(signal, SIG_DFL);
    return;
  }
  const uint64_t cycles = inside ? live.world.HandCounter() : 0;
  registers[REG_RAX] = static_cast<int64_t>(cycles & UINT32_MAX);
  registers[REG_RDX] = static_cast<int64_t>(cycles >> 32);
  if (bytes == 3) registers[REG_RCX] = 0;
  registers[REG_RIP] += bytes;
  if (!inside) return;
  if (live.world.handed_count == SteppedWorld::kMostHanded) return Leave(context, Stop::kEndless);
  // The instruction faulted before its trap: this is its step.
  if (stepping) Leave(context, Stop::kStepped);
}

void OnTick(int, siginfo_t*, void* argument) {
  if (run != ticked_run || !inside) {
    ticked_run = run;
    ticks_of_run = 0;
    return;
  }
  ticks_of_run = ticks_of_run + 1;
  if (ticks_of_run >= kEndlessTicks) Leave(static_cast<ucontext_t*>(argument), Stop::kEndless);
}

void OnDeadline(int, siginfo_t*, void*) { deadline_passed(); }

bool Handle(int signal, void (*handler)(int, siginfo_t*, void*)) {
  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  // One at a time.
  for (const int other : {SIGPROF, SIGALRM}) sigaddset(&action.sa_mask, other);
  return sigaction(signal, &action, nullptr) == 0;
}

Stop Enter(bool step) {
  run = run + 1;
  stepping = step;
  stop = Stop::kReturned;
  live.registers[REG_EFL] = (live.registers[REG_EFL] & ~kTrapFlag) | (step ? kTrapFlag : 0);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  inside = true;
  const uint64_t result = StepperEnter(&live);
  const bool by_itself = inside;
  inside = false;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (by_itself) {
    live.registers[REG_RAX] = result;
    return Stop::kReturned;
  }
  return stop;
}

// The same without the memory that is shared. Handlers run before it is there again: they must not use it.
Stop Watch(bool step) {
  if (mprotect(&live.world, SteppedWorld::kSharedBytes, PROT_NONE) != 0) return Stop::kCrashed;
  watching = true;
  const Stop why = Enter(step);
  watching = false;
  if (mprotect(&live.world, SteppedWorld::kSharedBytes, PROT_READ | PROT_WRITE) != 0) abort();
  return why;
}

}  // namespace

bool SingleStep::Start(const char** call) {
  stack_t stack{};
  stack.ss_sp = signal_stack;
  stack.ss_size = sizeof signal_stack;
  *call = "sigaltstack";
  if (sigaltstack(&stack, nullptr) != 0) return false;
  *call = "sigaction";
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) {
    if (!Handle(signal, OnFault)) return false;
  }
  if (!Handle(SIGTRAP, OnTrap)) return false;
  *call = "prctl PR_SET_TSC";
  return prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) == 0;
}

void SingleStep::SetDeadline(uint32_t seconds, void (*fatal)()) {
  deadline_passed = fatal;
  Handle(SIGALRM, OnDeadline);
  alarm(seconds);
  // Of the CPU's time: on a busy machine a read may take long by the clock.
  Handle(SIGPROF, OnTick);
  itimerval every{};
  every.it_interval.tv_usec = every.it_value.tv_usec = kTickMilliseconds * 1000;
  setitimer(ITIMER_PROF, &every, nullptr);
}

SteppedRead* SingleStep::Live() { return &live; }

void SingleStep::Begin(ReadFunction<HardwareCounter> read, const ReadLimits& limits) {
  memset(live.registers, 0, sizeof live.registers);
  asm volatile("fxsave64 %0" : "=m"(live.vector));
  memset(live.stack, 0, sizeof live.stack);
  memcpy(live.stack, &kCanary, sizeof kCanary);
  live.return_address = reinterpret_cast<uint64_t>(&StepperLeave);
  live.retries_argument = &live.retries;
  live.reading = {};
  live.reading.ns = kNoValue;
  live.retries = 0;
  live.limits = limits;
  live.world.BeginRead();
  constexpr ClockSlot kSlot = kClockSlots[1];  // monotonic
  // System V ABI, AMD64, 3.2.3: a structure of eight bytes is one register; the stack is aligned before the
  // call.
  const auto word = [](const void* at) { return reinterpret_cast<uint64_t>(at); };
  live.registers[REG_RDI] = word(live.world.page);
  memcpy(&live.registers[REG_RSI], &kSlot, sizeof kSlot);
  live.registers[REG_RDX] = word(&live.world.generation);
  live.registers[REG_RCX] = word(&live.counter);
  live.registers[REG_R8] = word(&live.limits);
  live.registers[REG_R9] = word(&live.reading);
  live.registers[REG_RSP] = word(&live.return_address);
  live.registers[REG_RIP] = reinterpret_cast<uint64_t>(read);
  live.registers[REG_EFL] = 0x202;
}

Stop SingleStep::Step() { return Enter(true); }

Stop SingleStep::RunFree() { return Enter(false); }

Stop SingleStep::RunToAccess() { return Watch(false); }

bool SingleStep::IsAtAccess() {
  const SteppedRead before = live;
  const bool access = Watch(true) == Stop::kAccess;
  live = before;
  return access;
}

bool SingleStep::IsIntact() {
  return memcmp(live.stack, &kCanary, sizeof kCanary) == 0 &&
         live.return_address == reinterpret_cast<uint64_t>(&StepperLeave);
}

}  // namespace latchclock
