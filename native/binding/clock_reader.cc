#include <memory>

#include "../core/reading.h"
#include "arguments.h"
#include "binding.h"

namespace latchclock::binding {
namespace {

// A function that reads one clock into a word that JavaScript holds: the fast way, since no value crosses the
// boundary. Everything was checked when the function was made.
struct ClockReader {
  ClockRequest request;
  CounterMethod method;
  int64_t* out;
  napi_ref buffer;  // keeps the memory behind `out`
};

// The raw interface: wrappers that build a CallbackInfo cost as much as the reading.
napi_value ReadInto(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  const auto* reader = static_cast<const ClockReader*>(data);
  PageReading page_reading;
  uint64_t retries = 0;
  const Outcome outcome = Read(reader->request, &page_reading, reader->out, &retries);
  if (__builtin_expect(!outcome.ok(), 0)) ThrowOutcome(Napi::Env(env), outcome, "now");
  return nullptr;
}

napi_value CountInto(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  const auto* reader = static_cast<const ClockReader*>(data);
  *reader->out = static_cast<int64_t>(ReadCounter(reader->method));
  return nullptr;
}

void Release(napi_env env, void* data, void*) {
  auto* reader = static_cast<ClockReader*>(data);
  napi_delete_reference(env, reader->buffer);
  delete reader;
}

// The function, owning `reader`; an exception is pending if it could not be made.
Napi::Value MakeFunction(Napi::Env env, std::unique_ptr<ClockReader> reader, const Napi::Value& out,
                         napi_callback call) {
  napi_value function = nullptr;
  if (napi_create_reference(env, out, 1, &reader->buffer) != napi_ok) {
    ThrowError(env, "ERR_BAD_ARGUMENT", "the buffer cannot be kept", "clockReader");
    return {};
  }
  if (napi_create_function(env, "read", NAPI_AUTO_LENGTH, call, reader.get(), &function) != napi_ok ||
      napi_add_finalizer(env, function, reader.get(), Release, nullptr, nullptr) != napi_ok) {
    napi_delete_reference(env, reader->buffer);
    ThrowError(env, "ERR_BAD_ARGUMENT", "the function cannot be made", "clockReader");
    return {};
  }
  reader.release();
  return {env, function};
}

// clockReader(source, clockId, page | null, out) => () => void
Napi::Value MakeClockReader(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "clockReader");
  auto reader = std::make_unique<ClockReader>();
  reader->request.source = static_cast<ReadingSource>(
      arguments.Integer(0, "source", 0, static_cast<int64_t>(ReadingSource::kPage)));
  reader->request.id = static_cast<clockid_t>(arguments.Integer(1, "clockId", INT32_MIN, INT32_MAX));
  arguments.Page(2, "page", &reader->request.page, &reader->request.clock);
  size_t length = 0;
  reader->out = arguments.Words64(3, "out", &length);
  if (!arguments.ok()) return {};
  if (length == 0) {
    ThrowError(info.Env(), "ERR_BAD_ARGUMENT", "the argument out is empty", arguments.function());
    return {};
  }
  if (!Succeeded(info.Env(), CheckReading(reader->request), arguments.function())) return {};
  return MakeFunction(info.Env(), std::move(reader), info[3], ReadInto);
}

// counterReader(method, out) => () => void
Napi::Value MakeCounterReader(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "counterReader");
  auto reader = std::make_unique<ClockReader>();
  reader->method = static_cast<CounterMethod>(arguments.Integer(0, "method", 0, kCounterMethods - 1));
  size_t length = 0;
  reader->out = arguments.Words64(1, "out", &length);
  if (!arguments.ok()) return {};
  if (length == 0) {
    ThrowError(info.Env(), "ERR_BAD_ARGUMENT", "the argument out is empty", arguments.function());
    return {};
  }
  if (!Succeeded(info.Env(), CheckCounter(reader->method), arguments.function())) return {};
  return MakeFunction(info.Env(), std::move(reader), info[1], CountInto);
}

}  // namespace

void ExportClockReader(Napi::Env env, Napi::Object exports) {
  exports.Set("clockReader", Napi::Function::New(env, MakeClockReader, "clockReader"));
  exports.Set("counterReader", Napi::Function::New(env, MakeCounterReader, "counterReader"));
}

}  // namespace latchclock::binding
