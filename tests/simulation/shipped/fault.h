// What can happen to a world. Values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/clock.h"

namespace coho::simulation {

enum class FaultKind {
  kKillWorker,
  kStopWorker,
  kFreezeWorker,
  kSleepMachine,  // frozen, and its monotonic clock stands still
  kDoubleWorker,  // a second process of the same worker, on another disk
  kCutWorker,
  kWipeDisk,  // with its process
  kFullDisk,
  kKillAll,
  kKillOperator,
  kFreezeOperator,
  kCutOperator,
  kRivalOperator,
  kForeignOperator,  // with another transactional id
  kKafkaAway,
  kLeaderAway,
  kCoordinatorAway,  // Kafka's, of a transactional id or a group
  kScale,
  kExpireOffsets,
  kCompact,
  kJumpClock,
  kLongStop,  // nothing runs for days; offsets expire, the cleaner comes by
  kRemakeHeartbeats,
  kAddInput,
  kLateTwin,  // a process that was frozen while it started goes on behind its successor
  kCorruptDisk,
  kCompactReplayed,
  kLongFreeze,  // of a worker that is not needed any more; the cleaner comes by
  kMuteWorker,  // its heartbeats are lost, and nothing else
  // Rare: what the data has to show grows less.
  kRetire,
  // After these the job may refuse to go on, but what comes out must be right.
  kRemakeInput,
  kDeleteChangelog,
  kDeleteCoordinatorTopic,
  kLoseEnds,  // of the topics with the job's state
  kLoseRecords,
  kSpoilRecord,  // of the coordinator topic
  // In some worlds only, which have company; the last ones rare, and the job may refuse.
  kPowerCut,  // of all nodes with workers; they are back together
  kBadEdit,
  kThrottleOperator,   // Kafka answers it, but for what it reads
  kRivalInstallation,  // of the same job, in another Kubernetes cluster
  kUnheardTwin,        // a process that nobody hears of takes over, and the first one is stopped
  kStrangeHeartbeat,   // somebody speaks for a worker, and names ids that are not its own
  kStrangeRecord,      // a person writes to the coordinator topic
  kRemakeCoordinatorTopic,
  kNewLife,       // the coordinator topic is lost, and the job taken over without it
  kRestartStorm,  // one process of a worker after the other, each for a moment; the first one wakes
  kLateMarkers,   // of a generation that takes tasks away from a worker, which comes back meanwhile
  kCutWrite,      // the coordinator cannot be reached when a generation is about to be decided
  kHungTask,      // user code stands still, and heartbeats get lost; they arrive again first
  kLateInput,     // an input is added that is not there yet
  kHalfTwin,      // of two loops' ids one process has one, and another one the other
  kMany,
};
inline constexpr size_t kFaultKinds = static_cast<size_t>(FaultKind::kMany);
[[nodiscard]] const char* NameOf(FaultKind kind);

struct Fault {
  Duration at{};
  FaultKind kind = FaultKind::kKillWorker;
  int64_t which = 0;  // of whatever there is then
  Duration lasts{};
};

}  // namespace coho::simulation
