// Which nodes are lost, and what of a worker is on them. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/coordination/coordinator.h"
#include "operator/api/observed.h"

namespace coho {

// Its object is gone, somebody vouches that it is out of service, or, where the job asks for
// replacement, it has not been ready for longer than spec.failover.lostNode.timeout. Never true of
// a node that merely cannot be looked up.
[[nodiscard]] bool IsNodeLost(const Observed& observed, const std::string& node);

// The lost node that holds a worker's pod, or its volume; nullopt: none.
[[nodiscard]] std::optional<std::string> LostNodeOf(const Observed& observed, WorkerId worker);

// How long until a node that is not ready now counts as lost; nullopt: no such node has anything of
// this job.
[[nodiscard]] std::optional<Duration> UntilNextNodeIsLost(const Observed& observed);

// What the coordinator is told of every worker that has a set, a pod or a place in the assignment.
[[nodiscard]] std::map<WorkerId, PodFact> PodFactsForCoordinator(const Observed& observed);

}  // namespace coho
