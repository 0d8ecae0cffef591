#include "../core/latch_stress.h"

#include <vector>

#include "binding.h"
#include "clock_page.h"

namespace latchclock::binding {
namespace {

// Ten seconds of a 3 GHz counter: no call holds its thread for longer.
constexpr int64_t kMostCycles = 30'000'000'000;

// latchStress(protocol, generation, wide, hazard, cpus, mostCycles, windowCycles, stallCycles, kills, seed,
//             latencies) => tally
Napi::Value LatchStress(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info, "latchStress");
  StressRequest request;
  request.reader = ReaderKindAt(&arguments, 0);
  request.hazard = static_cast<StressHazard>(arguments.Integer(3, "hazard", 0, kStressHazards - 1));
  const std::vector<int> cpus = arguments.Cpus(4, "cpus");
  request.most_cycles = static_cast<uint64_t>(arguments.Integer(5, "mostCycles", 1, kMostCycles));
  request.window_cycles =
      static_cast<uint64_t>(arguments.Integer(6, "windowCycles", 1 << 17, int64_t{1} << 39));
  request.stall_cycles = static_cast<uint64_t>(arguments.Integer(7, "stallCycles", 0, kMostCycles));
  request.kills = static_cast<uint32_t>(arguments.Integer(8, "kills", 0, 1'000'000));
  request.seed = arguments.Unsigned64(9, "seed");
  size_t buckets = 0;
  int64_t* latencies = arguments.Words64(10, "latencies", &buckets);
  if (!arguments.ok()) return {};
  if (buckets != 0 && buckets != kLatencyBuckets) {
    ThrowError(env, "ERR_BAD_ARGUMENT", "the argument latencies has another number of buckets",
               arguments.function());
    return {};
  }
  if (buckets != 0) request.latencies = reinterpret_cast<uint64_t*>(latencies);
  request.cpus = cpus.data();
  request.cpu_count = cpus.size();

  StressTally tally;
  if (!Succeeded(env, RunStress(request, &tally), arguments.function())) return {};
  auto result = Napi::Object::New(env);
  SetCount(result, "reads", tally.reads);
  SetCount(result, "values", tally.values);
  SetCount(result, "outOfWindow", tally.out_of_window);
  SetCount(result, "ranOut", tally.ran_out);
  SetCount(result, "refusedOtherwise", tally.refused_otherwise);
  SetCount(result, "retries", tally.retries);
  SetCount(result, "waited", tally.waited);
  SetCount(result, "updates", tally.updates);
  SetCount(result, "kills", tally.kills);
  SetCount(result, "killedInside", tally.killed_inside);
  SetCount(result, "torn", tally.torn);
  SetCount(result, "missing", tally.missing);
  SetCount(result, "outside", tally.outside);
  SetCount(result, "backwards", tally.backwards);
  SetCount(result, "worstBackNs", tally.worst_back_ns);
  SetCount(result, "longestCycles", tally.longest);
  return result;
}

}  // namespace

void ExportLatchStress(Napi::Env env, Napi::Object exports) {
  exports.Set("latchStress", Napi::Function::New(env, LatchStress, "latchStress"));
}

}  // namespace latchclock::binding
