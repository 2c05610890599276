// The headless Service that gives a job's workers their DNS names and lets metrics be found. Pure.
#pragma once

#include <nlohmann/json.hpp>

#include "operator/api/stream_job.h"

namespace coho {

[[nodiscard]] nlohmann::json MakeService(const StreamJob& job);

}  // namespace coho
