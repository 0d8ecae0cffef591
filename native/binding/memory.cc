#include "../core/fault_safe_copy.h"
#include "../core/vdso_image.h"
#include "arguments.h"
#include "binding.h"

namespace latchclock::binding {
namespace {

constexpr int64_t kMostBytes = 1 << 20;

Napi::Value AddressOrNull(Napi::Env env, uintptr_t address) {
  if (address == 0) return env.Null();
  return Napi::BigInt::New(env, static_cast<uint64_t>(address));
}

Napi::Value VdsoBaseAddress(const Napi::CallbackInfo& info) { return AddressOrNull(info.Env(), VdsoBase()); }

Napi::Value VdsoSymbolAddress(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "vdsoSymbol");
  const std::string name = arguments.String(0, "name");
  const std::string version = arguments.String(1, "version");
  if (!arguments.ok()) return {};
  return AddressOrNull(info.Env(), VdsoSymbol(name.c_str(), version.c_str()));
}

Napi::Value Copy(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "copyMemory");
  const uint64_t address = arguments.Unsigned64(0, "address");
  const int64_t length = arguments.Integer(1, "length", 1, kMostBytes);
  if (!arguments.ok()) return {};
  auto bytes = Napi::Uint8Array::New(info.Env(), static_cast<size_t>(length));
  if (bytes.IsEmpty()) return {};
  if (!Succeeded(info.Env(), CopyMemory(address, static_cast<size_t>(length), bytes.Data()),
                 arguments.function()))
    return {};
  return bytes;
}

}  // namespace

void ExportMemory(Napi::Env env, Napi::Object exports) {
  exports.Set("vdsoBase", Napi::Function::New(env, VdsoBaseAddress, "vdsoBase"));
  exports.Set("vdsoSymbol", Napi::Function::New(env, VdsoSymbolAddress, "vdsoSymbol"));
  exports.Set("copyMemory", Napi::Function::New(env, Copy, "copyMemory"));
}

}  // namespace latchclock::binding
