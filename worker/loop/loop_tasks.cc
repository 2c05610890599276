#include "worker/loop/loop_tasks.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/guarded.h"
#include "common/base/log.h"
#include "common/base/mutant.h"
#include "common/contract/exit_codes.h"
#include "worker/loop/failure.h"

namespace coho {
namespace {

constexpr Duration kRangesTimeout = std::chrono::seconds(10);
// What was closed longer ago was shown then, and is another worker's, which may be further by now.
constexpr Duration kClosedLately = std::chrono::seconds(30);

double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

std::vector<std::string> InputTopics(const Job& job) {
  std::vector<std::string> topics;
  for (const InputSpec& input : job.inputs) topics.push_back(input.topic);
  return topics;
}

}  // namespace

LoopTasks::LoopTasks(Options options)
    : options_(std::move(options)),
      job_(*options_.job),
      clock_(*options_.clock),
      ids_(InputTopics(job_)) {
  for (const OutputSpec& output : job_.outputs) output_names_.push_back(output.topic);
}

Status LoopTasks::UseOutputs(OutputPort* outputs) {
  outputs_ = outputs;
  if (outputs == nullptr) return Status::Ok();
  for (auto& [id, task] : tasks_) {
    if (task.runtime) COHO_RETURN_IF_ERROR(task.runtime->Attach(outputs));
  }
  return Status::Ok();
}

void LoopTasks::Add(const TaskGrant& grant) { tasks_[grant.task].grant = grant; }

LoopTasks::Task& LoopTasks::TaskOf(TaskId id) {
  const auto found = tasks_.find(id);
  COHO_CHECK(found != tasks_.end(),
             "run loop " + std::to_string(options_.loop) + " does not have task " + ToString(id));
  return found->second;
}

void LoopTasks::AskRestore(TaskId id) {
  Task& task = TaskOf(id);
  task.asked_at = clock_.Now();
  task.progress = std::make_shared<RestoreProgress>();
  task.attempt = ++attempts_;
  task.asked = true;
  task.grant.restorer->Restore(
      {.task = id,
       .progress = task.progress,
       .done = [post = options_.post_restored, id, attempt = task.attempt](
                   Result<RestoredTask> result) { post(id, attempt, std::move(result)); }});
}

std::optional<LoopInput> LoopTasks::TakeRestored(TaskId id, int64_t attempt,
                                                 Result<RestoredTask> result) {
  const auto found = tasks_.find(id);
  if (found == tasks_.end() || !found->second.asked || found->second.attempt != attempt) {
    COHO_SOMETIMES("a restore ended that nobody waits for");
    return std::nullopt;
  }
  Task& task = found->second;
  task.asked = false;
  if (!result.ok()) {
    LogWarn("restore failed", {{"task", id}, {"reason", result.status()}});
    return TaskRestoreFailed{.task = id, .status = result.status()};
  }
  task.restored = std::move(result).value();
  task.source = task.restored->source;
  task.replayed = task.restored->records;
  restores_planned_ += static_cast<uint64_t>(task.progress->records_total.load());
  const Duration took = clock_.Now() - task.asked_at;
  options_.on_step({.name = "restore-stores", .task = id, .took = took});
  LogDebug("stores restored", {{"task", id},
                               {"source", RestoreSourceName(task.source)},
                               {"records", task.replayed},
                               {"of", task.progress->records_total.load()},
                               {"seconds", Seconds(took)}});
  return TaskRestored{.task = id};
}

// For all that wait in one question: on a connection it may have to wait behind a fetch of the
// tasks that run already.
std::vector<LoopInput> LoopTasks::AdvancePlacing() {
  std::vector<LoopInput> out;
  if (asked_.empty() && !to_place_.empty()) {
    asked_.assign(to_place_.begin(), to_place_.end());
    to_place_.clear();
    std::vector<TopicPartition> partitions;
    for (const TaskId id : asked_) {
      const auto own = TaskInputs(job_, *TaskOf(id).grant.model, id).partitions();
      partitions.insert(partitions.end(), own.begin(), own.end());
    }
    ranges_asked_at_ = clock_.Now();
    ids_.Ask(ranges_asked_at_, ranges_asked_at_);
    ranges_.reset();
    if (const Status status = inputs_->AskRanges(partitions, kRangesTimeout); !status.ok()) {
      for (const TaskId id : std::exchange(asked_, {}))
        out.push_back(StartFailed{.task = id, .status = status});
      return out;
    }
  }
  if (asked_.empty()) return out;
  ids_.Take(clock_.Now());
  if (!ranges_) ranges_ = inputs_->TakeRanges();
  const std::optional<Status> ids = ids_.AnswerSince(ranges_asked_at_);
  if (!ranges_ || !ids) return out;
  const Result<RangeMap> ranges = *std::exchange(ranges_, std::nullopt);
  const Status known = ranges.ok() ? *ids : ranges.status();
  for (const TaskId id : std::exchange(asked_, {})) {
    const auto found = tasks_.find(id);
    if (found == tasks_.end() || !found->second.restored) continue;  // forgotten meanwhile
    options_.on_step({.name = "read-offsets", .task = id, .took = clock_.Now() - ranges_asked_at_});
    if (!known.ok()) {
      LogWarn("ends of the inputs not known yet", {{"task", id}, {"reason", known}});
      out.push_back(StartFailed{.task = id, .status = known});
    } else {
      out.push_back(Place(id, &found->second, *ranges));
    }
  }
  return out;
}

LoopInput LoopTasks::Place(TaskId id, Task* task, const RangeMap& ranges) {
  const Positions stored = task->restored->positions.value_or(Positions());
  TaskInputs inputs(job_, *task->grant.model, id);
  if (const std::string& state = task->restored->state_without_positions;
      !state.empty() && !COHO_MUTANT("state-without-positions")) {
    return StartFailed{
        .task = id,
        .status = InvalidArgument(
            "there is state, but nothing says how far its inputs are in it: " + state +
            "; the changelogs lost records or were written by something else; delete them to "
            "start from nothing")};
  }
  bool durable = true;
  uint64_t lost = 0;
  for (InputPosition& p : inputs.positions()) {
    const StoredPosition* at = FindPosition(stored, p.partition.topic, p.partition.partition);
    const auto range = ranges.find(p.partition);
    if (range == ranges.end())
      return StartFailed{id, Unavailable("the inputs' ends are not known")};
    const std::optional<std::string> id_now = ids_.IdOf(p.partition.topic);
    if (!id_now) {
      return StartFailed{.task = id,
                         .status = NotFound("input " + p.partition.topic + " does not exist")};
    }
    if (Status same = CheckTopicId(p.partition, p.topic_id, *id_now); !same.ok())
      return StartFailed{.task = id, .status = std::move(same)};
    auto start = ChoosePosition(*p.spec, p.partition, id_now->empty() ? p.topic_id : *id_now, at,
                                range->second);
    if (!start.ok()) return StartFailed{.task = id, .status = start.status()};
    if (start->lost > 0) {
      lost += static_cast<uint64_t>(start->lost);
      LogError("records were deleted from an input before they were processed",
               {{"task", id},
                {"topic", p.partition.topic},
                {"partition", p.partition.partition},
                {"records", start->lost}});
    }
    p.next = start->offset;
    p.committed = at == nullptr ? -1 : at->next;
    p.end = range->second.end;
    durable = durable && at != nullptr;
  }
  records_lost_ += lost;  // once: from here on the task begins there
  std::vector<CommitStore> stores;
  for (auto& store : task->restored->stores) {
    CommitStore& s = stores.emplace_back();
    s.store = std::move(store);
    s.store->NoteTime(clock_.Now());
  }
  task->restored.reset();
  task->runtime =
      std::make_unique<TaskRuntime>(job_, output_names_, *task->grant.model, id, std::move(inputs),
                                    std::move(stores), &counters_[id]);
  if (const Status status = task->runtime->Attach(outputs_); !status.ok())
    return TaskFailed{.exit_code = kExitKafkaUnavailable,
                      .message = "task " + ToString(id) + ": " + status.ToString()};
  return StartChosen{.task = id, .durable = durable};
}

// A topic that does not exist is the reader's to find out.
std::optional<LoopInput> LoopTasks::WatchInputs(MonotonicTime now) {
  ids_.KeepYoung(now);
  ids_.Take(now);
  if (!ids_.TakeNews()) return std::nullopt;
  for (const auto& [id, task] : tasks_) {
    if (!task.runtime || !task.runtime->running()) continue;
    for (const InputPosition& p : task.runtime->inputs().positions()) {
      const Status same =
          CheckTopicId(p.partition, p.topic_id, ids_.IdOf(p.partition.topic).value_or(""));
      if (!same.ok()) {
        return TaskFailed{.exit_code = ExitCodeOfStart(same),
                          .message = "task " + ToString(id) + ": " + same.ToString()};
      }
    }
  }
  return std::nullopt;
}

std::optional<LoopInput> LoopTasks::Start(TaskId id) {
  Task& task = TaskOf(id);
  COHO_CHECK(task.runtime != nullptr && !task.runtime->running(),
             "task " + ToString(id) + " starts without its stores, or a second time");
  TaskRuntime& runtime = *task.runtime;
  const MonotonicTime begin = clock_.Now();
  runtime.NoteTime(begin);
  std::unique_ptr<StreamTask> user;
  Status init = Guarded([&] {
    user = options_.factory();
    return user ? Status::Ok() : Internal("the factory made no task");
  });
  if (init.ok()) {
    runtime.SetUser(std::move(user));
    ++running_;
    init = Guarded([&] { return runtime.user().Init(runtime); });
    if (init.ok()) init = runtime.TakeRefused();
  }
  if (!init.ok()) {
    return TaskFailed{.exit_code = kExitTaskFailed,
                      .message = "task " + ToString(id) + " failed in Init: " + init.ToString()};
  }
  options_.on_step({.name = "init-task", .task = id, .took = clock_.Now() - begin});
  PositionMap starts;
  for (InputPosition& p : runtime.inputs().positions()) {
    router_.Add(p.partition, {.task = &runtime, .position = &p});
    starts[p.partition] = p.next;
  }
  if (!starts.empty()) {
    if (const Status status = inputs_->Assign(starts); !status.ok())
      return ClientFailed{.status = status, .what = "assigning the inputs of task " + ToString(id)};
  }
  LogInfo("task running", {{"task", id},
                           {"loop", options_.loop},
                           {"source", RestoreSourceName(task.source)},
                           {"lag", runtime.inputs().Lag()},
                           {"seconds", Seconds(clock_.Now() - task.asked_at)}});
  return std::nullopt;
}

void LoopTasks::Detach(Task* task) {
  if (!task->runtime || !task->runtime->running()) return;
  const std::vector<TopicPartition> partitions = task->runtime->inputs().partitions();
  for (const TopicPartition& p : partitions) router_.Remove(p);
  if (!partitions.empty() && inputs_ != nullptr) {
    if (const Status status = inputs_->Unassign(partitions); !status.ok())
      LogWarn("inputs not unassigned", {{"reason", status}});
  }
  task->runtime->SetUser(nullptr);
  --running_;
}

void LoopTasks::Close(TaskId id) {
  const auto found = tasks_.find(id);
  if (found == tasks_.end()) return;  // never ran
  Task& task = found->second;
  if (task.runtime) {
    TaskRuntime& runtime = *task.runtime;
    Committer::WriteBackAll(runtime.commit_part());
    if (runtime.running()) {
      const Status closed = Guarded([&] { return runtime.user().Close(); });
      if (!closed.ok()) LogWarn("task failed in Close", {{"task", id}, {"reason", closed}});
    }
    const MonotonicTime now = clock_.Now();
    PositionMap last;
    for (const InputPosition& p : runtime.inputs().positions()) {
      mirror_.Forget(p.partition);
      if (p.committed < 0) continue;
      last[p.partition] = p.committed;
      closed_[p.partition] = {.next = p.committed, .at = now};
    }
    if (inputs_ != nullptr) inputs_->Mirror(last, Duration::zero());
    Detach(&task);
    LogInfo("task closed", {{"task", id}, {"loop", options_.loop}});
  }
  Forget(id);
}

void LoopTasks::Forget(TaskId id) {
  const auto found = tasks_.find(id);
  if (found == tasks_.end()) return;
  Detach(&found->second);
  if (found->second.asked) found->second.grant.restorer->Cancel(id);
  to_place_.erase(id);
  // Should the task come back, an answer from before says nothing about it.
  std::erase(asked_, id);
  tasks_.erase(found);
}

void LoopTasks::StopAll() {
  for (auto& [id, task] : tasks_) Detach(&task);
}

void LoopTasks::DropAll() {
  // Records under way point to slots in the stores.
  COHO_CHECK(outputs_ == nullptr, "run loop " + std::to_string(options_.loop) + " drops " +
                                      std::to_string(tasks_.size()) + " tasks before its producer");
  while (!tasks_.empty()) Forget(tasks_.begin()->first);
  asked_.clear();
}

std::vector<CommitPart> LoopTasks::Parts() {
  std::vector<CommitPart> parts;
  for (auto& [id, task] : tasks_) {
    if (task.runtime) parts.push_back(task.runtime->commit_part());
  }
  return parts;
}

void LoopTasks::ForEachRunning(const std::function<bool(TaskRuntime&)>& each) {
  for (auto& [id, task] : tasks_) {
    if (task.runtime && task.runtime->running() && !each(*task.runtime)) return;
  }
}

void LoopTasks::NoteTime(MonotonicTime now) {
  ForEachRunning([now](TaskRuntime& task) {
    task.NoteTime(now);
    return true;
  });
}

bool LoopTasks::LeaseIsOver(const Lease& lease, MonotonicTime now) const {
  if (tasks_.empty() || COHO_MUTANT("lease-not-asked")) return false;
  int64_t oldest = tasks_.begin()->second.grant.lease_epoch;
  for (const auto& [id, task] : tasks_) oldest = std::min(oldest, task.grant.lease_epoch);
  return !lease.Valid(now) || (lease.epoch() != oldest && !COHO_MUTANT("lease-epoch-not-compared"));
}

bool LoopTasks::StoreChanged(TaskId id) const {
  const auto found = tasks_.find(id);
  return found != tasks_.end() && found->second.runtime && found->second.runtime->StoreChanged();
}

bool LoopTasks::Moved(TaskId id) const {
  const auto found = tasks_.find(id);
  return found != tasks_.end() && found->second.runtime &&
         found->second.runtime->inputs().uncommitted();
}

Status LoopTasks::FirstStoreError() const {
  for (const auto& [id, task] : tasks_) {
    if (task.runtime) COHO_RETURN_IF_ERROR(task.runtime->StoreStatus());
  }
  return Status::Ok();
}

void LoopTasks::Mirror(MonotonicTime now) {
  if (inputs_ == nullptr || !mirror_.Due(now)) return;
  PositionMap committed;
  for (auto& [id, task] : tasks_) {
    if (!task.runtime) continue;
    for (const InputPosition& p : task.runtime->inputs().positions()) {
      if (p.committed >= 0) committed[p.partition] = p.committed;
    }
  }
  const PositionMap show = mirror_.ToShow(committed, now);
  if (!show.empty()) inputs_->Mirror(show, Duration::zero());
}

void LoopTasks::MirrorLast(Duration wait) {
  PositionMap last;
  for (const auto& [partition, closed] : closed_) {
    if (clock_.Now() - closed.at < kClosedLately) last[partition] = closed.next;
  }
  if (inputs_ != nullptr && !last.empty()) inputs_->Mirror(last, wait);
}

}  // namespace coho
