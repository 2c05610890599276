// Which worker should run which task (R6). A pure function: values in, values out, no clock, no IO;
// deterministic, every tie ends in an id.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/base/ids.h"

namespace coho {

// What bringing a task's state up to date costs.
struct RestoreCost {
  int64_t bytes = 0;
  int64_t records = 0;  // where bytes are equal, as those of small states are
  friend bool operator==(const RestoreCost&, const RestoreCost&) = default;
};

struct PlannerTask {
  TaskId id;
  RestoreCost whole = {};                       // on a worker that has no copy
  std::map<WorkerId, RestoreCost> copies = {};  // on those that have one: what it is behind
};

struct PlannerInput {
  std::vector<PlannerTask> tasks;
  std::vector<WorkerId> workers;       // that may own tasks
  std::map<TaskId, WorkerId> current;  // active owners
  // Where tasks without an owner are on their way to: they stay on it unless balance speaks against
  // it, and redirecting one costs less than taking a task from its owner.
  std::map<TaskId, WorkerId> intended;
};

struct TaskMove {
  TaskId task;
  std::optional<WorkerId> from;  // its owner
  WorkerId to;
  RestoreCost cost = {};  // of the restore there
};

struct AssignmentPlan {
  std::map<TaskId, WorkerId> active;  // every task, unless no worker may own
  std::vector<TaskMove> moves;        // sorted by task
};

// In order: every task exactly once active; balanced within one task; no task taken from an owner
// unless balance asks for it; none redirected unless balance asks for it; fewest bytes to restore;
// fewest moves (which follows: each move is of a task without an owner that may keep it, or is one
// taken from its owner).
[[nodiscard]] AssignmentPlan PlanAssignment(const PlannerInput& input);

}  // namespace coho
