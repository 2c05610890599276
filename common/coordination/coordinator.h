// The coordinator of one job as a state machine: events in, actions out (docs/design.md). It
// decides which worker runs which task, one generation after the other, so that a task never has
// two owners that can write (R1). The operator, the standalone worker and the simulator drive the
// same code; it can be stopped at any point and goes on from what the coordinator topic holds.
//
// Pure: no clock, no IO, no logging; times come in as arguments. Thread-compatible.
//
// What it relies on from a worker (the simulator shows that each is needed): it initialises its
// producers before it reads the coordinator topic; it fences ids recorded for it that it does not
// use itself, before it opens a task; it uses no id that is not recorded; it tells as proven for an
// id only what a transaction committed on that id after the generation was read shows. So it does
// not matter which process of a worker says it: an older one that was fenced without knowing it has
// nothing to tell.
//
// Time in which nobody could be heard makes nobody silent (Hearing). After a silence of all, the
// first worker back gets nothing that is another's: all get a homecoming's time anew.
//
// An emptied worker's record stays, with its ids, until the worker has released everything and is
// absent (no pod, or silent past its homecoming); then nothing of it is in doubt, the record is
// deleted, and its ids are recorded anew if it ever returns.
//
// A task's way from worker A to worker B:
//
//   granted to A ──revoked in generation g──► released ──granted to B in a later generation──► granted to B
//                                             ▲
//        A's heartbeat acknowledges >= g ─────┤ (R1a)
//        g is committed, then A is fenced ────┘ (R1b)
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/coordination/coordinator_values.h"
#include "common/coordination/hearing.h"
#include "common/coordination/inventory.h"
#include "common/coordination/release_ledger.h"
#include "common/model/assignment.h"

namespace coho {

class Coordinator {
 public:
  // `stored` is what the coordinator topic holds, read to its end after the driver fenced an older
  // coordinator (R2). `model` is the stored model, or the one to be pinned now (then it is part of
  // the first write). Every worker gets a full session timeout from `now` before it may be called
  // silent (R3).
  Coordinator(CoordinatorOptions options, JobModel model, CoordinatorState stored,
              MonotonicTime now);

  [[nodiscard]] CoordinatorActions Start(WallTime wall);
  [[nodiscard]] CoordinatorActions SetOptions(const CoordinatorOptions& options, MonotonicTime now,
                                              WallTime wall);
  // `historical`: read back from the topic after a restart of the coordinator: tells what a worker
  // reported, not that it lives.
  [[nodiscard]] CoordinatorActions OnHeartbeat(const Heartbeat& beat, bool historical,
                                               MonotonicTime now, WallTime wall);
  [[nodiscard]] CoordinatorActions OnPodFacts(const std::map<WorkerId, PodFact>& facts,
                                              MonotonicTime now, WallTime wall);
  // Everything that was in the heartbeats topic at `through` has been handed to OnHeartbeat. Comes
  // about once a second while Kafka answers; by nothing else does anybody grow silent.
  [[nodiscard]] CoordinatorActions OnHeardThrough(MonotonicTime through, MonotonicTime now,
                                                  WallTime wall);
  // Heartbeats may have been lost, as where their topic was made anew.
  void OnDeaf();
  // It said something that cannot be understood, as a later version of Coho may.
  void OnUnreadable(WorkerId worker);
  [[nodiscard]] CoordinatorActions OnTick(MonotonicTime now, WallTime wall);
  [[nodiscard]] CoordinatorActions OnWritten(Generation generation, bool ok, MonotonicTime now,
                                             WallTime wall);
  [[nodiscard]] CoordinatorActions OnFenced(WorkerId worker, bool ok, MonotonicTime now,
                                            WallTime wall);

  [[nodiscard]] const Assignment& assignment() const;  // last committed
  [[nodiscard]] const JobModel& model() const;
  [[nodiscard]] const Copies& copies() const;  // as reported last
  [[nodiscard]] Locality locality() const;     // where each task's best copy lies
  [[nodiscard]] const std::map<WorkerId, CoordinatorWorker>& workers() const;
  // Workers beyond the desired count that own nothing, have nothing to release, and may be removed.
  [[nodiscard]] std::set<WorkerId> removable() const;
  // Not every worker that has tasks has said yet what it does, and the time in which it would have
  // is not over.
  [[nodiscard]] bool listening() const;
  // True when every task has an owner and no move is under way.
  [[nodiscard]] bool settled() const;

 private:
  // One process that was heard, by the clock of Hearing.
  struct Process {
    MonotonicTime first_heard_at;
    MonotonicTime heard_at;
    bool heard_lately = true;  // since the topic was last read to its end
    bool gone = false;         // it said goodbye
    Duration session{};        // that it was started with; zero: not known
  };
  // What is remembered of a worker beyond what it shows. Times are those of Hearing.
  struct Memory {
    int64_t sequence = -1;                // of the current incarnation's last heartbeat
    int64_t reported = -1;                // of its last one with a report
    Duration session{};                   // that it was started with; zero: not known
    std::vector<std::string> superseded;  // by newer ones; the latest last
    MonotonicTime heard_at;
    bool heard_lately = false;
    MonotonicTime silent_since;
    MonotonicTime alive_since;
    std::optional<MonotonicTime> ran_at;       // when its tasks last ran, or it had none
    bool ran = false;                          // in its current incarnation
    bool lost_crashing = false;                // it was lost while it came back again and again
    std::map<std::string, Process> processes;  // without transactions; "": one not heard of yet
    std::optional<PodFact> pod;
  };
  struct Move {
    std::optional<WorkerId> from;
    WorkerId to;
    int64_t bytes = 0;
    std::string cause;
  };
  struct Write {
    Assignment after;  // == assignment_ where only model or copies are written
    bool copies = false;
    CoordinatorActions events;  // told once it is committed
    std::map<TaskId, Move> moving;
  };
  enum class Part { kMember, kKeeps, kLeaves, kOutside };  // in a plan; see PartOf
  struct Draft;

  [[nodiscard]] Part PartOf(WorkerId id) const;
  [[nodiscard]] int64_t BytesOn(WorkerId id) const;
  [[nodiscard]] size_t TasksOn(WorkerId id) const;
  [[nodiscard]] bool Released(WorkerId id, const WorkerAssignment& record) const;
  [[nodiscard]] bool MayPlan() const;
  void FallSilent(WorkerId id, bool warning, EventReason reason, const std::string& why,
                  CoordinatorActions* actions);
  void TakeIncarnation(const Heartbeat& beat);
  void NoteProcess(const Heartbeat& beat, bool historical);
  void NoteSession(const Heartbeat& beat);
  void NoteProofs(const Heartbeat& beat);
  void TakeReport(const Heartbeat& beat, WallTime wall);
  void NoteAlive(const Heartbeat& beat, CoordinatorActions* actions);
  void EndCommonSilence(WorkerId back);
  void Hear(MonotonicTime through);
  [[nodiscard]] bool IsReplaced(const Heartbeat& beat, bool historical) const;
  [[nodiscard]] bool IsOwnId(WorkerId id, const std::string& transactional_id) const;
  [[nodiscard]] bool LeaseOver(const Process& process) const;
  [[nodiscard]] bool OthersOver(WorkerId id, const std::string& incarnation) const;
  [[nodiscard]] bool OwnerIsGone(WorkerId id, const std::string& named,
                                 const std::string& successor) const;
  void UpdateStandings(CoordinatorActions* actions);

  // coordinator_decide.cc
  void Decide(MonotonicTime now, WallTime wall, CoordinatorActions* actions);
  void RequestFences(CoordinatorActions* actions);
  void ReleaseByLease();
  void NameProcesses(Draft* draft) const;
  void ReplaceOthers(WorkerId id, Draft* draft) const;
  void MoveTasks(Draft* draft) const;
  void RecordIds(Draft* draft) const;
  void DropAbsent(Draft* draft) const;
  [[nodiscard]] bool Finish(Draft* draft, WallTime wall, CoordinatorActions* actions);
  void Describe(Draft* draft) const;
  void WriteCopies(CoordinatorActions* actions);
  void Commit(Write write, CoordinatorActions* actions);
  [[nodiscard]] bool TasksLackMember() const;

  CoordinatorOptions options_;
  JobModel model_;
  bool model_recorded_;
  Assignment assignment_;
  Inventory inventory_;
  const std::string life_;
  MonotonicTime started_;
  Hearing hearing_;
  MonotonicTime committed_at_;
  // When the first worker that may own tasks appeared, after the start or after a silence of all.
  std::optional<MonotonicTime> gathering_since_;
  bool gathered_ = false;
  std::optional<MonotonicTime> all_silent_since_;
  std::map<WorkerId, CoordinatorWorker> workers_;
  std::map<WorkerId, Memory> memory_;
  std::map<TaskId, WorkerId> owners_;  // of assignment_
  std::map<TaskId, Move> moving_;      // tasks on their way to another owner
  ReleaseLedger ledger_;
  struct Fence {
    std::vector<std::string> ids;
    Generation through;
  };
  std::map<WorkerId, Fence> fences_;  // under way
  std::optional<Write> write_;        // under way
  bool hold_ = false;       // the last write or a fence failed: try again at the next tick
  bool replan_ = true;      // something changed that a plan depends on
  bool wants_more_ = true;  // the last plan could not be carried out completely yet
  std::string violation_;   // told last; not told again
};

}  // namespace coho
