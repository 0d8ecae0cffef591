#include "../core/counter.h"

#include "arguments.h"
#include "binding.h"

namespace latchclock::binding {
namespace {

Napi::Value CounterStateName(const Napi::CallbackInfo& info) {
  switch (CounterStateOfThread()) {
    case CounterState::kEnabled:
      return Napi::String::New(info.Env(), "enabled");
    case CounterState::kDisabled:
      return Napi::String::New(info.Env(), "disabled");
    case CounterState::kUnknown:
      break;
  }
  return Napi::String::New(info.Env(), "unknown");
}

Napi::Value Cpuid(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "cpuid");
  const auto leaf = static_cast<uint32_t>(arguments.Integer(0, "leaf", 0, 0xffffffff));
  const auto subleaf = static_cast<uint32_t>(arguments.Integer(1, "subleaf", 0, 0xffffffff));
  if (!arguments.ok()) return {};
  auto registers = Napi::Uint32Array::New(info.Env(), 4);
  if (registers.IsEmpty()) return {};
  if (!Succeeded(info.Env(), ReadCpuid(leaf, subleaf, registers.Data()), arguments.function())) return {};
  return registers;
}

// The method argument, checked to be usable in this thread now.
bool UsableMethod(const Napi::CallbackInfo& info, Arguments* arguments, CounterMethod* method) {
  *method = static_cast<CounterMethod>(arguments->Integer(0, "method", 0, kCounterMethods - 1));
  if (!arguments->ok()) return false;
  const Outcome usable = CheckCounter(*method);
  if (!usable.ok()) ThrowOutcome(info.Env(), usable, arguments->function());
  return usable.ok();
}

Napi::Value ReadCounterOnce(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "readCounter");
  CounterMethod method;
  if (!UsableMethod(info, &arguments, &method)) return {};
  return Napi::BigInt::New(info.Env(), ReadCounter(method));
}

// Bulk readings into a BigInt64Array, and with `rdtscp` the TSC_AUX of each into a Uint32Array beside it.
void ReadCounters(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "readCounters");
  CounterMethod method;
  if (!UsableMethod(info, &arguments, &method)) return;
  size_t length = 0;
  int64_t* cycles = arguments.Words64(1, "cycles", &length);
  uint32_t* aux = nullptr;
  size_t aux_length = length;
  if (!info[2].IsUndefined()) aux = arguments.Words32(2, "aux", &aux_length);
  if (!arguments.ok()) return;
  if (aux_length != length || (aux != nullptr && method != CounterMethod::kRdtscp)) {
    ThrowError(info.Env(), "ERR_BAD_ARGUMENT", "aux is of another length, or the method is not rdtscp",
               arguments.function());
    return;
  }
  if (aux != nullptr) {
    for (size_t i = 0; i < length; i++) {
      const CounterAndAux reading = Rdtscp();
      cycles[i] = static_cast<int64_t>(reading.cycles);
      aux[i] = reading.aux;
    }
    return;
  }
  for (size_t i = 0; i < length; i++) cycles[i] = static_cast<int64_t>(ReadCounter(method));
}

}  // namespace

void ExportCounter(Napi::Env env, Napi::Object exports) {
  exports.Set("counterState", Napi::Function::New(env, CounterStateName, "counterState"));
  exports.Set("cpuid", Napi::Function::New(env, Cpuid, "cpuid"));
  exports.Set("readCounter", Napi::Function::New(env, ReadCounterOnce, "readCounter"));
  exports.Set("readCounters", Napi::Function::New(env, ReadCounters, "readCounters"));
}

}  // namespace latchclock::binding
