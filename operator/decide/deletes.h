// What is to be deleted, each with the uid of the object that was judged. Pure.
#pragma once

#include <set>

#include "common/base/ids.h"
#include "operator/decide/plan.h"

namespace coho {

// Emptied workers beyond the count: their sets and, where spec.storage.retention.whenScaled says
// so, their claims. A claim that is to stay is waited for until it no longer goes with its set.
void DeleteEmptiedWorkers(const Observed& observed, const std::set<WorkerId>& leaving,
                          ReconcilePlan* plan);

// Workers whose state lies on a lost node, with policy Replace: the claim, if its volume is bound
// to that node, and the pod; both are made anew elsewhere, and the state comes back from the
// changelog. What may still run on the lost node has been or will be fenced by Kafka, when the
// coordinator moves the tasks or the new process initialises its producers.
void ReplaceLostWorkers(const Observed& observed, const std::map<WorkerId, std::string>& lost,
                        ReconcilePlan* plan);

// Job files of earlier contents that no pod and no set refers to any more.
void DeleteUnusedJobFiles(const Observed& observed, ReconcilePlan* plan);

// Pods that are to come back with the current template.
void ReplaceOutdatedPods(const Observed& observed, const std::vector<WorkerId>& workers,
                         ReconcilePlan* plan);

// Whether the claim of this worker is to go when its set is deleted.
[[nodiscard]] bool DeletesClaimWithSet(const Job& job, bool leaving);

}  // namespace coho
