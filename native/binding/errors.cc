#include "binding.h"

namespace latchclock::binding {
namespace {

struct Description {
  const char* code;
  const char* what;
};

Description Describe(Status status) {
  switch (status) {
    case Status::kOk:
      break;
    case Status::kBadArgument:
      return {"ERR_BAD_ARGUMENT", "an argument is out of range"};
    case Status::kCounterDisabled:
      return {"ERR_COUNTER_DISABLED", "the counter is disabled for this thread (PR_TSC_SIGSEGV)"};
    case Status::kCounterUnsupported:
      return {"ERR_COUNTER_UNSUPPORTED", "this CPU does not offer the instruction to this thread"};
    case Status::kNoVdso:
      return {"ERR_NO_VDSO", "the process has no vDSO, or the vDSO lacks the function"};
    case Status::kSystemCall:
      return {"ERR_SYSTEM_CALL", "a system call failed"};
    case Status::kMemoryFault:
      return {"ERR_MEMORY_FAULT", "the memory cannot be read"};
    case Status::kRetries:
      return {"ERR_RETRIES", "no consistent copy of the page within the bound on retries"};
    case Status::kOutOfWindow:
      return {"ERR_OUT_OF_WINDOW", "the counter lies outside the page's windows: its writer is late or gone"};
    case Status::kDisrupted:
      return {"ERR_DISRUPTED", "the page was computed for another generation of the counter"};
    case Status::kUnpublished:
      return {"ERR_BAD_PAGE", "the page holds no clock: nothing was published, or its file was cut short"};
    case Status::kUnusable:
      return {"ERR_BAD_PAGE", "the page says that its clock is not to be used"};
    case Status::kPageLost:
      return {"ERR_BAD_PAGE", "the page is lost: its file was cut short"};
    case Status::kOtherClocksource:
      return {"ERR_NO_KERNEL_PAGE", "the kernel's page does not count by the time-stamp counter"};
    case Status::kTooManyPages:
      return {"ERR_TOO_MANY_PAGES", "no more page files can be mapped at once"};
  }
  return {"ERR_BAD_ARGUMENT", "a success was raised as an error"};
}

void SetErrorFactory(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction()) {
    ThrowError(info.Env(), "ERR_BAD_ARGUMENT", "the error factory is no function", "setErrorFactory");
    return;
  }
  info.Env().GetInstanceData<AddonData>()->error_factory = Napi::Persistent(info[0].As<Napi::Function>());
}

}  // namespace

void ThrowError(Napi::Env env, const char* code, const char* what, const char* where,
                const Outcome& outcome) {
  const auto* data = env.GetInstanceData<AddonData>();
  if (data == nullptr || data->error_factory.IsEmpty()) {
    Napi::Error error = Napi::Error::New(env, what);
    error.Set("code", Napi::String::New(env, code));
    error.ThrowAsJavaScriptException();
    return;
  }
  const Napi::Value error = data->error_factory.Call(
      {Napi::String::New(env, code), Napi::String::New(env, what), Napi::String::New(env, where),
       Napi::Number::New(env, outcome.error_number), Napi::String::New(env, outcome.call)});
  if (env.IsExceptionPending()) return;
  napi_throw(env, error);
}

void ThrowOutcome(Napi::Env env, const Outcome& outcome, const char* where) {
  const Description description = Describe(outcome.status);
  ThrowError(env, description.code, description.what, where, outcome);
}

void ExportErrors(Napi::Env env, Napi::Object exports) {
  exports.Set("setErrorFactory", Napi::Function::New(env, SetErrorFactory, "setErrorFactory"));
}

}  // namespace latchclock::binding
