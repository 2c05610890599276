// User code of the simulation: counts a key's records and answers "<count>:<what the record says>".
#pragma once

#include "tests/simulation/shipped/oracle.h"
#include "worker/sdk/task.h"

namespace coho::simulation {

// `oracle` outlives the tasks.
[[nodiscard]] TaskFactory CountingTasks(Oracle* oracle, Guarantee guarantee);

}  // namespace coho::simulation
