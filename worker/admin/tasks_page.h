// The JSON of /v1/tasks: what this worker runs, how far it is, what its stores hold. Pure.
#pragma once

#include <string>

#include "common/base/ids.h"
#include "worker/member/worker_status.h"

namespace coho {

[[nodiscard]] std::string TasksPage(WorkerId worker, const WorkerStatus& status);

}  // namespace coho
