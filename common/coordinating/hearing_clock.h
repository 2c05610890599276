// The time that a job's coordinator lives in: it advances only while everything that workers said
// has been heard (R3). While Kafka is away, while its answers are late, while this process itself
// was stopped or busy, it stands still, and nobody grows silent. A value; reads no clock.
#pragma once

#include <algorithm>
#include <optional>

#include "common/base/clock.h"
#include "common/base/mutant.h"

namespace coho {

class HearingClock {
 public:
  // Everything that was said until `as_of` has been heard.
  void Heard(MonotonicTime as_of) {
    if (last_ && as_of > *last_) {
      const Duration passed = as_of - *last_;
      if (passed > kMostAtOnce) COHO_SOMETIMES("the coordinator was deaf for a while");
      now_ += COHO_MUTANT("time-passes-while-deaf") ? passed : std::min(passed, kMostAtOnce);
    }
    if (!last_ || as_of > *last_) last_ = as_of;
  }
  // Nothing is heard until the next Heard.
  void Deaf() { last_.reset(); }
  [[nodiscard]] MonotonicTime Now() const { return now_; }

  // How much older than it was something may be taken for: it is heard between two times of the
  // clock.
  static constexpr Duration kCoarseness = std::chrono::milliseconds(1500);

 private:
  static constexpr Duration kMostAtOnce = std::chrono::seconds(2);
  std::optional<MonotonicTime> last_;
  MonotonicTime now_;
};

}  // namespace coho
