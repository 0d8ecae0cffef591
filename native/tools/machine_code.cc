#include "machine_code.h"

#include <cstring>

// Of libgcc; no header has it.
extern "C" {
struct dwarf_eh_bases {
  void* text_base;
  void* data_base;
  void* function;
};
const void* _Unwind_Find_FDE(void* address, dwarf_eh_bases* bases);
}

namespace latchclock {

CodeRange FunctionAt(uint64_t address) {
  dwarf_eh_bases bases{};
  const auto* entry = static_cast<const uint8_t*>(_Unwind_Find_FDE(reinterpret_cast<void*>(address), &bases));
  if (entry == nullptr) return {};
  // Length, offset of the common entry, start, length of the function: 32 bits each, since on x86-64 both GCC
  // and Clang encode addresses as DW_EH_PE_pcrel | DW_EH_PE_sdata4.
  uint32_t bytes;
  memcpy(&bytes, entry + 12, sizeof bytes);
  const CodeRange range{static_cast<const uint8_t*>(bases.function), bytes};
  return range.Has(address) ? range : CodeRange{};
}

}  // namespace latchclock
