// Where a worker is at home: the node that its pod should return to. Pure.
#pragma once

#include "common/base/ids.h"
#include "operator/api/observed.h"
#include "operator/manifests/pod_template.h"

namespace coho {

// The node that its volume is pinned to, if it is; else the node that holds most bytes of its
// tasks' state by stored locality; a lost node is no home. Both parts empty: it has none yet.
[[nodiscard]] WorkerHome HomeOf(const Observed& observed, WorkerId worker);

}  // namespace coho
