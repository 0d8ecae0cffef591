#include "vdso_image.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

namespace latchclock {

uintptr_t VdsoBase() { return getauxval(AT_SYSINFO_EHDR); }

uintptr_t MappedVdsoBase() {
  const uintptr_t told = VdsoBase();
  if (told != 0) return told;
  FILE* maps = fopen("/proc/self/maps", "re");
  if (maps == nullptr) return 0;
  uintptr_t base = 0;
  char* line = nullptr;
  size_t capacity = 0;
  constexpr char kName[] = " [vdso]\n";
  for (ssize_t length; base == 0 && (length = getline(&line, &capacity, maps)) > 0;) {
    const auto name = static_cast<ssize_t>(sizeof(kName) - 1);
    if (length > name && memcmp(line + length - name, kName, sizeof(kName) - 1) == 0) {
      base = strtoull(line, nullptr, 16);
    }
  }
  free(line);
  fclose(maps);
  return base;
}

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
