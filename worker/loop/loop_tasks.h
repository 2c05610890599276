// The tasks that a run loop has, with everything that belongs to them: grants, restores under way,
// runtimes, and the way of their inputs to them. Performs what LoopState decides, one verb an
// action, and decides nothing about when.
//
// Thread rule: the run loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/model/job.h"
#include "worker/commit/committer.h"
#include "worker/commit/lease.h"
#include "worker/commit/ports.h"
#include "worker/commit/position_mirror.h"
#include "worker/input/record_router.h"
#include "worker/loop/input_ids.h"
#include "worker/loop/loop_event.h"
#include "worker/loop/loop_state.h"
#include "worker/loop/loop_status.h"
#include "worker/loop/task_runtime.h"
#include "worker/sdk/lifecycle.h"

namespace coho {

class LoopTasks {
 public:
  struct Options {
    int32_t loop = 0;
    const Job* job = nullptr;
    TaskFactory factory;
    const Clock* clock = nullptr;
    std::function<void(const LifecycleStep&)> on_step;
    // The answer to a restore; from the restorer's thread. `attempt` tells a late answer from the
    // one that is waited for.
    std::function<void(TaskId, int64_t attempt, Result<RestoredTask>)> post_restored;
  };
  explicit LoopTasks(Options options);

  // The clients, once they are there; nullptr: not any more.
  void UseInputs(InputPort* inputs) {
    inputs_ = inputs;
    ids_.UseInputs(inputs);
  }
  // Opens the changelogs of the tasks that are kept on a (new) producer.
  [[nodiscard]] Status UseOutputs(OutputPort* outputs);

  void Add(const TaskGrant& grant);
  void AskRestore(TaskId id);
  // nullopt: a late answer.
  [[nodiscard]] std::optional<LoopInput> TakeRestored(TaskId id, int64_t attempt,
                                                      Result<RestoredTask> result);
  void ChooseStart(TaskId id) { to_place_.insert(id); }
  // Asks Kafka about the tasks whose start is to be chosen, and takes its answer when it is there.
  [[nodiscard]] std::vector<LoopInput> AdvancePlacing();
  [[nodiscard]] bool placing() const { return !to_place_.empty() || !asked_.empty(); }
  // Asks Kafka now and then whether the inputs are still the topics that they were. What comes back
  // says that one is not.
  [[nodiscard]] std::optional<LoopInput> WatchInputs(MonotonicTime now);
  // It said so a moment ago; else records wait.
  [[nodiscard]] bool inputs_known(MonotonicTime now) const { return ids_.young(now); }
  // Makes the user's object, then reads the inputs. nullopt: it runs.
  [[nodiscard]] std::optional<LoopInput> Start(TaskId id);
  // Everything is committed: writes back, closes the user's object, lets go.
  void Close(TaskId id);
  void Forget(TaskId id);
  // Stops reading; the user's objects go, stores and positions stay.
  void StopAll();
  // Everything without a write. REQUIRES: the producer is gone.
  void DropAll();

  [[nodiscard]] const Route* Find(const kafka::Record& record) { return router_.Find(record); }
  [[nodiscard]] std::vector<CommitPart> Parts();
  // Calls `each` with every running task's runtime until it says false.
  void ForEachRunning(const std::function<bool(TaskRuntime&)>& each);
  // To all that run.
  void NoteTime(MonotonicTime now);
  [[nodiscard]] int running() const { return running_; }
  [[nodiscard]] bool empty() const { return tasks_.empty(); }
  // The lease under which the oldest of these tasks was granted does not hold any more.
  [[nodiscard]] bool LeaseIsOver(const Lease& lease, MonotonicTime now) const;
  [[nodiscard]] bool StoreChanged(TaskId id) const;
  // Its positions are not those that are committed.
  [[nodiscard]] bool Moved(TaskId id) const;
  // First error of a store, with its name and task.
  [[nodiscard]] Status FirstStoreError() const;

  void Mirror(MonotonicTime now);
  // What was closed lately, and perhaps not shown; at the very end.
  void MirrorLast(Duration wait);

  // The tasks' part of the loop's status. `sizes`: ask the engines for theirs, too.
  void FillStatus(const LoopState& state, bool sizes, LoopStatus* status);

 private:
  struct Task {
    TaskGrant grant;
    int64_t attempt = 0;
    bool asked = false;  // the restorer has it
    std::shared_ptr<RestoreProgress> progress;
    RestoreSource source = RestoreSource::kNone;
    int64_t replayed = 0;
    MonotonicTime asked_at;
    std::optional<RestoredTask> restored;  // until its start is chosen
    std::unique_ptr<TaskRuntime> runtime;
  };
  [[nodiscard]] Task& TaskOf(TaskId id);
  [[nodiscard]] LoopInput Place(TaskId id, Task* task, const RangeMap& ranges);
  void Detach(Task* task);

  const Options options_;
  const Job& job_;
  const Clock& clock_;
  std::vector<std::string> output_names_;
  InputPort* inputs_ = nullptr;
  OutputPort* outputs_ = nullptr;
  std::map<TaskId, Task> tasks_;
  std::map<TaskId, TaskCounters> counters_;  // of every task it ever had
  uint64_t restores_planned_ = 0;
  uint64_t records_lost_ = 0;  // before a task began
  InputIds ids_;
  RecordRouter router_;
  PositionMirror mirror_;
  struct Closed {
    int64_t next = 0;
    MonotonicTime at;
  };
  std::map<TopicPartition, Closed> closed_;  // what tasks were closed with
  std::set<TaskId> to_place_;
  std::vector<TaskId> asked_;  // about whose inputs Kafka was asked
  MonotonicTime ranges_asked_at_;
  std::optional<Result<RangeMap>> ranges_;  // answered, and the ids are not
  int64_t attempts_ = 0;
  int running_ = 0;
};

}  // namespace coho
