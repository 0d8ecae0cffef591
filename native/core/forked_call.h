#pragma once

#include <cstddef>

#include "status.h"

namespace latchclock {

// How a function ended that a child called: with its value, or by the signal that ended the child.
struct ChildEnding {
  int value = 0;
  int signal = 0;  // 0: none
};

// Calls `work` in a forked child, which may die of it, and waits for its end: within five seconds, whatever
// the function does. `work` makes only async-signal-safe calls, since the child is a copy of one thread of
// many; what it returns is told as it is from 0 to 159. No line of the kernel's log and no core is left where
// the child dies of SIGSEGV or SIGBUS. Fails where there is no child to be had (fork), or somebody else has
// waited for it (waitpid).
Outcome CallInChild(int (*work)(void*), void* argument, ChildEnding* ending);

}  // namespace latchclock
