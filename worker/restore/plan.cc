#include "worker/restore/plan.h"

#include "common/base/mutant.h"

namespace coho {

namespace {

// Part of the time tombstones are kept that a replay may take.
constexpr int kRetentionMargin = 10;

RestorePlan UseLocal(const RestoreInput& input, std::string_view reason) {
  return {RestoreMode::kUseLocal, input.end, input.end, reason};
}
RestorePlan Wipe(const RestoreInput& input, std::string_view reason) {
  return {RestoreMode::kWipeAndReplay, input.begin, input.end, reason};
}
RestorePlan Refuse(const RestoreInput& input, std::string_view reason) {
  COHO_SOMETIMES("a store is refused, for its changelog lost what it has");
  if (COHO_MUTANT("wipe-when-changelog-vanished")) return Wipe(input, reason);
  return {RestoreMode::kRefuse, input.begin, input.end, reason};
}

bool Differ(const std::string& a, const std::string& b) {
  return !a.empty() && !b.empty() && a != b;
}

// Why the marker's position says nothing about this changelog; empty: it does.
std::string_view Foreign(const RestoreInput& input) {
  const StoreMarker& marker = *input.marker;
  if (marker.job_id != input.job_id) return "the store is of another job";
  if (Differ(marker.kafka_cluster_id, input.kafka_cluster_id))
    return "the store is of another Kafka cluster";
  if (marker.changelog_topic != input.changelog_topic)
    return "the store is of another changelog topic";
  if (!COHO_MUTANT("topic-id-not-compared") &&
      Differ(marker.changelog_topic_id, input.changelog_topic_id)) {
    return "the changelog topic was made anew since the store was written";
  }
  if (marker.partition != input.partition) return "the store is of another partition";
  return {};
}

// Some position of `a` is ahead of that of `b`.
bool Ahead(const Positions& a, const Positions& b) {
  for (const StoredPosition& p : a) {
    const StoredPosition* other = FindPosition(b, p.topic, p.partition);
    if (other != nullptr && !Differ(p.topic_id, other->topic_id) && p.next > other->next)
      return true;
  }
  return false;
}

RestorePlan PlanWithoutChangelog(const RestoreInput& input) {
  if (input.corrupt) return Wipe(input, "the store is corrupt and has no changelog");
  if (!input.marker) return UseLocal(input, "new store");
  const StoreMarker& marker = *input.marker;
  if (marker.job_id != input.job_id || marker.partition != input.partition)
    return Refuse(input, "the store is of another job or task, and has no changelog");
  // Whether there may be state without positions is the task's question.
  if (!input.positions) return UseLocal(input, "the store has no changelog");
  if (marker.positions == *input.positions)
    return UseLocal(input, "the store has no changelog and is at the task's last commit");
  if (Ahead(marker.positions, *input.positions))
    return Refuse(input, "the store has no changelog and is ahead of the task's last commit");
  COHO_SOMETIMES("a store without changelog is behind its task");
  return Wipe(input, "the store has no changelog and is not at the task's last commit");
}

// A transaction with data takes two offsets at least, its own control record among them.
bool OnlyControlRecordFollows(const RestoreInput& input) {
  return input.transactional && input.end - input.marker->position == 1;
}

bool TombstonesMayBeGone(const RestoreInput& input) {
  const Duration margin = input.delete_retention / kRetentionMargin;
  const WallTime written = FromUnixMillis(input.marker->commit_time_ms);
  // A marker of the future: the clock was or is wrong, and its age is not known.
  if (written > input.now + margin) return true;
  return written + (input.delete_retention - margin) < input.now;
}

}  // namespace

RestorePlan PlanRestore(const RestoreInput& input) {
  if (input.changelog_topic.empty()) return PlanWithoutChangelog(input);
  if (input.corrupt) return Wipe(input, "the store is corrupt");
  const bool empty = input.begin == input.end;
  if (!input.marker) return empty ? UseLocal(input, "new store") : Wipe(input, "no local state");
  const int64_t position = input.marker->position;
  if (const std::string_view reason = Foreign(input); !reason.empty()) {
    const bool last_copy = empty && (position > 0 || !input.marker->positions.empty());
    return last_copy ? Refuse(input, reason) : Wipe(input, reason);
  }
  if (position > input.end)
    return Refuse(input, "the store has more than its changelog, which lost its end");
  if (position == input.end) return UseLocal(input, "the store is at the changelog's end");
  if (empty) return Refuse(input, "the store has more than its changelog, which was emptied");
  if (position < input.begin) return Wipe(input, "the store ends before the changelog begins");
  if (OnlyControlRecordFollows(input)) {
    COHO_SOMETIMES("only the control record of its own commit follows a store");
    return UseLocal(input, "only the control record of its last commit follows the store");
  }
  if (!COHO_MUTANT("tombstones-may-be-gone-ignored") && TombstonesMayBeGone(input)) {
    COHO_SOMETIMES("a store is older than tombstones are kept");
    return Wipe(input, "the store is older than the changelog keeps tombstones");
  }
  return {RestoreMode::kReplayFromMarker, position, input.end, "the store is behind its changelog"};
}

bool NeedsRetention(const RestoreInput& input) {
  return !input.changelog_topic.empty() && !input.corrupt && input.marker &&
         input.marker->position < input.end && !OnlyControlRecordFollows(input);
}

std::string_view RestoreModeName(RestoreMode mode) {
  switch (mode) {
    case RestoreMode::kUseLocal:
      return "UseLocal";
    case RestoreMode::kReplayFromMarker:
      return "ReplayFromMarker";
    case RestoreMode::kWipeAndReplay:
      return "WipeAndReplay";
    case RestoreMode::kRefuse:
      return "Refuse";
  }
  return "Unknown";
}

}  // namespace coho
