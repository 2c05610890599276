// User code of the simulation: counts a key's records and answers "<count>:<what the record says>".
#pragma once

#include <vector>

#include "common/base/clock.h"
#include "tests/simulation/shipped/oracle.h"
#include "worker/sdk/task.h"

namespace coho::simulation {

struct UserTask {
  std::vector<bool> kept;  // whether a store has a changelog; one that has none may begin anew
  bool strict = true;      // stores that are committed together never differ
  Duration takes{};        // for a record
  Duration hangs{};        // for one of a hundred
};

// `oracle` outlives the tasks.
[[nodiscard]] TaskFactory CountingTasks(Oracle* oracle, const UserTask& how);

}  // namespace coho::simulation
