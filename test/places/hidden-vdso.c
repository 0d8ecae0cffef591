/* hidden-vdso PROGRAM [ARGUMENT...]
   Runs a program whose auxiliary vector does not tell of the vDSO (AT_SYSINFO_EHDR), though it is mapped: as launchers
   and tracers do that want to see every call for the time. */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static long peek(pid_t child, unsigned long address) { return ptrace(PTRACE_PEEKDATA, child, (void*)address, NULL); }

int main(int count, char** arguments) {
  if (count < 2) return 125;
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    execvp(arguments[1], arguments + 1);
    perror("hidden-vdso");
    _exit(126);
  }
  int status;
  if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return 125;
  struct user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, child, NULL, &registers) != 0) return 125;
  /* argc, its pointers and a null, the environment's and a null, then pairs. */
  unsigned long at = registers.rsp + 8 * (2 + (unsigned long)peek(child, registers.rsp));
  while (peek(child, at) != 0) at += 8;
  for (at += 8; peek(child, at) != AT_NULL; at += 16)
    if (peek(child, at) == AT_SYSINFO_EHDR) ptrace(PTRACE_POKEDATA, child, (void*)at, (void*)AT_IGNORE);
  ptrace(PTRACE_DETACH, child, NULL, NULL);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
