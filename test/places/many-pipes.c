/* many-pipes COUNT PROGRAM [ARGUMENT...]
   Runs a program whose user has COUNT pipes open already: beyond fs.pipe-user-pages-soft the kernel makes new ones
   small for users without privilege. Ends with 125 if it does not. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

int main(int count, char** arguments) {
  if (count < 3) return 125;
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  int ends[2] = {-1, -1};
  for (int i = atoi(arguments[1]); i > 0; i--) {
    if (pipe(ends) != 0) {
      perror("many-pipes");
      return 125;
    }
  }
  const int bytes = fcntl(ends[0], F_GETPIPE_SZ);
  if (bytes > 8192) {
    fprintf(stderr, "many-pipes: a pipe still holds %d bytes\n", bytes);
    return 125;
  }
  execvp(arguments[2], arguments + 2);
  perror("many-pipes");
  return 126;
}
