// What goes into a MemberState and what comes out of it. Values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/model/assignment.h"

namespace coho {

struct MemberOptions {
  std::string incarnation;                     // of this process
  std::vector<std::string> transactional_ids;  // that this process uses, one per loop
  int32_t loops = 1;
  // False: guarantee AtLeastOnce. There is nothing to prove with, so a task runs only in the
  // process that the assignment names.
  bool transactions = true;
  Duration heartbeat_interval = std::chrono::seconds(1);
  // A heartbeat carries the full report at most this often when a task's state changed, when
  // figures changed, and at least.
  Duration states_interval = std::chrono::seconds(1);
  Duration figures_interval = std::chrono::seconds(5);
  Duration report_interval = std::chrono::seconds(30);
  // So many fences of one loop within this time are a fight.
  int fences_most = 5;
  Duration fences_within = std::chrono::minutes(2);
};

// A closed generation as this worker sees it.
struct MemberAssignment {
  Generation generation;
  std::string life;                      // of the coordinator topic
  std::optional<WorkerAssignment> mine;  // this worker's part, if it has one
  // What of the job the model does not hold yet; empty: nothing. Until then no task may start: it
  // would leave the missing input unread.
  std::string missing_in_model;
};

// Fence these ids before the grants that follow: they are recorded for this worker, this process
// does not use them, and an older one with more run loops, which may still live, does. Answered by
// OnForeignIdsFenced.
struct FenceForeignIds {
  std::vector<std::string> ids;
  friend bool operator==(const FenceForeignIds&, const FenceForeignIds&) = default;
};
struct GrantTask {
  int32_t loop = 0;
  TaskId task;
  int64_t grant = 0;  // number of the grant, so that late answers to an earlier one are told apart
  friend bool operator==(const GrantTask&, const GrantTask&) = default;
};
struct RevokeTask {  // answered by OnTaskClosed
  int32_t loop = 0;
  TaskId task;
  int64_t grant = 0;
  friend bool operator==(const RevokeTask&, const RevokeTask&) = default;
};
// Commit a transaction begun after this on the loop's producer, then OnLoopProved with this
// generation.
struct ProveLoop {
  int32_t loop = 0;
  Generation generation;
  friend bool operator==(const ProveLoop&, const ProveLoop&) = default;
};
// Read the coordinator topic from its begin to where it ends now, then OnCaughtUp with this number.
struct ReadToEnd {
  int64_t number = 0;
  friend bool operator==(const ReadToEnd&, const ReadToEnd&) = default;
};
struct SendHeartbeat {
  int64_t sequence = 0;
  WorkerPhase phase = WorkerPhase::kStarting;
  std::string life = {};
  Generation acknowledged;
  std::map<std::string, Generation> proven = {};
  bool with_report = false;
  friend bool operator==(const SendHeartbeat&, const SendHeartbeat&) = default;
};
struct DrainLoops {  // answered by OnTaskClosed for each task, and OnLoopsStopped
  friend bool operator==(const DrainLoops&, const DrainLoops&) = default;
};
// The loop drops what it may still have and initialises its producer anew; answered by OnLoopReady
// with this number.
struct RejoinLoop {
  int32_t loop = 0;
  int64_t join = 0;
  friend bool operator==(const RejoinLoop&, const RejoinLoop&) = default;
};
// Another process runs under this worker's id: this one ends.
struct Surrender {
  std::string why;  // for people; follows "another process runs as worker 0 of job a.b"
  friend bool operator==(const Surrender&, const Surrender&) = default;
};
using MemberAction = std::variant<GrantTask, RevokeTask, ProveLoop, ReadToEnd, SendHeartbeat,
                                  DrainLoops, RejoinLoop, FenceForeignIds, Surrender>;
using MemberActions = std::vector<MemberAction>;

enum class ReportChange { kFigures, kStates };

}  // namespace coho
