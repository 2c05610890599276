// How a run loop asks for a task's stores and gets them. Values and the port.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/model/assignment.h"
#include "worker/store/task_store.h"

namespace coho {

// Shared with whoever shows progress; written by the restorer.
struct RestoreProgress {
  std::atomic<int64_t> records_done{0};
  std::atomic<int64_t> records_total{
      0};  // offsets between plan.from and plan.to; control records count
  std::atomic<int64_t> bytes_done{0};
};

struct RestoredTask {
  TaskId task;
  std::vector<std::unique_ptr<TaskStore>> stores;  // in the order of spec.stores
  RestoreSource source = RestoreSource::kNone;     // the worst of its stores
  int64_t records = 0;                             // replayed
  // As of the state in the stores; nullopt: none anywhere, so the task never ran. Then, if this is
  // not empty, it did run: what was found of it, for the refusal to go on.
  std::optional<Positions> positions = {};
  std::string state_without_positions = {};
};

struct RestoreRequest {
  TaskId task;
  std::shared_ptr<RestoreProgress> progress;
  std::function<void(Result<RestoredTask>)> done;  // exactly once, unless cancelled
};

class RestorePort {
 public:
  virtual ~RestorePort() = default;
  // From any thread; the answer comes through `done`, on a thread of the restorer's.
  virtual void Restore(RestoreRequest request) = 0;
  // Drops the task's restore; `done` is not called after Cancel returned. Does not wait: its
  // engines are closed soon, and before the next restore of the task opens them.
  virtual void Cancel(TaskId task) = 0;
};

}  // namespace coho
