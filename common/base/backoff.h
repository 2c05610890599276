// How long to wait before the next attempt: doubles from `first` to `longest`, begins anew after a
// success. A value; it reads no clock and never sleeps. Jitter, where many would knock at the same
// door at once, is the caller's: it knows its dice.
#pragma once

#include <algorithm>

#include "common/base/check.h"
#include "common/base/clock.h"

namespace coho {

class Backoff {
 public:
  // REQUIRES: 0 < first <= longest.
  Backoff(Duration first, Duration longest) : first_(first), longest_(longest) {
    COHO_CHECK(first > Duration::zero() && first <= longest,
               "a back-off needs 0 < first <= longest");
  }

  // The wait before the next attempt; each call counts as one more failure.
  [[nodiscard]] Duration Next() {
    const Duration wait = next_ == Duration::zero() ? first_ : next_;
    next_ = std::min(longest_, wait * 2);
    ++failures_;
    return wait;
  }
  void Reset() {
    next_ = Duration::zero();
    failures_ = 0;
  }
  // Failures since the last success.
  [[nodiscard]] int failures() const { return failures_; }

 private:
  Duration first_;
  Duration longest_;
  Duration next_ = Duration::zero();
  int failures_ = 0;
};

}  // namespace coho
