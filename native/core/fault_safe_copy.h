#pragma once

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace latchclock {

// Copies `length` bytes at `address` of this process. Memory that cannot be read gives kMemoryFault, never a
// signal: the kernel does the reading, by write(2) into a pipe. (process_vm_readv refuses [vvar] altogether.)
// The copy is not atomic: a page that changes meanwhile may come out mixed.
Outcome CopyMemory(uintptr_t address, size_t length, uint8_t* out);

}  // namespace latchclock
