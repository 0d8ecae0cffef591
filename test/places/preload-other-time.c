/* Preloaded: gettimeofday and time are an hour ahead of clock_gettime, as where a library shifts some calls only. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int gettimeofday(struct timeval* restrict time, void* restrict zone) {
  const int result = (int)syscall(SYS_gettimeofday, time, zone);
  if (time != NULL) time->tv_sec += 3600;
  return result;
}
time_t time(time_t* out) {
  const time_t now = syscall(SYS_time, NULL) + 3600;
  if (out != NULL) *out = now;
  return now;
}
