#pragma once

#include <cstddef>

#include "status.h"

namespace latchclock {

// What each thread of RunPinned runs: its number among them, and the caller's context.
using PinnedWork = void (*)(size_t thread, void* context);

// Runs `work` in `count` threads at once, the i-th pinned to cpus[i]; returns when all have ended. They start
// together: none works before all are pinned. If one cannot be created or pinned, none works, and the outcome
// says why. Their signals are blocked.
Outcome RunPinned(const int* cpus, size_t count, PinnedWork work, void* context);

}  // namespace latchclock
