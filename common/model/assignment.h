// What the coordinator decides and what workers report: the values that travel through the coordinator and heartbeats
// topics, and their one wire form (versioned JSON). Values; no IO here.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/status.h"

namespace coho {

struct Job;

// Pinned at the job's first start (coordinator topic, key "model"): partition counts never change silently after it.
struct JobModel {
  int32_t tasks = 0;                                // = max partition count over the inputs
  std::map<std::string, int32_t> input_partitions;  // topic -> partitions
  std::map<std::string, std::string>
      changelogs;  // store -> changelog topic (stores with changelog only)
  friend bool operator==(const JobModel&, const JobModel&) = default;
};

// One worker's part of an assignment (coordinator topic, key "worker/<id>"). All records of a generation are written in one
// Kafka transaction together with the AssignmentHeader, so a reader sees all or none.
struct WorkerAssignment {
  Generation generation;        // the generation in which this record last changed
  std::vector<TaskId> active;   // sorted
  std::vector<TaskId> standby;  // sorted; always empty until standbys exist
  std::vector<std::string>
      transactional_ids;  // ids recorded for this worker; it may use no others (R1)
  friend bool operator==(const WorkerAssignment&, const WorkerAssignment&) = default;
};

// Coordinator topic, key "assignment": closes a generation.
struct AssignmentHeader {
  Generation generation;
  std::string reason;  // why this generation was made; for people
  int64_t written_at_ms = 0;
  friend bool operator==(const AssignmentHeader&, const AssignmentHeader&) = default;
};

struct Assignment {
  Generation generation;
  std::string reason;
  std::map<WorkerId, WorkerAssignment> workers;
  friend bool operator==(const Assignment&, const Assignment&) = default;
};

// Where a task's state lies (coordinator topic, key "locality": all of it in one record).
struct TaskLocality {
  WorkerId worker;
  std::string node;                // Kubernetes node name; host name in standalone mode
  std::string zone;                // topology.kubernetes.io/zone; may be empty
  std::string volume;              // PersistentVolume or state directory
  int64_t changelog_position = 0;  // sum over stores
  int64_t bytes = 0;
  int64_t seen_at_ms = 0;
  friend bool operator==(const TaskLocality&, const TaskLocality&) = default;
};
using Locality = std::map<TaskId, TaskLocality>;

enum class TaskState { kClosed, kStarting, kRestoring, kRunning, kStandby, kClosing, kFailed };
[[nodiscard]] std::string_view TaskStateName(TaskState state);  // "Restoring"

// How a task's stores were brought home at its last start; shown in status ("local state", "replayed 120 of 5000 records").
enum class RestoreSource { kNone, kLocal, kReplay, kWiped };
[[nodiscard]] std::string_view RestoreSourceName(
    RestoreSource source);  // "None", "Local", "Replay", "Wiped"

struct TaskReport {
  TaskId task;
  TaskState state = TaskState::kClosed;
  RestoreSource restore_source = RestoreSource::kNone;
  int64_t restored_records = 0;  // so far, in the latest restore
  int64_t restore_total = 0;     // records (offsets) the latest restore has to replay
  int64_t lag = 0;  // records between the processed position and the inputs' ends; -1 unknown
  int64_t changelog_position = 0;  // sum over stores of the markers' positions
  int64_t state_bytes = 0;
  friend bool operator==(const TaskReport&, const TaskReport&) = default;
};

struct WorkerReport {
  std::string node;
  std::string zone;
  std::string pod;
  std::string volume;
  std::string version;                         // of the worker binary
  std::vector<std::string> transactional_ids;  // the ids this process wants to use
  std::vector<TaskReport> tasks;               // tasks it runs, sorted
  std::vector<TaskReport>
      on_disk;          // other tasks' state that lies in its state directory (state kClosed)
  std::string problem;  // why it cannot work, for people; empty: none
  friend bool operator==(const WorkerReport&, const WorkerReport&) = default;
};

enum class WorkerPhase {
  kStarting,
  kRunning,
  kDraining,
  kGone
};  // kGone: goodbye, nothing runs any more
[[nodiscard]] std::string_view WorkerPhaseName(WorkerPhase phase);

// Heartbeats topic, key "<worker>". A few bytes each; the report goes along when it changed, and every half minute.
struct Heartbeat {
  WorkerId worker;
  std::string incarnation;  // new for each process
  int64_t sequence = 0;     // grows by one in an incarnation
  WorkerPhase phase = WorkerPhase::kStarting;
  // Every task that this generation (or an earlier one) does not give to this worker is committed and closed here.
  Generation acknowledged;
  std::optional<WorkerReport> report;
  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};

// Everything that the coordinator topic holds, folded by key.
struct CoordinatorState {
  std::optional<JobModel> model;
  Assignment assignment;
  Locality locality;
  friend bool operator==(const CoordinatorState&, const CoordinatorState&) = default;
};

struct TopicRecord {
  std::string key;
  std::string value;  // empty value with `tombstone`: delete
  bool tombstone = false;
  friend bool operator==(const TopicRecord&, const TopicRecord&) = default;
};

// Wire form. Encoders return what is to be written; a decoder's error names the record's key and field.
[[nodiscard]] TopicRecord EncodeModel(const JobModel& model);
[[nodiscard]] TopicRecord EncodeLocality(const Locality& locality);
// The records that turn `before` into `after` (changed workers, tombstones for vanished ones, the header last).
[[nodiscard]] std::vector<TopicRecord> EncodeAssignmentChange(const Assignment& before,
                                                              const Assignment& after,
                                                              WallTime now);
// Folds one committed record of the coordinator topic into `state`. Unknown keys are ignored (written by a later version).
[[nodiscard]] Status ApplyCoordinatorRecord(const TopicRecord& record, CoordinatorState* state);

[[nodiscard]] TopicRecord EncodeHeartbeat(const Heartbeat& heartbeat);
[[nodiscard]] Result<Heartbeat> DecodeHeartbeat(std::string_view value);

// The model that these partition counts give: as many tasks as the widest input has partitions.
// REQUIRES: every input topic is in `partitions`.

[[nodiscard]] JobModel MakeJobModel(const Job& job,
                                    const std::map<std::string, int32_t>& partitions);

}  // namespace coho
