// The StatefulSet of one worker. A set per worker, because one set has one template for all pods
// (affinity is per worker) and can lose only its highest ordinal; and a StatefulSet, because its
// pod comes back while the operator is down. Pure.
#pragma once

#include <nlohmann/json.hpp>

#include "operator/api/stream_job.h"
#include "operator/manifests/pod_template.h"

namespace coho {

// `delete_claim_with_set`: whether the volume claim goes when the set is deleted. REQUIRES:
// job.job.
[[nodiscard]] nlohmann::json MakeWorkerSet(const StreamJob& job, const WorkerPodOptions& options,
                                           bool delete_claim_with_set);

}  // namespace coho
