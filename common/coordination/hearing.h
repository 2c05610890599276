// Time as far as the coordinator could hear (docs/design.md R3): a clock that advances only while
// the heartbeats topic is read to its end again and again. While Kafka is away, its answers are
// late, the reader stands still or the coordinator itself does, it stands still as well, so that
// nobody grows silent.
//
// A value; thread-compatible.
#pragma once

#include <utility>

#include "common/base/clock.h"
#include "common/base/mutant.h"

namespace coho {

class Hearing {
 public:
  explicit Hearing(MonotonicTime now) : through_(now), now_(now) {}

  // Everything that was in the topic at `through` was heard. False: there was a time before it in
  // which nobody could be heard.
  [[nodiscard]] bool HeardThrough(MonotonicTime through) {
    if (through <= through_) return true;
    const Duration step = through - through_;
    const bool deaf = std::exchange(deaf_, false) || step > kDeafAfter;
    through_ = through;
    if (deaf && !COHO_MUTANT("session-clock-runs-while-deaf")) return false;
    now_ += step;
    return true;
  }
  // Something that was said may be lost: until the next HeardThrough nobody can be heard.
  void Deaf() { deaf_ = true; }
  [[nodiscard]] MonotonicTime through() const { return through_; }  // by the world's clock
  [[nodiscard]] MonotonicTime now() const { return now_; }          // by this one

 private:
  static constexpr Duration kDeafAfter = std::chrono::seconds(3);
  MonotonicTime through_;
  MonotonicTime now_;
  bool deaf_ = false;
};

}  // namespace coho
