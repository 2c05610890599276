// Why a job cannot run, or runs worse than it could: the reason that its conditions, its events and
// the worker's last line carry. The table beside it says what follows from each, so that nobody
// compares names. Values; no IO.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "common/contract/exit_codes.h"

namespace coho {

enum class ProblemReason : uint8_t {
  // Of the spec and of what it names.
  kInvalidSpec,
  kSecretMissing,
  kSecretUnreadable,
  kTopicPrefixTaken,  // another job of this installation has it
  // Of Kafka.
  kKafkaUnreachable,
  kKafkaAuthenticationFailed,
  kKafkaError,
  // Of the job's topics.
  kTopicMissing,
  kPartitionCountsDiffer,
  kPartitionCountChanged,
  kChangelogUnusable,
  kTooManyWorkers,
  // Of identity: what was found is not what this job left.
  kClaimedByAnother,   // the coordinator topic belongs to a live job elsewhere
  kLeftoverTopics,     // the topics are of an earlier life, and spec.state.onLeftover is Refuse
  kOtherKafkaCluster,  // not the Kafka cluster that the job was started on
  kInputRecreated,     // an input has another topic id than the one that was pinned
  kChangelogVanished,  // a changelog is gone or made anew while positions are committed
  kCoordinatorFenced,  // another coordinator took the job over
  kUnreadableRecord,   // of the coordinator topic
  // Of Kubernetes.
  kNameTaken,       // an object of somebody else has one of our names
  kBeingCleanedUp,  // objects of an earlier StreamJob of this name still go away
  kWriteRefused,
  // A defect of Coho that was caught.
  kInternalError,
};

struct ProblemMeaning {
  ProblemReason reason;
  std::string_view name;
  // Kafka does not answer us: then no heartbeat says anything, and what is deleted could not come
  // back.
  bool kafka_away = false;
  // Nothing in the spec needs to be wrong: it may go away by itself.
  bool may_pass = false;
  // Of a worker that coordinates itself and cannot start the job.
  ExitCode exit_code = kExitKafkaUnavailable;
};

[[nodiscard]] std::span<const ProblemMeaning> ProblemMeanings();
[[nodiscard]] const ProblemMeaning& MeaningOf(ProblemReason reason);
[[nodiscard]] inline std::string_view NameOf(ProblemReason reason) {
  return MeaningOf(reason).name;
}

}  // namespace coho
