#pragma once

#include <time.h>

#include <cstdint>

namespace latchclock {

// Address of the vDSO's ELF header (auxv AT_SYSINFO_EHDR), 0 if the process has none (vdso=0, some
// sandboxes).
uintptr_t VdsoBase();

// Address of a vDSO function as the dynamic linker resolves it, 0 if there is none. The linker is asked,
// rather than an address taken from a caller, so that no input can make this process jump to nowhere.
uintptr_t VdsoSymbol(const char* name, const char* version);

// Both return 0 or a negative errno, as the kernel's own fallback does; null where the vDSO lacks them.
struct VdsoFunctions {
  int (*clock_gettime)(clockid_t, timespec*);
  int (*clock_getres)(clockid_t, timespec*);
};
const VdsoFunctions& GetVdsoFunctions();

}  // namespace latchclock
