#include "vdso_image.h"

#include <dlfcn.h>
#include <sys/auxv.h>

namespace latchclock {

uintptr_t VdsoBase() { return getauxval(AT_SYSINFO_EHDR); }

uintptr_t VdsoSymbol(const char* name, const char* version) {
  // RTLD_NOLOAD: the kernel mapped it before main; a file of that name must never be loaded instead.
  void* image = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD);
  if (image == nullptr) return 0;
  const auto address = reinterpret_cast<uintptr_t>(dlvsym(image, name, version));
  dlclose(image);
  return address;
}

const VdsoFunctions& GetVdsoFunctions() {
  static const VdsoFunctions functions = {
      reinterpret_cast<int (*)(clockid_t, timespec*)>(VdsoSymbol("__vdso_clock_gettime", "LINUX_2.6")),
      reinterpret_cast<int (*)(clockid_t, timespec*)>(VdsoSymbol("__vdso_clock_getres", "LINUX_2.6")),
      reinterpret_cast<int (*)(timeval*, void*)>(VdsoSymbol("__vdso_gettimeofday", "LINUX_2.6")),
      reinterpret_cast<time_t (*)(time_t*)>(VdsoSymbol("__vdso_time", "LINUX_2.6")),
      reinterpret_cast<long (*)(unsigned*, unsigned*, void*)>(VdsoSymbol("__vdso_getcpu", "LINUX_2.6")),
  };
  return functions;
}

}  // namespace latchclock
