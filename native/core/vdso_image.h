#pragma once

#include <sys/time.h>
#include <time.h>

#include <cstdint>

namespace latchclock {

// Address of the vDSO's ELF header (auxv AT_SYSINFO_EHDR), 0 if the process has none (vdso=0, some
// sandboxes).
uintptr_t VdsoBase();

// The same, or what the map of the process shows as [vdso] where the auxiliary vector keeps quiet about it,
// as under launchers that hide it from the libc. For looking at memory: no function there is ever called.
uintptr_t MappedVdsoBase();

// Address of a vDSO function as the dynamic linker resolves it, 0 if there is none. The linker is asked,
// rather than an address taken from a caller, so that no input can make this process jump to nowhere.
uintptr_t VdsoSymbol(const char* name, const char* version);

// Each returns 0 or a negative errno, as the kernel's own fallback does, but time, which returns its value;
// null where the vDSO lacks them (gVisor's has no clock_getres).
struct VdsoFunctions {
  int (*clock_gettime)(clockid_t, timespec*);
  int (*clock_getres)(clockid_t, timespec*);
  int (*gettimeofday)(timeval*, void*);
  time_t (*time)(time_t*);
  long (*getcpu)(unsigned*, unsigned*, void*);
};
const VdsoFunctions& GetVdsoFunctions();

}  // namespace latchclock
