/* Preloaded: writes, and reads of pipes and of /proc, give half of what they are asked for, as a kernel may (Node itself
   takes modules in one read); on a pipe every third call is interrupted before it has begun (EINTR). */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned calls;

static int is_interrupted(const struct stat* status) {
  if (!S_ISFIFO(status->st_mode) || __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % 3 != 0) return 0;
  errno = EINTR;
  return 1;
}

/* Words of 8 bytes are those of eventfds, which are whole or fail. */
static size_t half(size_t length) { return length <= 8 ? length : (length + 1) / 2; }

ssize_t read(int file, void* bytes, size_t length) {
  struct stat status = {0};
  fstat(file, &status);
  if (is_interrupted(&status)) return -1;
  const int is_short = S_ISFIFO(status.st_mode) || (S_ISREG(status.st_mode) && status.st_size == 0);
  return syscall(SYS_read, file, bytes, is_short ? half(length) : length);
}

ssize_t write(int file, const void* bytes, size_t length) {
  struct stat status = {0};
  fstat(file, &status);
  if (is_interrupted(&status)) return -1;
  return syscall(SYS_write, file, bytes, half(length));
}
