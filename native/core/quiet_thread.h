#pragma once

#include <pthread.h>
#include <signal.h>

namespace latchclock {

// Creates a thread with every signal blocked, so that handlers of the process keep running where the process
// expects them. Returns 0 or an errno, as pthread_create does.
inline int CreateQuietThread(pthread_t* thread, void* (*run)(void*), void* argument) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(thread, nullptr, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}

}  // namespace latchclock
