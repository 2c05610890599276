// What a run loop and the member tell each other. Values.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "common/base/ids.h"
#include "common/model/assignment.h"
#include "worker/restore/restore_port.h"

namespace coho {

struct TaskGrant {
  TaskId task;
  int64_t number = 0;               // comes back with TaskClosed
  const JobModel* model = nullptr;  // both outlive the task
  RestorePort* restorer = nullptr;
  int64_t lease_epoch = 0;  // the lease's when the assignment was read
};

// Its producer is initialised, at the start (`join` 0) or after the Rejoin of this number.
struct LoopReady {
  int64_t join = 0;
  friend bool operator==(const LoopReady&, const LoopReady&) = default;
};
struct TaskClosed {  // committed and closed, or dropped before it ran
  TaskId task;
  int64_t grant = 0;
  friend bool operator==(const TaskClosed&, const TaskClosed&) = default;
};
// A transaction that was begun after Prove with this generation was committed on the loop's
// transactional id.
struct LoopProved {
  int64_t generation = 0;
  friend bool operator==(const LoopProved&, const LoopProved&) = default;
};
// Its tasks and its producer are dropped; it waits for Rejoin (or drains), and may own only what an
// assignment gives that is read after that.
struct LoopFenced {
  std::string reason;
  bool own_timeout = false;  // its own transaction took too long: no sign of a rival
  int64_t join = 0;          // the last Rejoin that it had heard of
  friend bool operator==(const LoopFenced&, const LoopFenced&) = default;
};
struct LoopStopped {
  friend bool operator==(const LoopStopped&, const LoopStopped&) = default;
};
struct LoopFailed {  // followed by nothing
  int exit_code = 1;
  std::string message;
  friend bool operator==(const LoopFailed&, const LoopFailed&) = default;
};
using LoopEvent =
    std::variant<LoopReady, TaskClosed, LoopProved, LoopFenced, LoopStopped, LoopFailed>;

}  // namespace coho
