#include "../core/page_recorder.h"

#include <cstring>
#include <limits>

#include "arguments.h"
#include "binding.h"

namespace latchclock::binding {
namespace {

// Keeps the recorder's thread from outliving the object: the destructor joins it, also when its environment
// (a worker that is terminated) goes down.
class Recorder : public Napi::ObjectWrap<Recorder> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "PageRecorder",
                       {
                           InstanceMethod<&Recorder::Captured>("captured"),
                           InstanceMethod<&Recorder::IsRecording>("isRecording"),
                           InstanceMethod<&Recorder::Stop>("stop"),
                       });
  }

  // new PageRecorder(page, bytes, capacity, mostCycles): records from now on
  explicit Recorder(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Recorder>(info) {
    // Not wrapped, since the environment goes down: nobody would end the thread.
    if (Value().IsEmpty()) return;
    Arguments arguments(info, "PageRecorder");
    const uint8_t* page = nullptr;
    PageClock clock;
    arguments.Page(0, "page", &page, &clock);
    const auto bytes = static_cast<uint32_t>(arguments.Integer(1, "bytes", 8, kPageSize));
    const auto capacity = static_cast<size_t>(arguments.Integer(2, "capacity", 1, 10'000'000));
    // Beyond 2^53 a number is no longer exact; a counter of 5 GHz gets there in three weeks.
    const auto most_cycles = static_cast<uint64_t>(arguments.Integer(3, "mostCycles", 1, int64_t{1} << 53));
    if (!arguments.ok()) return;
    const Outcome outcome = recorder_.Start(page, clock.seq, bytes, capacity, most_cycles);
    if (!outcome.ok()) ThrowOutcome(info.Env(), outcome, arguments.function());
  }

 private:
  Napi::Value Captured(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(recorder_.captured()));
  }

  Napi::Value IsRecording(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), recorder_.recording());
  }

  // Ends the recording; the rows as bytes, one after another.
  Napi::Value Stop(const Napi::CallbackInfo& info) {
    recorder_.Stop();
    const size_t size = recorder_.captured() * recorder_.row_words() * sizeof(uint64_t);
    auto bytes = Napi::Uint8Array::New(info.Env(), size);
    if (bytes.IsEmpty()) return {};
    if (size > 0) std::memcpy(bytes.Data(), recorder_.words(), size);
    return bytes;
  }

  PageRecorder recorder_;
};

}  // namespace

void ExportPageRecorder(Napi::Env env, Napi::Object exports) {
  exports.Set("PageRecorder", Recorder::Define(env));
}

}  // namespace latchclock::binding
