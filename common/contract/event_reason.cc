#include "common/contract/event_reason.h"

#include <array>

#include "common/base/check.h"

namespace coho {
namespace {

using Reason = EventReason;

// In the order of the enum.
constexpr std::array<EventMeaning, 16> kMeanings = {{
    {Reason::kAssignmentChanged, "AssignmentChanged"},
    {Reason::kTaskMoved, "TaskMoved"},
    {Reason::kWorkerStopped, "WorkerStopped"},
    {Reason::kWorkerSilent, "WorkerSilent"},
    {Reason::kWorkerReturned, "WorkerReturned"},
    {Reason::kWorkerLost, "WorkerLost"},
    {Reason::kWorkerFenced, "WorkerFenced"},
    {Reason::kInvariantBroken, "InvariantBroken"},
    {Reason::kTopicsAdopted, "TopicsAdopted"},
    {Reason::kClaimTaken, "ClaimTaken"},
    {Reason::kReady, "Ready"},
    {Reason::kRecovered, "Recovered"},
    {Reason::kWorkersCreated, "WorkersCreated"},
    {Reason::kWorkerRemoved, "WorkerRemoved"},
    {Reason::kWorkerReplaced, "WorkerReplaced"},
    {Reason::kStateVolumeAbandoned, "StateVolumeAbandoned"},
}};

}  // namespace

std::span<const EventMeaning> EventMeanings() { return kMeanings; }

std::string_view NameOf(EventReason reason) {
  const auto index = static_cast<size_t>(reason);
  COHO_CHECK(index < kMeanings.size() && kMeanings[index].reason == reason,
             "the table of events follows the enum");
  return kMeanings[index].name;
}

}  // namespace coho
