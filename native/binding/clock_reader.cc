#include <memory>

#include "../core/reading.h"
#include "arguments.h"
#include "binding.h"
#include "reading_function.h"

namespace latchclock::binding {
namespace {

// A function that reads one clock into a word that JavaScript holds: the fast way, since no value crosses the
// boundary. Everything was checked when the function was made.
struct ClockReader : ReadingInto {
  ClockRequest request;
  CounterMethod method;
};

napi_value ReadInto(napi_env env, napi_callback_info info) {
  const auto& reader = ReaderOf<ClockReader>(env, info);
  PageReading page_reading;
  uint64_t retries = 0;
  const Outcome outcome = Read(reader.request, &page_reading, reader.out, &retries);
  if (__builtin_expect(!outcome.ok(), 0)) ThrowOutcome(Napi::Env(env), outcome, "now");
  return nullptr;
}

napi_value CountInto(napi_env env, napi_callback_info info) {
  const auto& reader = ReaderOf<ClockReader>(env, info);
  *reader.out = static_cast<int64_t>(ReadCounter(reader.method));
  return nullptr;
}

// clockReader(source, clockId, page | null, out) => () => void
Napi::Value MakeClockReader(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "clockReader");
  auto reader = std::make_unique<ClockReader>();
  reader->request.source = static_cast<ReadingSource>(
      arguments.Integer(0, "source", 0, static_cast<int64_t>(ReadingSource::kPage)));
  reader->request.id = static_cast<clockid_t>(arguments.Integer(1, "clockId", INT32_MIN, INT32_MAX));
  arguments.Page(2, "page", &reader->request.page, &reader->request.clock);
  reader->out = arguments.Word64(3, "out");
  if (!arguments.ok()) return {};
  if (!Succeeded(info.Env(), CheckReading(reader->request), arguments.function())) return {};
  return MakeReadingFunction(info.Env(), std::move(reader), info[3], ReadInto, arguments.function());
}

// counterReader(method, out) => () => void
Napi::Value MakeCounterReader(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "counterReader");
  auto reader = std::make_unique<ClockReader>();
  reader->method = static_cast<CounterMethod>(arguments.Integer(0, "method", 0, kCounterMethods - 1));
  reader->out = arguments.Word64(1, "out");
  if (!arguments.ok()) return {};
  if (!Succeeded(info.Env(), CheckCounter(reader->method), arguments.function())) return {};
  return MakeReadingFunction(info.Env(), std::move(reader), info[1], CountInto, arguments.function());
}

}  // namespace

void ExportClockReader(Napi::Env env, Napi::Object exports) {
  exports.Set("clockReader", Napi::Function::New(env, MakeClockReader, "clockReader"));
  exports.Set("counterReader", Napi::Function::New(env, MakeCounterReader, "counterReader"));
}

}  // namespace latchclock::binding
