// When a consumer group is shown the tasks' committed positions. They are a mirror for tools that
// read a group's lag, never read back: Kafka forgets offsets of a quiet group after a week, so they
// are shown again while nothing moves. A value; times come in as arguments.
//
// Thread-compatible.
#pragma once

#include <map>
#include <optional>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "worker/commit/ports.h"

namespace coho {

class PositionMirror {
 public:
  static constexpr Duration kInterval = std::chrono::seconds(5);
  static constexpr Duration kRefresh = std::chrono::hours(1);

  // Cheap: whether ToShow is worth calling.
  [[nodiscard]] bool Due(MonotonicTime now) const {
    return !looked_at_ || now - *looked_at_ >= kInterval;
  }
  // What differs from what was shown last, or all of it now and then.
  [[nodiscard]] PositionMap ToShow(const PositionMap& committed, MonotonicTime now);
  // Not ours any more.
  void Forget(const TopicPartition& partition) { shown_.erase(partition); }

 private:
  PositionMap shown_;
  std::optional<MonotonicTime> looked_at_;
  std::optional<MonotonicTime> all_shown_at_;
};

}  // namespace coho
