// The two ConfigMaps of a job: the job file that workers read, and the full assignment for people
// and tools. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/model/assignment.h"
#include "common/model/job.h"
#include "operator/api/stream_job.h"

namespace coho {

inline constexpr std::string_view kAssignmentKey = "assignment.json";

// Immutable, and named by what a worker reads of it: a pod finds at each start what it was made
// for. REQUIRES: job.job.
[[nodiscard]] nlohmann::json MakeJobConfigMap(const StreamJob& job);

// Hash of those parts of the job that a running worker would have to be restarted for. The number
// of workers, volume sizes and what else only the operator or the coordinator reads are not among
// them; the image is seen by the pod itself.
[[nodiscard]] std::string WorkerConfigHash(const Job& job);
// The job with nothing but those parts.
[[nodiscard]] Job WorkerJob(const Job& job);

// {"generation": 3, "reason": "...", "workers": {"0": {"active": [0, 2], "standby": []}, ...}};
// changes with the generation only.
[[nodiscard]] nlohmann::json MakeAssignmentConfigMap(const StreamJob& job,
                                                     const Assignment& assignment);

}  // namespace coho
