#pragma once

#include <time.h>

#include <cstdint>

#include "kernel_page.h"
#include "posix_clock.h"
#include "status.h"

namespace latchclock {

// Where a reading comes from: a path of posix_clock.h, own arithmetic on the kernel's page, or the counter.
enum class ReadingSource : uint32_t { kVdso = 0, kLibc = 1, kSyscall = 2, kPage = 3, kCounter = 4 };
inline constexpr uint32_t kReadingSources = 5;

struct ClockRequest {
  ReadingSource source;
  clockid_t id;         // for the paths
  const uint8_t* page;  // for kPage; else null, or the page whose count is watched
  PageClock clock;      // of `page`
};

// kOk if the source can be read in this thread now, and the page, if there is one, lies as it should.
inline Outcome CheckReading(const ClockRequest& request) {
  if (request.source == ReadingSource::kPage && request.page == nullptr) {
    return Outcome::Failed(Status::kBadArgument);
  }
  if (request.page != nullptr && !IsInsidePage(request.clock)) return Outcome::Failed(Status::kBadArgument);
  switch (request.source) {
    case ReadingSource::kVdso:
    case ReadingSource::kLibc:
    case ReadingSource::kSyscall:
      return CheckClockPath(static_cast<ClockPath>(request.source));
    case ReadingSource::kPage:
      // A coarse clock takes no counter.
      return request.clock.coarse ? Outcome{} : CheckCounter(CounterMethod::kFencedRdtsc);
    case ReadingSource::kCounter:
      return CheckCounter(CounterMethod::kFencedRdtsc);
  }
  __builtin_unreachable();
}

// One reading: nanoseconds, or cycles from the counter. CheckReading must have said kOk. `page_reading` holds
// the words used if the source is the page; `retries` grows by the copies thrown away.
inline Outcome Read(const ClockRequest& request, PageReading* page_reading, int64_t* value,
                    uint64_t* retries) {
  if (request.source == ReadingSource::kCounter) {
    *value = static_cast<int64_t>(FencedRdtsc());
    return {};
  }
  if (request.source == ReadingSource::kPage) {
    const Outcome outcome = ReadPageClock(request.page, request.clock, page_reading, retries);
    if (outcome.ok()) *value = page_reading->ns;
    return outcome;
  }
  timespec time;
  const int error = ClockGettime(static_cast<ClockPath>(request.source), request.id, &time);
  if (error != 0) return Outcome::FailedCall("clock_gettime", error);
  *value = ToNanoseconds(time);
  return {};
}

}  // namespace latchclock
