/*
 * The first process of a guest of the lab: mounts what the kernel offers, then runs one command after another for
 * the host, over the second serial port.
 *
 *   host:  RUN <seconds> <arguments>\n, then each argument on a line of its own
 *   guest: DONE <exited|killed|late> <code> <bytes of stdout> <bytes of stderr>\n, then those bytes
 *   host:  END\n
 *
 * `killed` gives the signal's number; `late` is a command that its time ran out for, and that was killed with all
 * of its group. A line that is none of these ends the guest: after one, nothing that follows can be trusted.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { kMostArguments = 64, kLongestLine = 4096 };

static const char kPort[] = "/dev/ttyS1";
static const char kStdout[] = "/run/stdout";
static const char kStderr[] = "/run/stderr";

/* The console is the first serial port, which the host keeps and shows when something goes wrong. */
static void end(const char *format, ...) {
  va_list values;
  va_start(values, format);
  fprintf(stderr, "init: ");
  vfprintf(stderr, format, values);
  fprintf(stderr, "\n");
  va_end(values);
  sync();
  reboot(RB_POWER_OFF);
  for (;;) pause();
}

static void mountAt(const char *type, const char *at) {
  if (mkdir(at, 0755) != 0 && errno != EEXIST) end("mkdir %s: %s", at, strerror(errno));
  /* The kernel may have mounted /dev before the first process. */
  if (mount(type, at, type, 0, NULL) != 0 && errno != EBUSY) end("mount %s: %s", at, strerror(errno));
}

/* A line discipline that changes, echoes and stops nothing: bytes go through as they are. */
static int openPort(void) {
  int port = open(kPort, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (port < 0) end("open %s: %s", kPort, strerror(errno));
  struct termios mode;
  if (tcgetattr(port, &mode) != 0) end("%s: %s", kPort, strerror(errno));
  cfmakeraw(&mode);
  mode.c_cflag |= CLOCAL | CREAD;
  cfsetspeed(&mode, B115200);
  if (tcsetattr(port, TCSANOW, &mode) != 0) end("%s: %s", kPort, strerror(errno));
  return port;
}

static void sendAll(int port, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t sent = write(port, bytes, length);
    if (sent < 0 && errno != EINTR) end("write to %s: %s", kPort, strerror(errno));
    if (sent > 0) {
      bytes += sent;
      length -= (size_t)sent;
    }
  }
}

static void sendFile(int port, const char *path) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) end("open %s: %s", path, strerror(errno));
  char bytes[4096];
  ssize_t length;
  while ((length = read(file, bytes, sizeof bytes)) > 0) sendAll(port, bytes, (size_t)length);
  if (length < 0) end("read %s: %s", path, strerror(errno));
  close(file);
}

static long sizeOf(const char *path) {
  struct stat facts;
  if (stat(path, &facts) != 0) end("stat %s: %s", path, strerror(errno));
  return (long)facts.st_size;
}

static char *readLine(FILE *from) {
  static char line[kLongestLine];
  if (fgets(line, sizeof line, from) == NULL) end("%s was closed", kPort);
  size_t length = strlen(line);
  if (length == 0 || line[length - 1] != '\n') end("a line of more than %d bytes", kLongestLine - 2);
  line[length - 1] = '\0';
  return line;
}

static void redirect(const char *path, int descriptor) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0 || dup2(file, descriptor) < 0) _exit(126);
  close(file);
}

static pid_t start(char *const arguments[]) {
  pid_t child = fork();
  if (child < 0) end("fork: %s", strerror(errno));
  if (child > 0) return child;
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();
  redirect(kStdout, STDOUT_FILENO);
  redirect(kStderr, STDERR_FILENO);
  int nothing = open("/dev/null", O_RDONLY);
  if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0) _exit(126);
  execvp(arguments[0], arguments);
  fprintf(stderr, "%s: %s\n", arguments[0], strerror(errno));
  _exit(127);
}

/* Waits for `child`, and for nothing else that ends meanwhile: orphans come to the first process, and are reaped. */
static const char *await(pid_t child, long seconds, int *code) {
  sigset_t ended;
  sigemptyset(&ended);
  sigaddset(&ended, SIGCHLD);
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const time_t deadline = now.tv_sec + seconds;
  const char *how = NULL;
  for (;;) {
    int status;
    pid_t reaped;
    while ((reaped = waitpid(-1, &status, WNOHANG)) > 0) {
      if (reaped != child) continue;
      *code = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
      return how ? how : WIFEXITED(status) ? "exited" : "killed";
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec >= deadline && how == NULL) {
      how = "late";
      kill(-child, SIGKILL);
    }
    /* SIGCHLD is blocked, so none is lost between waitpid and here; a second is for the deadline. */
    const struct timespec moment = {.tv_sec = 1};
    sigtimedwait(&ended, NULL, &moment);
  }
}

static void run(int port, FILE *from, long seconds, int count) {
  char *arguments[kMostArguments + 1];
  for (int index = 0; index < count; index++) arguments[index] = strdup(readLine(from));
  arguments[count] = NULL;
  int code = 0;
  const char *how = await(start(arguments), seconds, &code);
  for (int index = 0; index < count; index++) free(arguments[index]);

  char answer[128];
  int length = snprintf(answer, sizeof answer, "DONE %s %d %ld %ld\n", how, code, sizeOf(kStdout), sizeOf(kStderr));
  sendAll(port, answer, (size_t)length);
  sendFile(port, kStdout);
  sendFile(port, kStderr);
}

int main(void) {
  if (getpid() != 1) {
    fprintf(stderr, "init: this is the first process of a guest, and would end a machine that it is not\n");
    return 1;
  }
  sigset_t ended;
  sigemptyset(&ended);
  sigaddset(&ended, SIGCHLD);
  sigprocmask(SIG_BLOCK, &ended, NULL);
  umask(022);
  mountAt("devtmpfs", "/dev");
  mountAt("proc", "/proc");
  mountAt("sysfs", "/sys");
  mountAt("tmpfs", "/run");
  mountAt("tmpfs", "/tmp");
  if (chmod("/tmp", 01777) != 0) end("chmod /tmp: %s", strerror(errno));
  setenv("PATH", "/usr/bin:/bin", 1);
  setenv("HOME", "/tmp", 1);

  int port = openPort();
  FILE *from = fdopen(port, "r");
  if (from == NULL) end("fdopen: %s", strerror(errno));
  sendAll(port, "READY\n", 6);
  for (;;) {
    const char *line = readLine(from);
    long seconds;
    int count;
    if (strcmp(line, "END") == 0) end("the host has no more commands");
    if (sscanf(line, "RUN %ld %d", &seconds, &count) != 2 || seconds < 1 || count < 1 || count > kMostArguments) {
      end("not a command: %s", line);
    }
    run(port, from, seconds, count);
  }
}
