// Where a worker's pod should be placed, and how long it stays on a node that does not answer.
// Pure.
#pragma once

#include <nlohmann/json.hpp>

#include "common/base/clock.h"
#include "operator/manifests/pod_template.h"

namespace coho {

// Adds affinity or spread constraints, and tolerations, to a pod spec that holds the user's
// tolerations already.
void Place(const StreamJob& job, const WorkerHome& home, nlohmann::json* pod_spec);

}  // namespace coho
