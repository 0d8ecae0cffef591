#include "binding/binding.h"

namespace latchclock::binding {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new AddonData());
  ExportErrors(env, exports);
  ExportCounter(env, exports);
  ExportPosixClock(env, exports);
  ExportClockCall(env, exports);
  ExportMemory(env, exports);
  ExportBracket(env, exports);
  ExportClockReader(env, exports);
  ExportLockStep(env, exports);
  ExportPageRecorder(env, exports);
  ExportThread(env, exports);
  ExportClockPage(env, exports);
  ExportLatchStress(env, exports);
  ExportReaderBench(env, exports);
  return exports;
}

NODE_API_MODULE(latchclock, Init)

}  // namespace latchclock::binding
