#include "pinned_threads.h"

#include <errno.h>
#include <sched.h>

#include <atomic>
#include <vector>

#include "cpu_affinity.h"
#include "quiet_thread.h"

namespace latchclock {
namespace {

struct Start {
  PinnedWork work;
  void* context;
  // Threads that are pinned and wait, or have given up. Every thread arrives, whatever became of it.
  std::atomic<size_t> arrived{0};
  // 0: wait; 1: work; 2: give up.
  std::atomic<int> go{0};
};

struct Thread {
  Start* start;
  size_t number;
  int cpu;
  Outcome outcome;
  pthread_t handle;
};

void* Run(void* argument) {
  auto* thread = static_cast<Thread*>(argument);
  Start& start = *thread->start;
  thread->outcome = SetCpuAffinity({thread->cpu});
  // Release: the outcome is visible to whoever has seen the arrival.
  start.arrived.fetch_add(1, std::memory_order_release);
  int go;
  // Acquire: what the caller prepared before `go` is visible to the work. Yielding, since there may be fewer
  // CPUs than threads.
  while ((go = start.go.load(std::memory_order_acquire)) == 0) sched_yield();
  if (go == 1) start.work(thread->number, start.context);
  return nullptr;
}

}  // namespace

Outcome RunPinned(const int* cpus, size_t count, PinnedWork work, void* context) {
  Start start;
  start.work = work;
  start.context = context;
  std::vector<Thread> threads(count);
  size_t created = 0;
  Outcome outcome;
  for (; created < count && outcome.ok(); created++) {
    Thread& thread = threads[created];
    thread.start = &start;
    thread.number = created;
    thread.cpu = cpus[created];
    const int error = CreateQuietThread(&thread.handle, Run, &thread);
    if (error != 0) {
      outcome = Outcome::FailedCall("pthread_create", error);
      break;
    }
  }

  // Acquire: pairs with each thread's arrival, so that its outcome can be read.
  while (start.arrived.load(std::memory_order_acquire) < created) sched_yield();
  for (size_t i = 0; i < created && outcome.ok(); i++) outcome = threads[i].outcome;
  start.go.store(outcome.ok() ? 1 : 2, std::memory_order_release);
  for (size_t i = 0; i < created; i++) pthread_join(threads[i].handle, nullptr);
  return outcome;
}

}  // namespace latchclock
