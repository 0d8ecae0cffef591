#pragma once

#include <napi.h>

#include "../core/status.h"

namespace latchclock::binding {

// What each environment (the main thread, every worker) keeps of its own.
struct AddonData {
  // (code, what, where, errno, systemCall) => Error. Set once by the loader, so that every error raised here
  // is of the package's one class.
  Napi::FunctionReference error_factory;
};

// Each raises a JavaScript exception; the caller returns at once.
void ThrowError(Napi::Env env, const char* code, const char* what, const char* where,
                const Outcome& outcome = {});
// `where` names the exported function.
void ThrowOutcome(Napi::Env env, const Outcome& outcome, const char* where);

// True if the outcome is a success; else its exception is raised.
inline bool Succeeded(Napi::Env env, const Outcome& outcome, const char* where) {
  if (!outcome.ok()) ThrowOutcome(env, outcome, where);
  return outcome.ok();
}
// A count below 2^53, as a number.
inline void SetCount(Napi::Object object, const char* name, uint64_t count) {
  object.Set(name, Napi::Number::New(object.Env(), static_cast<double>(count)));
}

// A function that creates an array checks that it got one: in a worker that is being terminated it gets none.

// Each file of this folder adds its functions to the addon's exports.
void ExportCounter(Napi::Env env, Napi::Object exports);
void ExportPosixClock(Napi::Env env, Napi::Object exports);
void ExportMemory(Napi::Env env, Napi::Object exports);
void ExportBracket(Napi::Env env, Napi::Object exports);
void ExportClockReader(Napi::Env env, Napi::Object exports);
void ExportLockStep(Napi::Env env, Napi::Object exports);
void ExportPageRecorder(Napi::Env env, Napi::Object exports);
void ExportThread(Napi::Env env, Napi::Object exports);
void ExportClockPage(Napi::Env env, Napi::Object exports);
void ExportLatchStress(Napi::Env env, Napi::Object exports);
void ExportReaderBench(Napi::Env env, Napi::Object exports);
void ExportClockCall(Napi::Env env, Napi::Object exports);
void ExportErrors(Napi::Env env, Napi::Object exports);

}  // namespace latchclock::binding
