#include "worker/restore/plan.h"

namespace coho {

namespace {

RestorePlan Wipe(const RestoreInput& input, std::string_view reason) {
  return {RestoreMode::kWipeAndReplay, input.begin, input.end, reason};
}

// A store without changelog: there is nothing to replay, so what lies here is all there is.
RestorePlan PlanWithoutChangelog(const RestoreInput& input) {
  if (input.corrupt)
    return {RestoreMode::kWipeAndReplay, 0, 0, "the store is corrupt and has no changelog"};
  if (!input.marker) return {RestoreMode::kUseLocal, 0, 0, "new store"};
  if (input.marker->job_id != input.job_id || input.marker->partition != input.partition) {
    return {RestoreMode::kWipeAndReplay, 0, 0, "the store is of another job or task"};
  }
  return {RestoreMode::kUseLocal, 0, 0, "the store has no changelog"};
}

}  // namespace

RestorePlan PlanRestore(const RestoreInput& input) {
  if (input.changelog_topic.empty()) return PlanWithoutChangelog(input);
  if (input.corrupt) return Wipe(input, "the store is corrupt");
  if (!input.marker) {
    if (input.begin == input.end)
      return {RestoreMode::kUseLocal, input.end, input.end, "new store"};
    return Wipe(input, "no local state");
  }
  const StoreMarker& marker = *input.marker;
  if (marker.job_id != input.job_id) return Wipe(input, "the store is of another job");
  if (marker.changelog_topic != input.changelog_topic)
    return Wipe(input, "the store is of another changelog topic");
  if (marker.partition != input.partition) return Wipe(input, "the store is of another partition");
  if (marker.position < input.begin)
    return Wipe(input, "the store ends before the changelog begins");
  if (marker.position > input.end)
    return Wipe(input, "the store ends after the changelog: the topic is another one now");
  if (marker.position == input.end)
    return {RestoreMode::kUseLocal, input.end, input.end, "the store is at the changelog's end"};
  if (FromUnixMillis(marker.commit_time_ms) + input.delete_retention < input.now) {
    return Wipe(input, kReasonTooOld);
  }
  return {RestoreMode::kReplayFromMarker, marker.position, input.end,
          "the store is behind its changelog"};
}

std::string_view RestoreModeName(RestoreMode mode) {
  switch (mode) {
    case RestoreMode::kUseLocal:
      return "UseLocal";
    case RestoreMode::kReplayFromMarker:
      return "ReplayFromMarker";
    case RestoreMode::kWipeAndReplay:
      return "WipeAndReplay";
  }
  return "Unknown";
}

}  // namespace coho
