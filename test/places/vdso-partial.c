// Preloaded: clock_gettime of the vDSO answers CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME and CLOCK_TAI by the
// system call, as x86-64 kernels before 5.3 do; with ONLY_TAI in the environment CLOCK_TAI alone. Writes a
// line to standard error, and changes nothing, where it cannot.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

enum { PAGE = 4096, ROOM = 96, JUMP = 5 };

// Length of an instruction that may be executed anywhere; 0 for one that is not known to be such.
static int movable(const unsigned char* code) {
  if (code[0] >= 0x50 && code[0] <= 0x57) return 1;                       // push
  if (code[0] == 0x41 && code[1] >= 0x50 && code[1] <= 0x57) return 2;    // push r8..r15
  if ((code[0] == 0x89 || code[0] == 0x31) && code[1] >= 0xc0) return 2;  // mov, xor
  if (code[0] >= 0x48 && code[0] <= 0x4d && code[1] == 0x89 && code[2] >= 0xc0) return 3;
  if (code[0] == 0x48 && code[1] == 0x83 && code[2] >= 0xc0) return 4;                     // sub rsp, and rsp
  if (code[0] == 0x83 && code[1] >= 0xc0) return 3;                                        // cmp edi
  if (code[0] == 0xf3 && code[1] == 0x0f && code[2] == 0x1e && code[3] == 0xfa) return 4;  // endbr64
  if (code[0] >= 0xb8 && code[0] <= 0xbf) return 5;                                        // mov, immediate
  return 0;
}

static unsigned char* jump(unsigned char* at, const unsigned char* target) {
  const int distance = (int)(target - (at + JUMP));
  at[0] = 0xe9;
  memcpy(at + 1, &distance, 4);
  return at + JUMP;
}

static void failed(const char* why) { fprintf(stderr, "vdso-partial: %s\n", why); }

__attribute__((constructor)) static void replace(void) {
  unsigned char* base = (unsigned char*)getauxval(AT_SYSINFO_EHDR);
  void* vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
  unsigned char* entry = vdso == 0 ? 0 : (unsigned char*)dlvsym(vdso, "__vdso_clock_gettime", "LINUX_2.6");
  if (entry == 0) return failed("there is no vDSO");
  int moved = 0;
  while (moved < JUMP) {
    const int length = movable(entry + moved);
    if (length == 0) return failed("clock_gettime begins with an instruction that cannot be moved");
    moved += length;
  }
  const Elf64_Ehdr* header = (const Elf64_Ehdr*)base;
  const Elf64_Phdr* segments = (const Elf64_Phdr*)(base + header->e_phoff);
  size_t bytes = 0;
  for (int i = 0; i < header->e_phnum; i++)
    if (segments[i].p_type == PT_LOAD) bytes = segments[i].p_offset + segments[i].p_memsz;
  bytes = (bytes + PAGE - 1) / PAGE * PAGE;
  if (mprotect(base, bytes, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
    return failed("the vDSO may not be written");
  // The last page's end, which is padding.
  unsigned char* room = base + bytes - ROOM;
  for (int i = 0; i < ROOM; i++)
    if (room[i] != 0) return failed("there is no room in the vDSO");
  const int clocks[] = {CLOCK_TAI, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME};
  const int count = getenv("ONLY_TAI") != 0 ? 1 : 3;
  // cmp edi, clock; je behind the jump back
  unsigned char* at = room;
  unsigned char* const call = room + count * 5 + moved + JUMP;
  for (int i = 0; i < count; i++) {
    const unsigned char compare[] = {0x83, 0xff, (unsigned char)clocks[i], 0x74,
                                     (unsigned char)(call - (at + 5))};
    memcpy(at, compare, sizeof compare);
    at += sizeof compare;
  }
  memcpy(at, entry, (size_t)moved);
  at = jump(at + moved, entry + moved);
  // mov eax, clock_gettime; syscall; ret
  const unsigned char systemCall[] = {0xb8, SYS_clock_gettime, 0, 0, 0, 0x0f, 0x05, 0xc3};
  memcpy(at, systemCall, sizeof systemCall);
  jump(entry, room);
  mprotect(base, bytes, PROT_READ | PROT_EXEC);
}
