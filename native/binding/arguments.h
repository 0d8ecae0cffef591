#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "../core/kernel_page.h"

namespace latchclock::binding {

// Takes the arguments of one call apart. The first that does not fit raises ERR_BAD_ARGUMENT naming the
// function and the argument; after that every further request answers with zero, and ok() is false.
class Arguments {
 public:
  Arguments(const Napi::CallbackInfo& info, const char* function) : info_(info), function_(function) {}

  bool ok() const { return ok_; }
  const char* function() const { return function_; }

  // A whole number from `least` to `most`.
  int64_t Integer(size_t index, const char* name, int64_t least, int64_t most);
  uint64_t Unsigned64(size_t index, const char* name);  // a bigint
  std::string String(size_t index, const char* name);
  // The words of a BigInt64Array, Uint32Array; the length in elements. Valid during the call.
  int64_t* Words64(size_t index, const char* name, size_t* length);
  uint32_t* Words32(size_t index, const char* name, size_t* length);
  // The first word of a BigInt64Array that has one.
  int64_t* Word64(size_t index, const char* name);
  // The bytes of a Uint8Array of exactly `length`.
  const uint8_t* Bytes(size_t index, const char* name, size_t length);
  bool Boolean(size_t index, const char* name);
  // A list of CPUs as a Uint32Array, not empty.
  std::vector<int> Cpus(size_t index, const char* name);
  // An object as lib/native/addon.ts declares PageClock, or null: then `page` is null. Checked to lie inside
  // a readable page of the kernel's.
  void Page(size_t index, const char* name, const uint8_t** page, PageClock* clock);

 private:
  void Refuse(const char* name, const char* expected);
  Napi::Value At(size_t index) const { return info_[index]; }

  const Napi::CallbackInfo& info_;
  const char* function_;
  bool ok_ = true;
};

}  // namespace latchclock::binding
