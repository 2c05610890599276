#include "worker/loop/task_runtime.h"

#include <algorithm>
#include <utility>

namespace coho {

TaskRuntime::TaskRuntime(const Job& job, const std::vector<std::string>& outputs,
                         const JobModel& model, TaskId task, std::vector<CommitStore> stores,
                         std::unique_ptr<StreamTask> user, TaskCounters* counters)
    : job_(job),
      outputs_(outputs),
      task_count_(model.tasks),
      task_(task),
      counters_(counters),
      inputs_(job, model, task),
      stores_(std::move(stores)),
      user_(std::move(user)) {}

Result<StoreBackend*> TaskRuntime::FindStore(std::string_view name) {
  std::string names;
  for (CommitStore& s : stores_) {
    if (s.store->spec().name == name) return s.store.get();
    names += (names.empty() ? "" : ", ") + s.store->spec().name;
  }
  return NotFound("store \"" + std::string(name) +
                  "\" is not in spec.stores, which has: " + (names.empty() ? "none" : names));
}

Status TaskRuntime::StoreStatus() const {
  for (const CommitStore& s : stores_) {
    if (Status status = s.store->status(); !status.ok()) {
      return status.WithContext("store " + s.store->spec().name + " of task " + ToString(task_));
    }
  }
  return Status::Ok();
}

bool TaskRuntime::StoreOverBudget() const {
  return std::any_of(stores_.begin(), stores_.end(),
                     [](const CommitStore& s) { return s.store->over_budget(); });
}

bool TaskRuntime::StoreChanged() const {
  return std::any_of(stores_.begin(), stores_.end(),
                     [](const CommitStore& s) { return s.store->changed_keys() > 0; });
}

void TaskRuntime::NoteTime(MonotonicTime now) {
  for (CommitStore& s : stores_) s.store->NoteTime(now);
}

int64_t TaskRuntime::ChangelogPosition() const {
  int64_t sum = 0;
  for (const CommitStore& s : stores_) sum += s.store->marker().position;
  return sum;
}

}  // namespace coho
