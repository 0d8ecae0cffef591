#include "support.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../core/cpu_affinity.h"

namespace latchclock::test {

std::vector<int> AllowedCpus(size_t most) {
  std::vector<int> cpus;
  if (!GetCpuAffinity(&cpus).ok()) abort();
  if (cpus.size() > most) cpus.resize(most);
  return cpus;
}

bool AnswerInKernelsPlace(int number, int error_number) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error_number)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

Mapping FindMapping(const char* name) {
  FILE* maps = fopen("/proc/self/maps", "re");
  if (maps == nullptr) return {};
  Mapping found;
  char line[512];
  while (found.end == 0 && fgets(line, sizeof line, maps) != nullptr) {
    unsigned long start, end;
    char path[256] = "";
    if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %255s", &start, &end, path) >= 2 && strcmp(path, name) == 0) {
      found = {start, end};
    }
  }
  fclose(maps);
  return found;
}

std::string ProcField(const char* path, const char* field) {
  FILE* file = fopen(path, "re");
  if (file == nullptr) return "";
  std::string value;
  char line[1024];
  while (value.empty() && fgets(line, sizeof line, file) != nullptr) {
    const size_t length = strlen(field);
    if (strncmp(line, field, length) != 0 || strchr(" \t:", line[length]) == nullptr) continue;
    const char* start = strchr(line, ':');
    if (start == nullptr) continue;
    start += 1 + strspn(start + 1, " \t");
    value.assign(start, strcspn(start, "\n"));
  }
  fclose(file);
  return value;
}

PageClock ClockAt(uint32_t basetime_index) {
  const uint32_t base = kBasetimeOffset + 16 * basetime_index;
  return {kSeqOffset,
          kModeOffset,
          kCycleLastOffset,
          kMaxCyclesOffset,
          kMultOffset,
          kShiftOffset,
          base,
          base + 8,
          false,
          0};
}

FakePage::FakePage() {
  void* page = mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) abort();
  bytes_ = static_cast<uint8_t*>(page);
  Store<uint32_t>(kModeOffset, 1);
}

FakePage::~FakePage() { munmap(bytes_, kPageSize); }

void FakePage::MakeReadOnly() {
  if (mprotect(bytes_, kPageSize, PROT_READ) != 0) abort();
}

}  // namespace latchclock::test
