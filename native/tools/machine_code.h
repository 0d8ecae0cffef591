#pragma once

#include <cstddef>
#include <cstdint>

namespace latchclock {

// The bytes of a compiled function.
struct CodeRange {
  const uint8_t* start = nullptr;
  size_t bytes = 0;

  bool Has(uint64_t address) const { return address - reinterpret_cast<uint64_t>(start) < bytes; }
};

// The function that has `address`, by the unwind table, which a stripped program has too. Empty if none has.
CodeRange FunctionAt(uint64_t address);

inline constexpr uint64_t kFnvBasis = 0xcbf29ce484222325;

// FNV-1a, 64 bits: draft-eastlake-fnv, 2.
inline uint64_t Fnv1a(uint64_t hash, const CodeRange& code) {
  for (size_t i = 0; i < code.bytes; i++) hash = (hash ^ code.start[i]) * 0x100000001b3;
  return hash;
}

}  // namespace latchclock
