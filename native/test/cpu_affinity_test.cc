#include "../core/cpu_affinity.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>

#include <algorithm>
#include <vector>

#include "check.h"
#include "support.h"

namespace latchclock::test {
namespace {

TEST("the CPUs come ascending, each once, and the one in use is among them") {
  std::vector<int> cpus = {-7};
  CHECK(GetCpuAffinity(&cpus).ok());
  CHECK(!cpus.empty());
  CHECK(cpus.front() >= 0);
  CHECK(std::adjacent_find(cpus.begin(), cpus.end(), std::greater_equal<int>()) == cpus.end());
  CHECK(std::find(cpus.begin(), cpus.end(), sched_getcpu()) != cpus.end());
}

TEST("what is set is what is got, in that thread and in no other") {
  std::vector<int> all, after;
  CHECK(GetCpuAffinity(&all).ok());
  std::vector<std::vector<int>> sets = {
      all, {all.front()}, {all.back()}, {all.back(), all.front(), all.back()}};
  for (const std::vector<int>& set : sets) {
    Outcome outcome, got;
    std::vector<int> cpus;
    RunInThread([&] {
      outcome = SetCpuAffinity(set);
      got = GetCpuAffinity(&cpus);
    });
    CHECK(outcome.ok() && got.ok());
    std::vector<int> expected = set;
    std::sort(expected.begin(), expected.end());
    expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
    CHECK(cpus == expected);
  }
  CHECK(GetCpuAffinity(&after).ok());
  CHECK(after == all);
}

TEST("a set that names no CPU to run on is EINVAL and changes nothing") {
  std::vector<int> all;
  CHECK(GetCpuAffinity(&all).ok());
  const std::vector<std::vector<int>> bad = {{},
                                             {-1},
                                             {-100},
                                             {INT_MIN},
                                             {all.front(), -1},
                                             {-1, all.front()},
                                             {65535},  // more than any kernel is built for
                                             {65536},
                                             {INT_MAX},
                                             {all.front(), INT_MAX}};
  for (const std::vector<int>& set : bad) {
    Outcome outcome;
    std::vector<int> cpus;
    RunInThread([&] {
      outcome = SetCpuAffinity(set);
      GetCpuAffinity(&cpus);
    });
    CHECK_EQ(outcome.status, Status::kSystemCall);
    CHECK_EQ(outcome.error_number, EINVAL);
    CHECK(cpus == all);
  }
}

}  // namespace
}  // namespace latchclock::test
