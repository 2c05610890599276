#include "worker/loop/task_runtime.h"

#include <algorithm>
#include <utility>

namespace coho {

TaskRuntime::TaskRuntime(const Job& job, const std::vector<std::string>& outputs,
                         const JobModel& model, TaskId task, TaskInputs inputs,
                         std::vector<CommitStore> stores, TaskCounters* counters)
    : job_(job),
      outputs_(outputs),
      model_(model),
      task_(task),
      counters_(counters),
      inputs_(std::move(inputs)),
      stores_(std::move(stores)) {}

Status TaskRuntime::Attach(OutputPort* outputs) {
  positions_slot_ = nullptr;
  for (CommitStore& s : stores_) {
    if (!s.store->spec().changelog) continue;
    const auto known = model_.stores.find(s.store->spec().name);
    const std::string& topic = known == model_.stores.end()
                                   ? job_.ChangelogTopic(s.store->spec().name)
                                   : known->second.changelog;
    COHO_ASSIGN_OR_RETURN(s.changelog, outputs->Open(topic));
    if (topic == model_.positions_topic) {
      positions_ = s.changelog;
      positions_slot_ = &s.slot;
    }
  }
  if (positions_slot_ == nullptr) {
    COHO_ASSIGN_OR_RETURN(positions_, outputs->Open(model_.positions_topic));
  }
  return Status::Ok();
}

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

bool TaskRuntime::StoreWantsCare() const {
  for (const CommitStore& s : stores_) {
    if (s.store->refused() || s.store->over_budget()) return true;
  }
  return false;
}

Status TaskRuntime::TakeRefused() {
  Status first;
  // Of all: what stayed would be told of the next record.
  for (CommitStore& s : stores_) {
    if (!s.store->refused()) continue;
    Status refused = s.store->TakeRefused();
    if (first.ok()) first = std::move(refused);
  }
  return first;
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
