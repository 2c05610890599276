// What a run loop and the member tell each other. Values.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "common/base/ids.h"
#include "common/model/assignment.h"
#include "worker/restore/restorer.h"

namespace coho {

struct TaskGrant {
  TaskId task;
  int64_t number = 0;               // comes back with TaskClosed
  const JobModel* model = nullptr;  // both outlive the task
  Restorer* restorer = nullptr;
  int64_t lease_epoch = 0;  // the lease's when the assignment was read
};

struct LoopReady {};  // its producer is initialised, at the start or after Rejoin
struct TaskClosed {   // committed and closed, or dropped before it ran
  TaskId task;
  int64_t grant = 0;
};
// Its tasks and its producer are dropped; it waits for Rejoin (or drains), and may own only what an assignment gives that is
// read after that.
struct LoopFenced {
  std::string reason;
};
struct LoopStopped {};
struct LoopFailed {  // followed by nothing
  int exit_code = 1;
  std::string message;
};
using LoopEvent = std::variant<LoopReady, TaskClosed, LoopFenced, LoopStopped, LoopFailed>;

}  // namespace coho
