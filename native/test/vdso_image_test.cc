#include "../core/vdso_image.h"

#include <elf.h>
#include <time.h>

#include <cstring>

#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

TEST("the vDSO's base is a page that starts an ELF image, and is where the kernel says") {
  const uintptr_t base = VdsoBase();
  const Mapping mapping = FindMapping("[vdso]");
  CHECK_EQ(base, mapping.start);
  if (base == 0) SKIP("this process has no vDSO");
  CHECK_EQ(base % kPageSize, 0);
  CHECK_EQ(memcmp(reinterpret_cast<const void*>(base), ELFMAG, SELFMAG), 0);
}

TEST("the map of the process shows the vDSO where the auxiliary vector tells of it") {
  CHECK_EQ(MappedVdsoBase(), FindMapping("[vdso]").start);
}

TEST("gettimeofday, time and getcpu are the vDSO's own") {
  const Mapping mapping = FindMapping("[vdso]");
  if (mapping.start == 0) SKIP("this process has no vDSO");
  const VdsoFunctions& functions = GetVdsoFunctions();
  CHECK_EQ(reinterpret_cast<uintptr_t>(functions.gettimeofday),
           VdsoSymbol("__vdso_gettimeofday", "LINUX_2.6"));
  CHECK_EQ(reinterpret_cast<uintptr_t>(functions.time), VdsoSymbol("__vdso_time", "LINUX_2.6"));
  CHECK_EQ(reinterpret_cast<uintptr_t>(functions.getcpu), VdsoSymbol("__vdso_getcpu", "LINUX_2.6"));
}

TEST("the clock functions are found inside the image, and work") {
  const Mapping mapping = FindMapping("[vdso]");
  if (mapping.start == 0) SKIP("this process has no vDSO");
  for (const char* name : {"__vdso_clock_gettime", "clock_gettime", "__vdso_clock_getres", "__vdso_time"}) {
    const uintptr_t address = VdsoSymbol(name, "LINUX_2.6");
    CHECK(address > mapping.start && address < mapping.end);
  }
  CHECK_EQ(VdsoSymbol("__vdso_clock_gettime", "LINUX_2.6"), VdsoSymbol("clock_gettime", "LINUX_2.6"));
  const VdsoFunctions& functions = GetVdsoFunctions();
  CHECK_EQ(reinterpret_cast<uintptr_t>(functions.clock_gettime),
           VdsoSymbol("__vdso_clock_gettime", "LINUX_2.6"));
  CHECK_EQ(reinterpret_cast<uintptr_t>(functions.clock_getres),
           VdsoSymbol("__vdso_clock_getres", "LINUX_2.6"));
  timespec time = {-1, -1};
  CHECK_EQ(functions.clock_getres(CLOCK_MONOTONIC_COARSE, &time), 0);
  CHECK(time.tv_sec == 0 && time.tv_nsec > 0);
  CHECK_EQ(functions.clock_gettime(CLOCK_MONOTONIC_COARSE, &time), 0);
  CHECK(time.tv_sec > 0 || time.tv_nsec > 0);
}

TEST("a symbol or a version that the vDSO lacks is 0, even where the libc has it") {
  CHECK_EQ(VdsoSymbol("__vdso_no_such_function", "LINUX_2.6"), 0);
  CHECK_EQ(VdsoSymbol("", "LINUX_2.6"), 0);
  CHECK_EQ(VdsoSymbol("printf", "GLIBC_2.2.5"), 0);
  CHECK_EQ(VdsoSymbol("clock_gettime", "GLIBC_2.17"), 0);
  CHECK_EQ(VdsoSymbol("__vdso_clock_gettime", "LINUX_9.9"), 0);
  CHECK_EQ(VdsoSymbol("__vdso_clock_gettime", ""), 0);
}

}  // namespace
}  // namespace latchclock::test
