/* Preloaded: clock_gettime takes a second off and puts it into the nanoseconds, so that the sum is right. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec* time) {
  const int result = (int)syscall(SYS_clock_gettime, id, time);
  const int of_cpu = id == CLOCK_THREAD_CPUTIME_ID || id == CLOCK_PROCESS_CPUTIME_ID;
  if (result == 0 && !of_cpu && time != NULL) {
    time->tv_sec -= 1;
    time->tv_nsec += 1000000000L;
  }
  return result;
}
