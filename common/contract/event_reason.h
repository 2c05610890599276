// The reasons of events that tell of something that happened. An event may also carry the reason of
// a problem (problem_reason.h) or of a worker's trouble, as the condition does that it announces.
// Values; no IO.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace coho {

enum class EventReason : uint8_t {
  // The coordinator's.
  kAssignmentChanged,
  kTaskMoved,
  kWorkerStopped,
  kWorkerSilent,
  kWorkerReturned,
  kWorkerLost,
  kWorkerFenced,
  kInvariantBroken,
  kTopicsAdopted,  // topics of an earlier life are this job's from now on
  kClaimTaken,     // this coordinator took the job over from another
  // The operator's.
  kReady,
  kRecovered,
  kWorkersCreated,
  kWorkerRemoved,
  kWorkerReplaced,
  kStateVolumeAbandoned,
};

struct EventMeaning {
  EventReason reason;
  std::string_view name;
};

[[nodiscard]] std::span<const EventMeaning> EventMeanings();
[[nodiscard]] std::string_view NameOf(EventReason reason);

}  // namespace coho
