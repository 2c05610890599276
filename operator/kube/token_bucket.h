// A token bucket that tells how long to wait. Pure: times come in as arguments. Thread-compatible.
#pragma once

#include <algorithm>

#include "common/base/clock.h"

namespace coho::kube {

class TokenBucket {
 public:
  TokenBucket(double per_second, double burst)
      : per_second_(per_second), burst_(burst), tokens_(burst) {}

  // Takes one token, of the future if need be; the caller waits as long as the result says.
  [[nodiscard]] Duration Take(MonotonicTime now) {
    Refill(now);
    tokens_ -= 1;
    if (tokens_ >= 0) return Duration::zero();
    return std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(-tokens_ / per_second_));
  }

  // Takes one token if there is one.
  [[nodiscard]] bool TryTake(MonotonicTime now) {
    Refill(now);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  void Refill(MonotonicTime now) {
    if (now > refilled_) {
      const double seconds = std::chrono::duration<double>(now - refilled_).count();
      tokens_ = std::min(burst_, tokens_ + seconds * per_second_);
    }
    refilled_ = std::max(refilled_, now);
  }

  double per_second_;
  double burst_;
  double tokens_;
  MonotonicTime refilled_;
};

}  // namespace coho::kube
