// The account that a job's workers run under: no rights, no token. Pure.
#pragma once

#include <nlohmann/json.hpp>

#include "operator/api/stream_job.h"

namespace coho {

[[nodiscard]] nlohmann::json MakeServiceAccount(const StreamJob& job);

}  // namespace coho
