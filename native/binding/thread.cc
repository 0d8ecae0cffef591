#include "../core/cpu_affinity.h"
#include "../core/current_cpu.h"
#include "arguments.h"
#include "binding.h"

namespace latchclock::binding {
namespace {

Napi::Value CpuAffinity(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<int> cpus;
  if (!Succeeded(env, GetCpuAffinity(&cpus), "cpuAffinity")) return {};
  auto result = Napi::Array::New(env, cpus.size());
  for (size_t i = 0; i < cpus.size(); i++) {
    result.Set(static_cast<uint32_t>(i), Napi::Number::New(env, cpus[i]));
  }
  return result;
}

void ChangeCpuAffinity(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "setCpuAffinity");
  size_t length = 0;
  const uint32_t* words = arguments.Words32(0, "cpus", &length);
  if (!arguments.ok()) return;
  std::vector<int> cpus(length);
  for (size_t i = 0; i < length; i++) cpus[i] = static_cast<int>(words[i]);
  const Outcome outcome = SetCpuAffinity(cpus);
  if (!outcome.ok()) ThrowOutcome(info.Env(), outcome, arguments.function());
}

// isOnCpu(cpu) => whether all that tell say so
Napi::Value IsOnCpu(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "isOnCpu");
  const auto cpu = static_cast<int>(arguments.Integer(0, "cpu", 0, (1 << 16) - 1));
  if (!arguments.ok()) return {};
  Stray stray;
  return Napi::Boolean::New(info.Env(), CurrentCpu().IsOnByAll(cpu, &stray));
}

}  // namespace

void ExportThread(Napi::Env env, Napi::Object exports) {
  exports.Set("cpuAffinity", Napi::Function::New(env, CpuAffinity, "cpuAffinity"));
  exports.Set("isOnCpu", Napi::Function::New(env, IsOnCpu, "isOnCpu"));
  exports.Set("setCpuAffinity", Napi::Function::New(env, ChangeCpuAffinity, "setCpuAffinity"));
}

}  // namespace latchclock::binding
