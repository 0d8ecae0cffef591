#pragma once

#include <errno.h>

namespace latchclock {

// More signals than a storm of them, one each 200 us, sends to a call that takes some seconds; a supervisor
// that answers EINTR for ever is through in less than a second.
inline constexpr int kMostInterruptions = 100'000;

// Makes a system call again for as long as it is interrupted: bounded, with EINTR then, since a sandbox can
// answer so without a signal.
template <class Call>
auto AgainWhenInterrupted(Call call) {
  auto result = call();
  for (int i = 1; i < kMostInterruptions && result < 0 && errno == EINTR; i++) result = call();
  return result;
}

}  // namespace latchclock
