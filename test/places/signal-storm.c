/* Preloaded: SIGALRM every 200 us into a handler without SA_RESTART, so that system calls that can be interrupted are.
   At the end the number of signals handled goes to the file that SIGNAL_STORM names. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

static volatile sig_atomic_t signals;

static void count(int number) {
  (void)number;
  signals++;
}

__attribute__((constructor)) static void start(void) {
  struct sigaction action = {0};
  action.sa_handler = count;
  sigaction(SIGALRM, &action, NULL);
  const struct itimerval often = {{0, 200}, {0, 200}};
  setitimer(ITIMER_REAL, &often, NULL);
}

__attribute__((destructor)) static void report(void) {
  const char* path = getenv("SIGNAL_STORM");
  FILE* file = path == NULL ? NULL : fopen(path, "w");
  if (file == NULL) return;
  fprintf(file, "%d\n", (int)signals);
  fclose(file);
}
