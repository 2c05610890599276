// A worker's side of the coordination protocol as a state machine: what it heard and what its loops tell come in as events, what to do
// goes out as actions (DESIGN 5, R1). The thread around it reads Kafka, performs actions, and decides nothing.
//
// Pure: no clock, no IO, no logging; times come in as arguments. Thread-compatible.
//
//   Starting ── producers initialised, coordinator topic read to its end ──► Running ── stop ──► Draining ── loops stopped ──► Gone
//                                                                             │   ▲
//                                                     a loop was fenced ──────┘   └── topic read to its end once more
//
// What it holds to: only growing generations are obeyed; a task starts only after the topic was read to its end *after* the
// producers were initialised, and only when all the transactional ids in use are recorded; a generation is acknowledged only
// when every task that it does not give to this worker is committed and closed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/model/assignment.h"

namespace coho {

struct MemberOptions {
  std::vector<std::string> transactional_ids;  // that this process uses
  int32_t loops = 1;
  Duration heartbeat_interval = std::chrono::seconds(1);
  // A heartbeat carries the full report at most this often when a task's state changed, when figures changed, and at least.
  Duration states_interval = std::chrono::seconds(1);
  Duration figures_interval = std::chrono::seconds(5);
  Duration report_interval = std::chrono::seconds(30);
  // So many fences of one loop within this time are a fight.
  int fences_most = 5;
  Duration fences_within = std::chrono::minutes(2);
};

// Fence these ids before the grants that follow: they are recorded for this worker, this process does not use them, and an older
// one with more run loops, which may still live, does.
struct FenceIds {
  std::vector<std::string> ids;
  friend bool operator==(const FenceIds&, const FenceIds&) = default;
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
// Read the coordinator topic to where it ends now, then OnCaughtUp with this number.
struct ReadToEnd {
  int64_t number = 0;
  friend bool operator==(const ReadToEnd&, const ReadToEnd&) = default;
};
struct SendHeartbeat {
  int64_t sequence = 0;
  WorkerPhase phase = WorkerPhase::kStarting;
  Generation acknowledged;
  bool with_report = false;
  friend bool operator==(const SendHeartbeat&, const SendHeartbeat&) = default;
};
struct DrainLoops {  // answered by OnTaskClosed for each task, and OnLoopsStopped
  friend bool operator==(const DrainLoops&, const DrainLoops&) = default;
};
// The loop drops what it may still have and initialises its producer anew; answered by OnLoopReady.
struct RejoinLoop {
  int32_t loop = 0;
  friend bool operator==(const RejoinLoop&, const RejoinLoop&) = default;
};
// A loop was fenced again and again: another process runs under this worker's id, and the two only hinder each other.
struct Surrender {
  friend bool operator==(const Surrender&, const Surrender&) = default;
};
using MemberAction = std::variant<GrantTask, RevokeTask, ReadToEnd, SendHeartbeat, DrainLoops,
                                  RejoinLoop, FenceIds, Surrender>;
using MemberActions = std::vector<MemberAction>;

enum class ReportChange { kFigures, kStates };

class MemberState {
 public:
  MemberState(MemberOptions options, MonotonicTime now);

  // The loop's producer is initialised, at its start or after RejoinLoop.
  [[nodiscard]] MemberActions OnLoopReady(int32_t loop, MonotonicTime now);
  // A closed generation, in the order of the topic; `mine`: this worker's part, if it has one.
  [[nodiscard]] MemberActions OnAssignment(Generation generation,
                                           const std::optional<WorkerAssignment>& mine,
                                           MonotonicTime now);
  [[nodiscard]] MemberActions OnCaughtUp(int64_t number, MonotonicTime now);
  [[nodiscard]] MemberActions OnTaskClosed(TaskId task, int64_t grant, MonotonicTime now);
  // The loop dropped its tasks and its producer.
  [[nodiscard]] MemberActions OnLoopFenced(int32_t loop, MonotonicTime now);
  [[nodiscard]] MemberActions OnReportChanged(ReportChange change, MonotonicTime now);
  [[nodiscard]] MemberActions OnTick(MonotonicTime now);
  [[nodiscard]] MemberActions OnStop(MonotonicTime now);
  [[nodiscard]] MemberActions OnLoopsStopped(MonotonicTime now);

  // When OnTick has something to do at the latest.
  [[nodiscard]] MonotonicTime next_tick() const;
  [[nodiscard]] WorkerPhase phase() const { return phase_; }
  [[nodiscard]] Generation generation() const { return generation_; }
  [[nodiscard]] Generation acknowledged() const { return acknowledged_; }
  [[nodiscard]] bool loops_ready() const { return not_ready_.empty(); }
  // The topic was read to its end since producers were last initialised.
  [[nodiscard]] bool caught_up() const { return caught_up_; }
  // The last assignment names this worker, and all its transactional ids are recorded.
  [[nodiscard]] bool named() const { return mine_.has_value() && ids_recorded_; }
  // Tasks to be run here by what is known.
  [[nodiscard]] std::set<TaskId> given() const;
  [[nodiscard]] bool closing() const;

 private:
  enum class Held { kOpen, kClosing };
  struct Holding {
    int32_t loop = 0;
    int64_t grant = 0;
    Held held = Held::kOpen;
  };

  void Reconcile(MemberActions* actions);
  void Beat(MonotonicTime now, bool with_report, MemberActions* actions);
  void Acknowledge(MonotonicTime now, MemberActions* actions);
  [[nodiscard]] int32_t EmptiestLoop() const;
  [[nodiscard]] bool ReportDue(MonotonicTime now) const;

  const MemberOptions options_;
  WorkerPhase phase_ = WorkerPhase::kStarting;
  std::set<int32_t> not_ready_;  // loops
  bool caught_up_ = false;
  int64_t read_number_ = 0;
  Generation generation_;
  Generation acknowledged_;
  std::optional<WorkerAssignment> mine_;
  bool fenced_at_the_end_ = false;  // while draining
  bool ids_recorded_ = false;
  std::set<std::string> fenced_ids_;  // since producers were last initialised
  std::map<TaskId, Holding> holdings_;
  std::map<int32_t, std::vector<MonotonicTime>> fences_;  // of each loop, the recent ones
  int64_t grants_ = 0;
  int64_t sequence_ = 0;
  MonotonicTime next_beat_;
  std::optional<MonotonicTime> reported_at_;
  bool states_changed_ = false;
  bool figures_changed_ = false;
};

}  // namespace coho
