// Decides how a task's local store is brought to the end of its changelog before processing starts.
// Pure: no IO, no clock. Recomputed from disk and broker at every start.
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
  std::string changelog_topic;          // empty: a store without changelog; begin and end are 0
  std::string changelog_topic_id = {};  // empty: unknown
  std::string kafka_cluster_id = {};    // empty: unknown
  int32_t partition = 0;
  // Guarantee ExactlyOnce: whatever is written to the changelog is followed by a control record.
  bool transactional = true;
  std::optional<StoreMarker> marker = {};  // nullopt: none in the store, or the store is new
  bool corrupt = false;                    // the store could not be opened
  int64_t begin = 0;                       // of the changelog
  int64_t end = 0;                         // last stable offset
  Duration delete_retention{};             // of the topic
  WallTime now = {};
  // Of the task, for a store without changelog; nullopt: there are none anywhere.
  std::optional<Positions> positions = {};
};

enum class RestoreMode { kUseLocal, kReplayFromMarker, kWipeAndReplay, kRefuse };
[[nodiscard]] std::string_view RestoreModeName(RestoreMode mode);  // "UseLocal"

struct RestorePlan {
  RestoreMode mode = RestoreMode::kUseLocal;
  int64_t from = 0;         // first offset to apply
  int64_t to = 0;           // stop before it
  std::string_view reason;  // static text, for log and status
};

// With a changelog, in this order:
//   the store is at the changelog's end, or only the control record of its own last commit follows
//   use local the changelog lost what the store says was committed: it ends before the store, or is
//   empty           refuse the store is of another job, topic, topic id, cluster or partition, or
//   ends before the changelog begins; or it is older than tombstones are kept, less a tenth for the
//   time that a replay takes         wipe otherwise
//   replay
// Without one a store is exact or nothing: at the task's last commit it is used, left behind by an
// earlier stay or by a crash it is wiped, ahead of the task or of another job it is refused.
// Never wiped is what may be the last copy. REQUIRES: begin <= end.
[[nodiscard]] RestorePlan PlanRestore(const RestoreInput& input);

// Whether how long the topic keeps tombstones matters to the plan.
[[nodiscard]] bool NeedsRetention(const RestoreInput& input);

}  // namespace coho
