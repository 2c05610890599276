// What a run loop knows of a task from its grant to its end.
//
// Thread rule: the run loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "common/base/clock.h"
#include "common/model/assignment.h"
#include "worker/loop/loop_event.h"
#include "worker/loop/task_runtime.h"
#include "worker/restore/restorer.h"

namespace coho {

struct LoopTask {
  TaskGrant grant;
  TaskState state = TaskState::kRestoring;
  std::shared_ptr<RestoreProgress> progress;
  RestoreSource source = RestoreSource::kNone;
  int64_t replayed = 0;
  MonotonicTime asked_at;    // for the restore
  MonotonicTime not_before;  // of the next attempt, after a failed one
  bool restore_failed = false;
  std::optional<RestoredTask> restored;  // until it is started
  std::unique_ptr<TaskRuntime> runtime;  // Running
};

}  // namespace coho
