/* Preloaded: the counter is disabled for every thread, and the libc's clocks go by system call, so that a program
   other than the one under test survives. */
#define _GNU_SOURCE
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec* time) { return (int)syscall(SYS_clock_gettime, id, time); }
int clock_getres(clockid_t id, struct timespec* time) { return (int)syscall(SYS_clock_getres, id, time); }
int gettimeofday(struct timeval* restrict time, void* restrict zone) {
  return (int)syscall(SYS_gettimeofday, time, zone);
}
time_t time(time_t* out) { return syscall(SYS_time, out); }

__attribute__((constructor)) static void disable_counter(void) { prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0); }
