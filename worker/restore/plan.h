// Decides how a task's local store is brought to the end of its changelog before processing starts (DESIGN 4.5). Pure: no IO, no
// clock. Recomputed from disk and broker at every start.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "worker/store/marker.h"

namespace coho {

struct RestoreInput {
  std::string job_id;
  std::string changelog_topic;  // empty: a store without changelog; begin and end are 0
  int32_t partition = 0;
  std::optional<StoreMarker> marker;  // nullopt: none in the store, or the store is new
  bool corrupt = false;               // the store could not be opened
  int64_t begin = 0;                  // of the changelog
  int64_t end = 0;                    // last stable offset
  Duration delete_retention{};        // of the topic
  WallTime now;
};

enum class RestoreMode { kUseLocal, kReplayFromMarker, kWipeAndReplay };
[[nodiscard]] std::string_view RestoreModeName(RestoreMode mode);  // "UseLocal"

struct RestorePlan {
  RestoreMode mode = RestoreMode::kUseLocal;
  int64_t from = 0;         // first offset to apply
  int64_t to = 0;           // stop before it
  std::string_view reason;  // static text, for log and status
};

// Reason of the wipe of a store whose marker is older than the tombstones that it may have missed. It is only a suspicion:
// if nothing but control records lies between marker and end, the store is as good as at the end.
inline constexpr std::string_view kReasonTooOld =
    "the store is older than the changelog keeps tombstones";

// REQUIRES: begin <= end. A new store of an empty changelog is kUseLocal.
[[nodiscard]] RestorePlan PlanRestore(const RestoreInput& input);

}  // namespace coho
