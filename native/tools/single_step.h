#pragma once

#include <cstddef>
#include <cstdint>

#include "clock_page_reader.h"
#include "stepped_world.h"

namespace latchclock {

inline constexpr int64_t kNoValue = INT64_MIN;

// A read in the middle of itself: the registers, its stack and all else that it can write, and the world that
// it reads. Saved and restored by copying it.
struct SteppedRead {
  static constexpr size_t kStackBytes = 1024;

  // As the kernel gives them to a signal handler: <sys/ucontext.h>, REG_R8 to REG_EFL.
  uint64_t registers[18];
  alignas(16) uint8_t vector[512];  // fxsave64
  alignas(16) uint8_t stack[kStackBytes];
  // Above the stack: the return address, and the one argument that the registers have no room for.
  alignas(16) uint64_t unused;
  uint64_t return_address;
  uint64_t* retries_argument;
  ClockReading reading;
  uint64_t retries;
  ReadLimits limits;
  HardwareCounter counter;
  SteppedWorld world;
};

// Why a reader stopped.
enum class Stop {
  kStepped,   // before its next instruction
  kAccess,    // before an instruction that loads what it shares with others, or reads the counter
  kReturned,  // `end` says how
  kCrashed,   // by a signal that the counter does not explain
  kEndless,   // it goes on and on
};

// Runs a reader in this thread, by the trap flag one instruction at a time or freely, with `rdtsc` and
// `rdtscp` answered by the world. There is one, since signal handlers are one for a process.
class SingleStep {
 public:
  // False with errno, and the call that failed.
  static bool Start(const char** call);
  // For good: `fatal` is called from a signal handler once the deadline is over.
  static void SetDeadline(uint32_t seconds, void (*fatal)());

  // The read that is under way.
  static SteppedRead* Live();
  // Puts a read of `read` at its first instruction.
  static void Begin(ReadFunction<HardwareCounter> read, const ReadLimits& limits);
  static Stop Step();
  static Stop RunFree();
  // On to the next access, at once if the next instruction is one.
  static Stop RunToAccess();
  // Whether the next instruction is an access.
  static bool IsAtAccess();
  static uint64_t Address() { return Live()->registers[16]; }
  static ReadEnd End() { return static_cast<ReadEnd>(static_cast<uint32_t>(Live()->registers[13])); }
  // Whether the stack and the words beside it are as a reader leaves them.
  static bool IsIntact();
};

}  // namespace latchclock
