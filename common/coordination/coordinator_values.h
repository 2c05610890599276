// What goes into a Coordinator and what comes out of it. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/contract/event_reason.h"
#include "common/model/assignment.h"

namespace coho {

struct CoordinatorOptions {
  int32_t workers = 1;  // desired: ids 0 .. workers-1; higher ids are emptied
  Duration session_timeout = std::chrono::seconds(6);
  Duration homecoming_timeout = std::chrono::minutes(5);
  // The first assignment waits this long after the first worker appeared for the others, so that
  // tasks are not moved at once.
  Duration first_assignment_wait = std::chrono::seconds(10);
  // False: guarantee AtLeastOnce. Nothing can be fenced: what a worker lost is waited out until the
  // leases of all its processes are over.
  bool transactions = true;
  // Ids that begin with "<prefix>-worker-<worker>-loop-" are recorded, and so may be fenced with
  // our credentials; no others. Empty: all are, for tests.
  std::string topic_prefix = {};
  friend bool operator==(const CoordinatorOptions&, const CoordinatorOptions&) = default;
};

// What Kubernetes knows of a worker's pod, sooner than heartbeats can tell.
struct PodFact {
  bool exists = false;
  bool running = false;    // its container runs
  bool node_lost = false;  // its node object is gone or out of service
};

// Actions. The driver performs them in order and answers with OnWritten / OnFenced; at most one
// write and one fence per worker are under way at a time.
struct WriteRecords {  // one Kafka transaction
  std::vector<TopicRecord> records;
  Generation generation;  // the generation they make; unchanged generation for model/locality only
};
struct FenceWorker {
  WorkerId worker;
  std::vector<std::string> transactional_ids;
};
struct EmitEvent {
  bool warning = false;
  EventReason reason = EventReason::kAssignmentChanged;
  std::string message;
};
using CoordinatorAction = std::variant<WriteRecords, FenceWorker, EmitEvent>;
using CoordinatorActions = std::vector<CoordinatorAction>;

enum class WorkerStanding {
  kUnknown,
  kAlive,
  kSilent,
  kLost
};  // silent: past its session; lost: past its homecoming

struct CoordinatorWorker {
  WorkerStanding standing = WorkerStanding::kUnknown;
  std::string incarnation;
  WorkerPhase phase = WorkerPhase::kStarting;
  Generation acknowledged;
  std::optional<WorkerReport> report;  // latest; survives small heartbeats
  MonotonicTime last_heard;
};

}  // namespace coho
