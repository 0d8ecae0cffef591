#include "../core/lock_step.h"

#include <vector>

#include "../core/ping_pong.h"
#include "arguments.h"
#include "binding.h"

namespace latchclock::binding {
namespace {

constexpr int64_t kMostCpu = (1 << 16) - 1;
// Half a minute of a 3 GHz counter: no call holds its thread for longer.
constexpr int64_t kMostCycles = 100'000'000'000;

// Threads that were not where they were sent: { looks, astray, asked, seen }.
Napi::Object StrayObject(Napi::Env env, const Stray& stray) {
  auto result = Napi::Object::New(env);
  SetCount(result, "looks", stray.looks);
  SetCount(result, "astray", stray.astray);
  result.Set("asked", Napi::Number::New(env, stray.asked));
  result.Set("seen", Napi::Number::New(env, stray.seen));
  return result;
}

// lockStep(source, clockId, page | null, cpus, reads, mostCycles) => tally
Napi::Value LockStep(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info, "lockStep");
  LockStepRequest request = {};
  request.clock.source = static_cast<ReadingSource>(arguments.Integer(0, "source", 0, kReadingSources - 1));
  request.clock.id = static_cast<clockid_t>(arguments.Integer(1, "clockId", INT32_MIN, INT32_MAX));
  arguments.Page(2, "page", &request.clock.page, &request.clock.clock);
  const std::vector<int> cpus = arguments.Cpus(3, "cpus");
  request.reads = static_cast<uint64_t>(arguments.Integer(4, "reads", 1, 1'000'000'000));
  request.most_cycles = static_cast<uint64_t>(arguments.Integer(5, "mostCycles", 1, kMostCycles));
  if (!arguments.ok()) return {};
  request.cpus = cpus.data();
  request.cpu_count = cpus.size();

  LockStepTally tally;
  if (!Succeeded(env, RunLockStep(request, &tally), arguments.function())) return {};
  auto result = Napi::Object::New(env);
  SetCount(result, "reads", tally.reads);
  SetCount(result, "handOvers", tally.hand_overs);
  SetCount(result, "backwards", tally.backwards);
  SetCount(result, "worst", tally.worst);
  SetCount(result, "backwardsAcrossUpdate", tally.backwards_across_update);
  SetCount(result, "worstAcrossUpdate", tally.worst_across_update);
  result.Set("smallestStep", tally.smallest_step == ~uint64_t{0}
                                 ? env.Null()
                                 : Napi::Number::New(env, static_cast<double>(tally.smallest_step)));
  result.Set("stray", StrayObject(env, tally.stray));
  return result;
}

// pingPong(cpuHere, cpuThere, rounds, mostCycles) => offset
Napi::Value PingPong(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info, "pingPong");
  const auto here = static_cast<int>(arguments.Integer(0, "cpuHere", 0, kMostCpu));
  const auto there = static_cast<int>(arguments.Integer(1, "cpuThere", 0, kMostCpu));
  const auto rounds = static_cast<uint64_t>(arguments.Integer(2, "rounds", 1, 1'000'000'000));
  const auto most_cycles = static_cast<uint64_t>(arguments.Integer(3, "mostCycles", 1, kMostCycles));
  if (!arguments.ok()) return {};
  CounterOffset offset;
  if (!Succeeded(env, RunPingPong(here, there, rounds, most_cycles, &offset), arguments.function()))
    return {};
  auto result = Napi::Object::New(env);
  result.Set("lowest", Napi::BigInt::New(env, offset.lowest));
  result.Set("highest", Napi::BigInt::New(env, offset.highest));
  result.Set("rounds", Napi::Number::New(env, static_cast<double>(offset.rounds)));
  result.Set("bestRoundTrip", Napi::BigInt::New(env, offset.best_round_trip));
  result.Set("stray", StrayObject(env, offset.stray));
  return result;
}

}  // namespace

void ExportLockStep(Napi::Env env, Napi::Object exports) {
  exports.Set("lockStep", Napi::Function::New(env, LockStep, "lockStep"));
  exports.Set("pingPong", Napi::Function::New(env, PingPong, "pingPong"));
}

}  // namespace latchclock::binding
