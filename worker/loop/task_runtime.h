// A task on a loop: its stores, its place in the inputs, what it counted, and the user's object.
// Made when its stores are home and its start is known; destroyed when the task is closed or taken
// away. The user's object is there while the task runs; after an abort a new one is made on the
// same stores.
//
// Thread rule: the run loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/model/assignment.h"
#include "common/model/job.h"
#include "worker/commit/committer.h"
#include "worker/input/task_inputs.h"
#include "worker/sdk/task.h"

namespace coho {

// Since the worker process was given the task.
struct TaskCounters {
  uint64_t processed = 0;
  uint64_t sent = 0;
  uint64_t skipped = 0;
  uint64_t dead_letters = 0;
};

class TaskRuntime final : public TaskContext {
 public:
  // `job`, `outputs` and `counters` outlive the object. `stores` in the order of spec.stores.
  TaskRuntime(const Job& job, const std::vector<std::string>& outputs, const JobModel& model,
              TaskId task, TaskInputs inputs, std::vector<CommitStore> stores,
              TaskCounters* counters);

  [[nodiscard]] TaskId task() const override { return task_; }
  [[nodiscard]] int32_t task_count() const override { return model_.tasks; }
  [[nodiscard]] const std::map<std::string, std::string>& config() const override {
    return job_.task.config;
  }
  [[nodiscard]] const std::vector<std::string>& outputs() const override { return outputs_; }
  [[nodiscard]] std::vector<std::string> store_names() const override {
    std::vector<std::string> names;
    for (const StoreSpec& store : job_.stores) names.push_back(store.name);
    return names;
  }
  [[nodiscard]] Result<StoreBackend*> FindStore(std::string_view name) override;

  // REQUIRES: running().
  [[nodiscard]] StreamTask& user() { return *user_; }
  [[nodiscard]] bool running() const { return user_ != nullptr; }
  void SetUser(std::unique_ptr<StreamTask> user) { user_ = std::move(user); }
  // Opens its changelogs on a (new) producer.
  [[nodiscard]] Status Attach(OutputPort* outputs);
  [[nodiscard]] TaskInputs& inputs() { return inputs_; }
  [[nodiscard]] const TaskInputs& inputs() const { return inputs_; }
  [[nodiscard]] std::vector<CommitStore>& stores() { return stores_; }
  [[nodiscard]] TaskCounters& counters() { return *counters_; }
  [[nodiscard]] CommitPart commit_part() {
    return {.task = task_,
            .inputs = &inputs_,
            .stores = &stores_,
            .positions = positions_,
            .positions_slot = positions_slot_};
  }

  // First error of a store, with its name.
  [[nodiscard]] Status StoreStatus() const;
  // Asked once a record: a store refused a write, or is over its budget.
  [[nodiscard]] bool StoreWantsCare() const;
  // A write that a store refused since the last call; OK: none.
  [[nodiscard]] Status TakeRefused();
  [[nodiscard]] bool StoreOverBudget() const;
  [[nodiscard]] bool StoreChanged() const;
  void NoteTime(MonotonicTime now);
  [[nodiscard]] int64_t ChangelogPosition() const;

 private:
  const Job& job_;
  const std::vector<std::string>& outputs_;
  const JobModel& model_;
  const TaskId task_;
  TaskCounters* const counters_;
  TaskInputs inputs_;
  std::vector<CommitStore> stores_;
  OutputTopic positions_;
  kafka::DeliverySlot* positions_slot_ = nullptr;
  std::unique_ptr<StreamTask> user_;  // last: it may use the stores until it is gone
};

}  // namespace coho
