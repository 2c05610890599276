// Which worker should run which task (R6). A pure function: values in, values out, no clock, no IO;
// deterministic, every tie ends in an id.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/base/ids.h"
#include "common/model/assignment.h"

namespace coho {

struct PlannerTask {
  TaskId id;
  int64_t state_bytes = 0;  // what a move has to restore
};

struct PlannerInput {
  std::vector<PlannerTask> tasks;
  std::vector<WorkerId> workers;  // that may own tasks
  Locality locality;
  std::map<TaskId, WorkerId> current;  // active owners
  // Where tasks without an owner are on their way to: they stay on it unless balance speaks against
  // it, and redirecting one costs less than taking a task from its owner.
  std::map<TaskId, WorkerId> intended;
};

struct TaskMove {
  TaskId task;
  std::optional<WorkerId> from;  // its owner
  WorkerId to;
  int64_t bytes = 0;  // to restore there; 0 where its state lies already
};

struct AssignmentPlan {
  std::map<TaskId, WorkerId> active;  // every task, unless no worker may own
  std::vector<TaskMove> moves;        // sorted by task
};

// In order: every task exactly once active; balanced within one task; no task taken from an owner
// unless balance asks for it; fewest bytes to restore; fewest moves.
[[nodiscard]] AssignmentPlan PlanAssignment(const PlannerInput& input);

}  // namespace coho
