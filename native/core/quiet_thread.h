#pragma once

#include <pthread.h>
#include <signal.h>

#include <initializer_list>

namespace latchclock {

// Creates a thread with every signal blocked that comes from outside, so that handlers of the process keep
// running where the process expects them. What the thread's own instructions raise stays unblocked: the
// kernel ends a process that blocks its own fault without asking the handler, and a clock page whose file was
// cut short is survived by a handler (page_mapping.cc). Returns 0 or an errno, as pthread_create does.
inline int CreateQuietThread(pthread_t* thread, void* (*run)(void*), void* argument) {
  sigset_t outside, before;
  sigfillset(&outside);
  for (const int fault : {SIGBUS, SIGSEGV, SIGFPE, SIGILL}) sigdelset(&outside, fault);
  pthread_sigmask(SIG_SETMASK, &outside, &before);
  const int error = pthread_create(thread, nullptr, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}

}  // namespace latchclock
