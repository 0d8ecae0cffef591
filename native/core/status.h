#pragma once

namespace latchclock {

// What became of a request to the core. The core neither throws nor prints: every failure is one of these.
enum class Status {
  kOk,
  kBadArgument,
  kCounterDisabled,     // reading the counter would raise SIGSEGV in this thread
  kCounterUnsupported,  // the CPU, or a supervisor that traps CPUID, lacks the instruction
  kNoVdso,              // the process has no vDSO, or the vDSO lacks the symbol
  kSystemCall,          // a system call failed: see the errno beside
  kMemoryFault,         // the memory asked for cannot be read
  kRetries,             // a bounded loop ran out
  kOutOfWindow,         // the counter is in no window of the page
  kDisrupted,           // the page was computed for another generation of the counter
  kUnpublished,         // the page holds no clock: nothing was published yet, or its file was cut short
  kUnusable,            // the page says that its clock is not to be used
  kPageLost,            // the file behind the page was cut short
  kOtherClocksource,    // the kernel's page does not, or no longer, count by the counter
  kTooManyPages,        // no more files can be watched against being cut short
};

// A status with the errno and the name of the call that failed, if it was one.
struct Outcome {
  Status status = Status::kOk;
  int error_number = 0;
  const char* call = "";

  bool ok() const { return status == Status::kOk; }
  static Outcome Failed(Status status) { return {status, 0, ""}; }
  static Outcome FailedCall(const char* call, int error_number) {
    return {Status::kSystemCall, error_number, call};
  }
};

}  // namespace latchclock
