#pragma once

#include <vector>

#include "status.h"

namespace latchclock {

// The CPUs that the calling thread may run on, ascending; any number of CPUs.
Outcome GetCpuAffinity(std::vector<int>* cpus);
// Restricts the calling thread to `cpus`. An empty set, or one without an allowed CPU, is EINVAL; CPUs that
// are not there are dropped by the kernel while another of the set is.
Outcome SetCpuAffinity(const std::vector<int>& cpus);

}  // namespace latchclock
