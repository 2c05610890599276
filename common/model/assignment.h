// What the coordinator decides: the values that travel through the coordinator topic, and the wire
// form (versioned JSON) of these and of heartbeats. Values; no IO here.
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
#include "common/model/claim.h"
#include "common/model/copies.h"
#include "common/model/heartbeat.h"
#include "common/model/job_model.h"

namespace coho {

// One worker's part of an assignment (coordinator topic, key "worker/<id>"). All records of a
// generation are written in one Kafka transaction together with the AssignmentHeader, so a reader
// sees all or none.
struct WorkerAssignment {
  Generation generation;        // the generation in which this record last changed
  std::vector<TaskId> active;   // sorted
  std::vector<TaskId> standby;  // sorted; always empty until standbys exist
  // Recorded for this worker; it may use no others (R1).
  std::vector<std::string> transactional_ids = {};
  // The process that speaks for the worker, and those that it replaced, the latest last: they are
  // not listened to any more, and end when they read it. Empty: none was heard of yet.
  std::string incarnation = {};
  std::vector<std::string> replaced = {};
  friend bool operator==(const WorkerAssignment&, const WorkerAssignment&) = default;
};

// Coordinator topic, key "assignment": closes a generation.
struct AssignmentHeader {
  Generation generation;
  std::string reason;  // why this generation was made; for people
  std::string life;    // the claim's
  int64_t written_at_ms = 0;
  friend bool operator==(const AssignmentHeader&, const AssignmentHeader&) = default;
};

struct Assignment {
  Generation generation;
  std::string reason;
  std::string life = {};
  std::map<WorkerId, WorkerAssignment> workers = {};
  friend bool operator==(const Assignment&, const Assignment&) = default;
};

// Everything that the coordinator topic holds, folded by key.
struct CoordinatorState {
  std::optional<Claim> claim;
  std::optional<JobModel> model;
  Assignment assignment;
  Copies copies;
  friend bool operator==(const CoordinatorState&, const CoordinatorState&) = default;
};

struct TopicRecord {
  std::string key;
  std::string value;  // empty value with `tombstone`: delete
  bool tombstone = false;
  friend bool operator==(const TopicRecord&, const TopicRecord&) = default;
};

// Wire form. Encoders return what is to be written; a decoder's error names the record's key and
// field. Each record has a format version: a decoder refuses one that it does not know, and ignores
// fields that it does not know.
[[nodiscard]] TopicRecord EncodeClaim(const Claim& claim);
[[nodiscard]] TopicRecord EncodeModel(const JobModel& model);
// Cut to what fits into a message: the largest copies stay.
[[nodiscard]] TopicRecord EncodeCopies(WorkerId worker, const WorkerCopies& copies);
[[nodiscard]] TopicRecord ForgetCopies(WorkerId worker);
// The records that turn `before` into `after` (changed workers, tombstones for vanished ones, the
// header last).
[[nodiscard]] std::vector<TopicRecord> EncodeAssignmentChange(const Assignment& before,
                                                              const Assignment& after,
                                                              WallTime now);
// Workers have no use for copies, which are most of the bytes.
enum class FoldCopies { kYes, kNo };
// Folds one committed record of the coordinator topic into `state`. Unknown keys are ignored
// (written by a later version). Codes: kCorruption; then `state` is as it was.
[[nodiscard]] Status ApplyCoordinatorRecord(const TopicRecord& record, CoordinatorState* state,
                                            FoldCopies copies = FoldCopies::kYes);

}  // namespace coho
