#include "common/contract/problem_reason.h"

#include <array>

#include "common/base/check.h"

namespace coho {
namespace {

using Reason = ProblemReason;

// In the order of the enum.
constexpr std::array<ProblemMeaning, 23> kMeanings = {{
    {Reason::kInvalidSpec, "InvalidSpec", false, false, kExitJobFile},
    {Reason::kSecretMissing, "SecretMissing", false, false, kExitKafkaCredentials},
    {Reason::kSecretUnreadable, "SecretUnreadable", false, false, kExitKafkaCredentials},
    {Reason::kTopicPrefixTaken, "TopicPrefixTaken", false, false, kExitJobFile},
    {Reason::kKafkaUnreachable, "KafkaUnreachable", true, true, kExitKafkaUnavailable},
    {Reason::kKafkaAuthenticationFailed, "KafkaAuthenticationFailed", true, false,
     kExitKafkaCredentials},
    {Reason::kKafkaError, "KafkaError", true, true, kExitKafkaUnavailable},
    {Reason::kTopicMissing, "TopicMissing", false, false, kExitKafkaUnavailable},
    {Reason::kPartitionCountsDiffer, "PartitionCountsDiffer", false, false, kExitJobFile},
    {Reason::kPartitionCountChanged, "PartitionCountChanged", false, false, kExitKafkaUnavailable},
    {Reason::kChangelogUnusable, "ChangelogUnusable", false, false, kExitKafkaUnavailable},
    {Reason::kTooManyWorkers, "TooManyWorkers", false, false, kExitJobFile},
    {Reason::kClaimedByAnother, "ClaimedByAnother", false, true, kExitJobFile},
    {Reason::kLeftoverTopics, "LeftoverTopics", false, false, kExitJobFile},
    {Reason::kOtherKafkaCluster, "OtherKafkaCluster", false, false, kExitStateRefused},
    {Reason::kInputRecreated, "InputRecreated", false, false, kExitStateRefused},
    {Reason::kChangelogVanished, "ChangelogVanished", false, false, kExitStateRefused},
    {Reason::kCoordinatorFenced, "CoordinatorFenced", false, true, kExitKafkaUnavailable},
    {Reason::kUnreadableRecord, "UnreadableRecord", false, false, kExitJobFile},
    {Reason::kNameTaken, "NameTaken", false, true, kExitInternal},
    {Reason::kBeingCleanedUp, "BeingCleanedUp", false, true, kExitInternal},
    {Reason::kWriteRefused, "WriteRefused", false, true, kExitInternal},
    {Reason::kInternalError, "InternalError", false, true, kExitInternal},
}};

}  // namespace

std::span<const ProblemMeaning> ProblemMeanings() { return kMeanings; }

const ProblemMeaning& MeaningOf(ProblemReason reason) {
  const auto index = static_cast<size_t>(reason);
  COHO_CHECK(index < kMeanings.size() && kMeanings[index].reason == reason,
             "the table of problems follows the enum");
  return kMeanings[index];
}

}  // namespace coho
