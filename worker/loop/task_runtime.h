// A task that runs on a loop: the user's object, its stores, its place in the inputs, and what it counted. Made when its stores are
// restored; destroyed when the task is closed, taken away or rewound.
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
#include "worker/commit/transaction.h"
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
              TaskId task, std::vector<CommitStore> stores, std::unique_ptr<StreamTask> user,
              TaskCounters* counters);

  [[nodiscard]] TaskId task() const override { return task_; }
  [[nodiscard]] int32_t task_count() const override { return task_count_; }
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

  [[nodiscard]] StreamTask& user() { return *user_; }
  [[nodiscard]] TaskInputs& inputs() { return inputs_; }
  [[nodiscard]] std::vector<CommitStore>& stores() { return stores_; }
  [[nodiscard]] TaskCounters& counters() { return *counters_; }
  [[nodiscard]] CommitPart commit_part() {
    return {.task = task_, .inputs = &inputs_, .stores = &stores_};
  }

  // First error of a store, with its name.
  [[nodiscard]] Status StoreStatus() const;
  [[nodiscard]] bool StoreOverBudget() const;
  [[nodiscard]] bool StoreChanged() const;
  void NoteTime(MonotonicTime now);
  [[nodiscard]] int64_t ChangelogPosition() const;

 private:
  const Job& job_;
  const std::vector<std::string>& outputs_;
  const int32_t task_count_;
  const TaskId task_;
  TaskCounters* const counters_;
  TaskInputs inputs_;
  std::vector<CommitStore> stores_;
  std::unique_ptr<StreamTask> user_;  // last: it may use the stores until it is gone
};

}  // namespace coho
