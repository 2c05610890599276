// What a store remembers about itself, written in the same batch as its data: how far its changelog
// is in it, of which job, topic and Kafka cluster, when that was committed, and how far the task
// was in its inputs then. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "worker/store/positions.h"

namespace coho {

// A marker on disk that is older than this is renewed though nothing else changed: how old it is
// decides whether the store can be trusted, and how far its position is behind how much is
// replayed.
inline constexpr Duration kMarkerRefresh = std::chrono::hours(1);
inline constexpr int64_t kMarkerRefreshMillis = kMarkerRefresh / std::chrono::milliseconds(1);

struct StoreMarker {
  std::string job_id;           // "<namespace>.<name>"
  std::string changelog_topic;  // empty for a store without changelog
  int32_t partition = 0;
  int64_t position = 0;                 // next changelog offset to apply
  int64_t commit_time_ms = 0;           // Unix time of the commit that the marker belongs to
  std::string changelog_topic_id = {};  // empty: unknown
  std::string kafka_cluster_id = {};    // empty: unknown
  Positions positions = {};             // as of `position`; empty: none known
  friend bool operator==(const StoreMarker&, const StoreMarker&) = default;
};

[[nodiscard]] std::string EncodeMarker(const StoreMarker& marker);
// kCorruption: the bytes make no sense. kInvalidArgument: written by another version of Coho.
[[nodiscard]] Result<StoreMarker> DecodeMarker(std::string_view bytes);

}  // namespace coho
