// What workers report: the values that travel through the heartbeats topic. Values; no IO here.
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
#include "common/model/copies.h"

namespace coho {

enum class TaskState { kClosed, kStarting, kRestoring, kRunning, kStandby, kClosing, kFailed };
[[nodiscard]] std::string_view TaskStateName(TaskState state);  // "Restoring"

// How a task's stores were brought home at its last start; shown in status ("local state",
// "replayed 120 of 5000 records").
enum class RestoreSource { kNone, kLocal, kReplay, kWiped };
[[nodiscard]] std::string_view RestoreSourceName(RestoreSource source);  // "Replay"

struct TaskReport {
  TaskId task;
  TaskState state = TaskState::kClosed;
  RestoreSource restore_source = RestoreSource::kNone;
  int64_t restored_records = 0;  // so far, in the latest restore
  int64_t restore_total = 0;     // records (offsets) the latest restore has to replay
  // Records between the processed position and the inputs' ends; -1: unknown.
  int64_t lag = 0;
  int64_t changelog_position = 0;  // sum over stores of the markers' positions
  int64_t state_bytes = 0;
  std::vector<StoreCopy> stores = {};  // sorted by name
  friend bool operator==(const TaskReport&, const TaskReport&) = default;
};

struct WorkerReport {
  std::string node;
  std::string zone;
  std::string pod;
  std::string volume;
  std::string disk_id;                         // of the state directory; a wiped one has a new id
  std::string version;                         // of the worker binary
  std::vector<std::string> transactional_ids;  // the ids this process wants to use
  std::vector<TaskReport> tasks;               // tasks it runs, sorted
  // Other tasks' state that lies in its state directory (state kClosed), sorted.
  std::vector<TaskReport> on_disk;
  // There was no room for all: what of its disk is not named here is unknown, not gone.
  bool partial = false;
  std::string problem;  // why it cannot work, for people; empty: none
  friend bool operator==(const WorkerReport&, const WorkerReport&) = default;
};

// kGone: goodbye, nothing runs any more.
enum class WorkerPhase { kStarting, kRunning, kDraining, kGone };
[[nodiscard]] std::string_view WorkerPhaseName(WorkerPhase phase);

// Heartbeats topic, key "<worker>". A few bytes each; the report goes along when it changed, and
// every half minute.
struct Heartbeat {
  WorkerId worker;
  std::string incarnation;  // new for each process
  int64_t sequence = 0;     // grows by one in an incarnation
  WorkerPhase phase = WorkerPhase::kStarting;
  std::string life = {};  // of the coordinator topic that it follows; empty: none read yet
  // This generation was read and obeyed: what it does not give to this worker is committed and
  // closed here. It proves nothing about another process that may use the same ids.
  Generation acknowledged;
  // What does: a transaction begun on this id after the generation was read has been committed, so
  // that no process that used the id before can commit any more, and whoever uses it later sees
  // the generation.
  std::map<std::string, Generation> proven = {};
  std::optional<WorkerReport> report = std::nullopt;
  // How long this process may go unheard by the job that it was started with, and without
  // transactions go on; zero: not said.
  Duration session = {};
  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};

struct TopicRecord;
[[nodiscard]] TopicRecord EncodeHeartbeat(const Heartbeat& heartbeat);
[[nodiscard]] Result<Heartbeat> DecodeHeartbeat(std::string_view value);

}  // namespace coho
