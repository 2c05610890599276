// How tasks come to a run loop and leave it.
#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "worker/loop/failure.h"
#include "worker/loop/guarded.h"
#include "worker/loop/run_loop.h"

namespace coho {
namespace {

constexpr Duration kRetryAfter = std::chrono::seconds(1);
// Of one request on the loop's thread; its other tasks wait that long at most.
constexpr Duration kRequestTimeout = std::chrono::seconds(2);

double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

int ExitCodeOfRestore(const Status& status) {
  switch (status.code()) {
    case Code::kCorruption:
    case Code::kResourceExhausted:
    case Code::kInternal:
      return kExitStore;
    default:
      return ExitCodeOfKafka(status);
  }
}

}  // namespace

void RunLoop::SetState(LoopTask* task, TaskState state) {
  task->state = state;
  ++status_.states_version;
  published_at_ = {};  // show it with the next turn
}

void RunLoop::AskForRestore(TaskId id, LoopTask* task) {
  task->restore_failed = false;
  task->asked_at = clock_.Now();
  task->progress = std::make_shared<RestoreProgress>();
  SetState(task, TaskState::kRestoring);
  task->grant.restorer->Restore(
      {.task = id, .progress = task->progress, .done = [this, id](Result<RestoredTask> result) {
         mailbox_.Post(RestoredMessage{.task = id, .result = std::move(result)});
       }});
}

void RunLoop::TakeRestored(RestoredMessage message) {
  const auto found = tasks_.find(message.task);
  if (found == tasks_.end() || found->second.state != TaskState::kRestoring) return;
  LoopTask& task = found->second;
  if (const Status& status = message.result.status(); !status.ok()) {
    if (status.retry_class() != RetryClass::kRetry && status.code() != Code::kNotFound) {
      Fail(ExitCodeOfRestore(status),
           "restoring task " + ToString(message.task) + ": " + status.ToString());
      return;
    }
    LogWarn("restore failed, trying again", {{"task", message.task}, {"reason", status}});
    task.restore_failed = true;
    task.not_before = clock_.Now() + kRetryAfter;
    return;
  }
  task.restored = std::move(message.result).value();
  task.source = task.restored->source;
  task.replayed = task.restored->records;
  status_.restores_planned += static_cast<uint64_t>(task.progress->records_total.load());
  const Duration took = clock_.Now() - task.asked_at;
  options_.on_step({.name = "restore-stores", .task = message.task, .took = took});
  LogDebug("stores restored", {{"task", message.task},
                              {"source", RestoreSourceName(task.source)},
                              {"records", task.replayed},
                              {"of", task.progress->records_total.load()},
                              {"seconds", Seconds(took)}});
  SetState(&task, TaskState::kStarting);
}

void RunLoop::RetryRestores() {
  for (auto& [id, task] : tasks_) {
    if (task.restore_failed && task.not_before <= now_) AskForRestore(id, &task);
  }
}

void RunLoop::StartRestored() {
  std::vector<TopicPartition> partitions;
  std::vector<TaskId> ready;
  for (auto& [id, task] : tasks_) {
    if (!task.restored || task.not_before > now_) continue;
    ready.push_back(id);
    const std::vector<TopicPartition> own =
        TaskInputs(*options_.job, *task.grant.model, id).partitions();
    partitions.insert(partitions.end(), own.begin(), own.end());
  }
  if (ready.empty()) return;
  const MonotonicTime asked_at = clock_.Now();
  // For all of them in one go: each request may have to wait behind a fetch of the tasks that run already.
  const auto committed = clients_.consumer().Committed(partitions, kRequestTimeout);
  Status status = committed.status();
  if (status.ok()) {
    const auto ranges = clients_.consumer().QueryRanges(partitions, kRequestTimeout);
    status = ranges.status();
    for (size_t i = 0; i < ready.size() && status.ok() && !ended_; ++i) {
      options_.on_step({.name = "read-offsets", .task = ready[i], .took = clock_.Now() - asked_at});
      status =
          StartTask(ready[i], &tasks_.at(ready[i]), {.committed = *committed, .ranges = *ranges});
    }
  }
  if (ended_ || status.ok()) return;
  if (status.retry_class() != RetryClass::kRetry && status.code() != Code::kNotFound) {
    Fail(ExitCodeOfKafka(status), "starting tasks: " + status.ToString());
    return;
  }
  LogWarn("input offsets not read yet, trying again", {{"reason", status}});
  for (const TaskId id : ready) tasks_.at(id).not_before = clock_.Now() + kRetryAfter;
}

Status RunLoop::StartTask(TaskId id, LoopTask* task, const Offsets& offsets) {
  // Everything that may have to be tried again comes first.
  TaskInputs inputs(*options_.job, *task->grant.model, id);
  std::map<TopicPartition, int64_t> starts;
  for (InputPosition& p : inputs.positions()) {
    const kafka::OffsetRange& range = offsets.ranges.at(p.partition);
    const auto found = offsets.committed.find(p.partition);
    const auto stored =
        found == offsets.committed.end() ? std::nullopt : std::optional(found->second);
    COHO_ASSIGN_OR_RETURN(const StartPosition start,
                          ChooseStart(*p.spec, p.partition, stored, range));
    if (start.lost > 0) {
      LogError("records were deleted from an input before they were processed",
               {{"task", id},
                {"topic", p.partition.topic},
                {"partition", p.partition.partition},
                {"records", start.lost}});
    }
    p.next = start.offset;
    p.committed = stored.value_or(-1);
    p.end = range.end;
    starts[p.partition] = start.offset;
  }
  std::vector<CommitStore> stores;
  for (const auto& store : task->restored->stores) {
    CommitStore& s = stores.emplace_back();
    if (!store->spec().changelog) continue;
    COHO_ASSIGN_OR_RETURN(s.changelog, clients_.producer().OpenTopic(
                                           options_.job->ChangelogTopic(store->spec().name)));
  }
  for (size_t i = 0; i < stores.size(); ++i) stores[i].store = std::move(task->restored->stores[i]);
  task->restored.reset();

  const MonotonicTime init_at = clock_.Now();
  std::unique_ptr<StreamTask> user = options_.factory();
  task->runtime =
      std::make_unique<TaskRuntime>(*options_.job, outputs_, *task->grant.model, id,
                                    std::move(stores), std::move(user), &status_.counters[id]);
  TaskRuntime& runtime = *task->runtime;
  runtime.inputs() = std::move(inputs);
  runtime.NoteTime(init_at);
  ++running_;
  const Status init = Guarded([&] { return runtime.user().Init(runtime); });
  if (!init.ok()) {
    Fail(kExitTaskFailed, "task " + ToString(id) + " failed in Init: " + init.ToString());
    return Status::Ok();
  }
  options_.on_step({.name = "init-task", .task = id, .took = clock_.Now() - init_at});
  if (runtime.StoreChanged()) work_ = true;
  if (runtime.inputs().uncommitted() && !moved_since_) moved_since_ = now_;
  for (InputPosition& p : runtime.inputs().positions())
    router_.Add(p.partition, {.task = &runtime, .position = &p});
  if (!starts.empty()) {
    if (const Status status = clients_.consumer().Assign(starts); !status.ok()) {
      Fail(ExitCodeOfKafka(status),
           "assigning the inputs of task " + ToString(id) + ": " + status.ToString());
      return Status::Ok();
    }
  }
  SetState(task, TaskState::kRunning);
  LogInfo("task running", {{"task", id},
                           {"loop", options_.index},
                           {"source", RestoreSourceName(task->source)},
                           {"lag", runtime.inputs().Lag()},
                           {"seconds", Seconds(clock_.Now() - task->asked_at)}});
  return Status::Ok();
}

void RunLoop::CloseTasks(const std::vector<Revocation>& revocations) {
  const auto find = [this](const Revocation& r) {
    const auto found = tasks_.find(r.task);
    return found != tasks_.end() && found->second.grant.number == r.grant ? &found->second
                                                                          : nullptr;
  };
  bool any_held = false;
  for (const Revocation& r : revocations) {
    LoopTask* task = find(r);
    if (task == nullptr) continue;
    any_held = true;
    if (task->runtime) SetState(task, TaskState::kClosing);
  }
  // One commit for all; after a failed one nothing of these tasks is running any more, and what they did is taken back. It
  // proves that no other process of this worker has taken over: the acknowledgement that follows would be for that one (R1a).
  if (any_held && !Commit(/*prove=*/true) && ended_) return;
  for (const Revocation& r : revocations) {
    if (LoopTask* task = find(r); task != nullptr) {
      if (task->runtime) CloseCommitted(r.task, task);
      Forget(r.task);
    }
    options_.on_event(options_.index, TaskClosed{.task = r.task, .grant = r.grant});
  }
}

void RunLoop::CloseCommitted(TaskId id, LoopTask* task) {
  TaskRuntime& runtime = *task->runtime;
  for (CommitStore& s : runtime.stores()) {
    Status status = s.store->WriteBack();
    if (status.ok()) status = s.store->Flush();
    if (!status.ok()) {
      // Committed all the same; whoever opens the store next replays from its older marker.
      LogWarn("store not flushed at close",
              {{"task", id}, {"store", s.store->spec().name}, {"reason", status}});
    }
  }
  const Status closed = Guarded([&] { return runtime.user().Close(); });
  if (!closed.ok()) LogWarn("task failed in Close", {{"task", id}, {"reason", closed}});
  Detach(task);
  LogInfo("task closed", {{"task", id}, {"loop", options_.index}});
}

void RunLoop::Detach(LoopTask* task) {
  if (!task->runtime) return;
  const std::vector<TopicPartition> partitions = task->runtime->inputs().partitions();
  for (const TopicPartition& p : partitions) router_.Remove(p);
  if (!partitions.empty()) {
    if (const Status status = clients_.consumer().Unassign(partitions); !status.ok()) {
      LogWarn("inputs not unassigned", {{"reason", status}});
    }
  }
  task->runtime.reset();
  --running_;
}

void RunLoop::Forget(TaskId id) {
  const auto found = tasks_.find(id);
  if (found == tasks_.end()) return;
  if (found->second.runtime) --running_;
  if (found->second.state == TaskState::kRestoring && found->second.grant.restorer != nullptr) {
    // After Cancel nothing more comes; what came just before it holds engines open that someone else may need.
    found->second.grant.restorer->Cancel(id);
    mailbox_.EraseIf([id](const Message& m) {
      const auto* restored = std::get_if<RestoredMessage>(&m);
      return restored != nullptr && restored->task == id;
    });
  }
  tasks_.erase(found);
  ++status_.states_version;
  published_at_ = {};
}

}  // namespace coho
