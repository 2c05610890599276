// Gathers what is known of one job for one reconcile: from the caches, and for the few small
// objects that are not watched by GET. The only IO of a reconcile before its plan.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/base/status.h"
#include "operator/api/observed.h"
#include "operator/kube/api.h"
#include "operator/observe/cluster_cache.h"

namespace coho {

// Reads jobs, sets, pods, volumes and nodes from the cache; the rest of Observed is the caller's.
void ObserveCluster(const ClusterCache& cache, const JobId& id, Observed* observed);

// The StreamJob, other than `mine`, that has had the same topic prefix for longest; nullopt: nobody
// has had it for longer.
[[nodiscard]] std::optional<JobId> OlderJobWithPrefix(const ClusterCache& cache,
                                                      const PrefixUse& mine);

// The job's small objects that exist: ServiceAccount, ConfigMaps, Service, PodDisruptionBudget.
[[nodiscard]] Result<std::map<ObjectKey, ObjectFacts>> ReadSmallObjects(kube::Api& api,
                                                                        const JobId& id);

}  // namespace coho
