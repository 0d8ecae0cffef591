#include "../core/reader_bench.h"

#include <memory>
#include <new>
#include <vector>

#include "arguments.h"
#include "binding.h"
#include "clock_page.h"

namespace latchclock::binding {
namespace {

constexpr int64_t kMostReads = 100'000'000;

// The first six arguments of each function here: subject, protocol, generation, wide, clockId, page | null.
BenchRequest RequestOf(Arguments* arguments) {
  BenchRequest request;
  request.subject = static_cast<BenchSubject>(arguments->Integer(0, "subject", 0, kBenchSubjects - 1));
  request.reader = ReaderKindAt(arguments, 1);
  request.clock.id = static_cast<clockid_t>(arguments->Integer(4, "clockId", INT32_MIN, INT32_MAX));
  arguments->Page(5, "page", &request.clock.page, &request.clock.clock);
  return request;
}

Napi::Object TimingOf(Napi::Env env, const BenchTiming& timing) {
  auto result = Napi::Object::New(env);
  SetCount(result, "cycles", timing.cycles);
  result.Set("span", Napi::BigInt::New(env, timing.span));
  result.Set("advance", Napi::BigInt::New(env, timing.advance));
  return result;
}

// timeReads(subject, protocol, generation, wide, clockId, page | null, chained, reads) => timing
Napi::Value TimeReadsOf(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "timeReads");
  BenchRequest request = RequestOf(&arguments);
  request.chained = arguments.Boolean(6, "chained");
  request.reads = static_cast<uint32_t>(arguments.Integer(7, "reads", 1, kMostReads));
  if (!arguments.ok()) return {};
  BenchTiming timing;
  if (!Succeeded(info.Env(), TimeReads(request, &timing), arguments.function())) return {};
  return TimingOf(info.Env(), timing);
}

// timeSingleReads(subject, protocol, generation, wide, clockId, page | null, cycles)
Napi::Value TimeSingleReadsOf(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "timeSingleReads");
  const BenchRequest request = RequestOf(&arguments);
  size_t count = 0;
  int64_t* cycles = arguments.Words64(6, "cycles", &count);
  if (!arguments.ok()) return {};
  Succeeded(info.Env(), TimeSingleReads(request, cycles, count), arguments.function());
  return {};
}

// timeReadsTogether(subject, protocol, generation, wide, clockId, page | null, cpus, reads) => timings
Napi::Value TimeReadsTogetherOf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info, "timeReadsTogether");
  BenchRequest request = RequestOf(&arguments);
  const std::vector<int> cpus = arguments.Cpus(6, "cpus");
  request.reads = static_cast<uint32_t>(arguments.Integer(7, "reads", 1, kMostReads));
  if (!arguments.ok()) return {};
  std::vector<BenchTiming> timings(cpus.size());
  const Outcome outcome = TimeReadsTogether(request, cpus.data(), cpus.size(), timings.data());
  if (!Succeeded(env, outcome, arguments.function())) return {};
  auto result = Napi::Array::New(env, timings.size());
  for (size_t i = 0; i < timings.size(); i++) result.Set(static_cast<uint32_t>(i), TimingOf(env, timings[i]));
  return result;
}

}  // namespace

void ExportReaderBench(Napi::Env env, Napi::Object exports) {
  exports.Set("timeReads", Napi::Function::New(env, TimeReadsOf, "timeReads"));
  exports.Set("timeSingleReads", Napi::Function::New(env, TimeSingleReadsOf, "timeSingleReads"));
  exports.Set("timeReadsTogether", Napi::Function::New(env, TimeReadsTogetherOf, "timeReadsTogether"));
}

}  // namespace latchclock::binding
