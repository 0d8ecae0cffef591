/* refusing ERRNO|kill CALL[:FIRST][,CALL[:FIRST]...] PROGRAM [ARGUMENT...]
   Runs a program to which these system calls are refused with an errno, as a sandbox does, or which is killed for them;
   with FIRST only where the first argument has this value. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALL(name) {#name, SYS_##name}
static const struct {
  const char* name;
  unsigned number;
} calls[] = {CALL(adjtimex),      CALL(arch_prctl),   CALL(clock_adjtime), CALL(clock_getres),
             CALL(clock_gettime), CALL(clone3),       CALL(gettimeofday),  CALL(pipe2),
             CALL(prctl),         CALL(process_vm_readv), CALL(sched_getaffinity), CALL(sched_setaffinity),
             CALL(seccomp),       CALL(time),         CALL(vfork), CALL(fork),
             CALL(kill),          CALL(wait4), CALL(flock)};

static struct sock_filter program[256];
static unsigned short length;

static void add(unsigned short code, unsigned k, unsigned char if_true, unsigned char if_false) {
  program[length++] = (struct sock_filter){code, if_true, if_false, k};
}

static unsigned number_of(const char* name) {
  for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
    if (strcmp(calls[i].name, name) == 0) return calls[i].number;
  fprintf(stderr, "refusing: no call %s\n", name);
  exit(125);
}

int main(int count, char** arguments) {
  if (count < 4) return 125;
  const unsigned action = strcmp(arguments[1], "kill") == 0 ? SECCOMP_RET_KILL_PROCESS
                                                            : SECCOMP_RET_ERRNO | (unsigned)atoi(arguments[1]);
  add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
  add(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
  add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
  for (char* name = strtok(arguments[2], ","); name != NULL; name = strtok(NULL, ",")) {
    char* first = strchr(name, ':');
    if (first != NULL) *first++ = '\0';
    add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    add(BPF_JMP | BPF_JEQ | BPF_K, number_of(name), 0, first == NULL ? 1 : 3);
    if (first != NULL) {
      add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args), 0, 0);
      add(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)atoi(first), 0, 1);
    }
    add(BPF_RET | BPF_K, action, 0, 0);
  }
  add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
  struct sock_fprog filter = {length, program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    perror("refusing");
    return 125;
  }
  execvp(arguments[3], arguments + 3);
  perror("refusing");
  return 126;
}
