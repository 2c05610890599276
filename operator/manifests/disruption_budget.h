// The PodDisruptionBudget of a job: a drain takes one worker at a time, and a worker that does not
// work never holds it up. Pure.
#pragma once

#include <nlohmann/json.hpp>

#include "operator/api/stream_job.h"

namespace coho {

[[nodiscard]] nlohmann::json MakeDisruptionBudget(const StreamJob& job);

}  // namespace coho
