#pragma once

#include <list>
#include <string>

#include "step_through.h"

namespace latchclock {

// The hazards that stepping can make happen, by their names in lib/hazards/model.ts. What is left out is a
// matter of the order in which a CPU makes its loads and stores known.
inline constexpr const char* kSteppedHazards[] = {
    "update",
    "writer-stalled",
    "writer-killed",
    "writer-restarted",
    "counter-behind",
    "window-expired",
    "counter-wrapped",
    "adjust-held",
    "adjust-unheld",
    "migration-different",
    "migration-equal",
    "migration-own-page",
    "writer-killed-after-migration",
    "generation-late",
    "generation-early",
    "count-aba",
};

// Steps a reader through every variant of the hazard of that name, or of all if it is empty. One line a
// variant, in a fixed order.
std::list<StepLine> StepHazards(const SteppableReader& reader, const std::string& only, bool quick,
                                StepThrough* through);

}  // namespace latchclock
