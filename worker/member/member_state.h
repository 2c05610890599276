// A worker's side of the coordination protocol as a state machine: what it heard and what its loops
// tell come in as events, what to do goes out as actions (docs/design.md R1). What is around it
// reads Kafka, performs actions, and decides nothing.
//
// Pure: no clock, no IO, no logging; times come in as arguments. Thread-compatible.
//
//   Starting ── producers initialised, topic read to its end ──► Running ── stop ──► Draining ──► Gone
//                                                                │   ▲
//     a loop was fenced: read to the end; replaced? then end ────┘   │
//                        else all loops join again, read once more ──┘
//
// What it holds to: only growing generations are obeyed; a task starts only after the topic was
// read to its end *after* the producers were initialised, and only when all the transactional ids
// in use are recorded. A generation is acknowledged when every task that it does not give to this
// worker is committed and closed. That alone proves nothing about other processes of this worker:
// when its own record changed, it then has every loop commit a transaction, and only what was
// committed is told as proven; at the start, after a rejoin and at the end as well.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/model/assignment.h"
#include "worker/member/member_actions.h"

namespace coho {

class MemberState {
 public:
  // REQUIRES: a transactional id per loop.
  MemberState(MemberOptions options, MonotonicTime now);

  // The loop's producer is initialised, at its start (`join` 0) or after the RejoinLoop of this
  // number.
  [[nodiscard]] MemberActions OnLoopReady(int32_t loop, int64_t join, MonotonicTime now);
  // A closed generation, in the order of the topic.
  [[nodiscard]] MemberActions OnAssignment(const MemberAssignment& assignment, MonotonicTime now);
  [[nodiscard]] MemberActions OnCaughtUp(int64_t number, MonotonicTime now);
  [[nodiscard]] MemberActions OnTaskClosed(TaskId task, int64_t grant, MonotonicTime now);
  [[nodiscard]] MemberActions OnLoopProved(int32_t loop, Generation generation, MonotonicTime now);
  // The loop dropped its tasks and its producer. `rival`: another process may be the cause; a lease
  // or a transaction that ran out tells nothing of the kind. `join`: the last RejoinLoop that the
  // loop had heard of.
  [[nodiscard]] MemberActions OnLoopFenced(int32_t loop, bool rival, int64_t join,
                                           MonotonicTime now);
  [[nodiscard]] MemberActions OnForeignIdsFenced(bool ok, MonotonicTime now);
  [[nodiscard]] MemberActions OnReportChanged(ReportChange change, MonotonicTime now);
  [[nodiscard]] MemberActions OnTick(MonotonicTime now);
  [[nodiscard]] MemberActions OnStop(MonotonicTime now);
  [[nodiscard]] MemberActions OnLoopsStopped(MonotonicTime now);

  // When OnTick has something to do at the latest.
  [[nodiscard]] MonotonicTime next_tick() const;
  [[nodiscard]] WorkerPhase phase() const { return phase_; }
  [[nodiscard]] Generation generation() const { return generation_; }
  [[nodiscard]] Generation acknowledged() const { return acknowledged_; }
  [[nodiscard]] const std::map<std::string, Generation>& proven() const { return proven_; }
  [[nodiscard]] bool loops_ready() const { return not_ready_.empty(); }
  // The topic was read to its end since producers were last initialised.
  [[nodiscard]] bool caught_up() const { return caught_up_; }
  // The last assignment names this worker, and all its transactional ids are recorded.
  [[nodiscard]] bool named() const { return mine_.has_value() && ids_recorded_ && IsMyTurn(); }
  // What it waits for before it may run tasks, for people; empty: nothing.
  [[nodiscard]] std::string waiting_for() const;
  // Tasks to be run here by what is known.
  [[nodiscard]] std::set<TaskId> given() const;
  // A loop is about to answer.
  [[nodiscard]] bool busy() const;

 private:
  enum class Held { kOpen, kClosing };
  struct Holding {
    int32_t loop = 0;
    int64_t grant = 0;
    Held held = Held::kOpen;
  };
  enum class Foreign { kNone, kAsked, kFailed, kFenced };  // ids, since producers were initialised

  void Reconcile(MonotonicTime now, MemberActions* actions);
  void GrantMine(MemberActions* actions);
  [[nodiscard]] bool FenceForeign(MonotonicTime now, MemberActions* actions);
  void Acknowledge(MonotonicTime now, MemberActions* actions);
  void AskForProofs(MemberActions* actions);
  void Rejoin(MemberActions* actions);
  void Beat(MonotonicTime now, bool with_report, MemberActions* actions);
  [[nodiscard]] bool IsReplaced() const;
  // Without transactions only the named process may run tasks.
  [[nodiscard]] bool IsMyTurn() const;
  [[nodiscard]] bool closing() const;
  [[nodiscard]] int32_t EmptiestLoop() const;
  [[nodiscard]] bool ReportDue(MonotonicTime now) const;

  const MemberOptions options_;
  WorkerPhase phase_ = WorkerPhase::kStarting;
  std::set<int32_t> not_ready_;  // loops
  bool looking_ = false;         // for a successor, after a fence and before joining again
  bool caught_up_ = false;
  int64_t read_number_ = 0;
  int64_t join_ = 0;  // so often all loops were told to join again

  std::string life_;
  Generation generation_;
  std::optional<WorkerAssignment> mine_;
  bool was_named_ = false;  // in this life
  bool ids_recorded_ = false;
  std::string missing_in_model_;

  Generation acknowledged_;
  Generation to_prove_;  // the generation in which this worker's record changed last
  std::map<int32_t, Generation> asked_to_prove_;  // by loop; under way
  std::map<std::string, Generation> proven_;

  std::vector<std::string> foreign_ids_;
  Foreign foreign_ = Foreign::kNone;
  Backoff foreign_backoff_;
  MonotonicTime foreign_again_at_;

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
