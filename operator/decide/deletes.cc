#include "operator/decide/deletes.h"

#include "operator/api/names.h"
#include "operator/decide/nodes.h"
#include "operator/manifests/config_map.h"
#include "operator/manifests/object.h"

namespace coho {
namespace {

DeleteAction Delete(const ObjectType& type, const std::string& name, const std::string& uid) {
  return {.api_version = std::string(type.api_version),
          .kind = std::string(type.kind),
          .name = name,
          .uid = uid};
}

// The coordinator knows only workers that were heard of or have a pod; one that has neither owns
// nothing.
bool IsEmptied(const Observed& observed, WorkerId worker) {
  const JobView& view = *observed.coordination;
  if (view.removable.contains(worker)) return true;
  return !observed.pods.contains(worker) && !view.workers.contains(worker) &&
         !view.assignment.workers.contains(worker);
}

}  // namespace

bool DeletesClaimWithSet(const Job& job, bool leaving) {
  return leaving ? job.storage.delete_when_scaled : job.storage.delete_when_deleted;
}

void DeleteEmptiedWorkers(const Observed& observed, const std::set<WorkerId>& leaving,
                          ReconcilePlan* plan) {
  const bool delete_claim = observed.job.job->storage.delete_when_scaled;
  for (const WorkerId id : leaving) {
    const auto set = observed.sets.find(id);
    if (set == observed.sets.end() || set->second.deleting) continue;
    if (set->second.object.controller_uid != observed.job.uid) continue;
    if (!IsEmptied(observed, id)) continue;

    const auto volume = observed.volumes.find(id);
    if (volume != observed.volumes.end() && !volume->second.claim_deleting) {
      if (delete_claim) {
        // Before the set: a claim is held while its pod lives, and without a set nobody would
        // remember to delete it.
        plan->deletes.push_back(Delete(kClaimType, volume->second.claim, volume->second.claim_uid));
      } else if (set->second.delete_claim_with_set || volume->second.owned_by_set) {
        continue;
      }
    }
    plan->deletes.push_back(Delete(kStatefulSetType, set->second.name, set->second.object.uid));
    plan->events.push_back({.reason = std::string(NameOf(EventReason::kWorkerRemoved)),
                            .action = "DeleteStatefulSet",
                            .note = "worker " + ToString(id) +
                                    " owns no task any more and is removed; its volume is " +
                                    (delete_claim ? "deleted" : "kept")});
  }
}

void ReplaceLostWorkers(const Observed& observed, const std::map<WorkerId, std::string>& lost,
                        ReconcilePlan* plan) {
  if (observed.job.job->failover.lost_node_policy != LostNodePolicy::kReplace) return;
  for (const auto& [id, node] : lost) {
    const auto volume = observed.volumes.find(id);
    const bool volume_lost =
        volume != observed.volumes.end() && IsNodeLost(observed, volume->second.node);
    if (volume_lost && !volume->second.claim_deleting) {
      plan->deletes.push_back(Delete(kClaimType, volume->second.claim, volume->second.claim_uid));
      plan->events.push_back(
          {.warning = true,
           .reason = std::string(NameOf(EventReason::kStateVolumeAbandoned)),
           .action = "DeletePersistentVolumeClaim",
           .note = "worker " + ToString(id) + ": claim " + volume->second.claim + " on lost node " +
                   node + " is deleted; the state is restored from the changelog on another node"});
    }
    const auto pod = observed.pods.find(id);
    if (pod == observed.pods.end()) continue;
    const bool pod_lost = IsNodeLost(observed, pod->second.node);
    if (!pod_lost && (!volume_lost || pod->second.deleting)) continue;
    DeleteAction action = Delete(kPodType, pod->second.name, pod->second.uid);
    if (pod_lost) action.grace_period = 0;  // nobody on the node would confirm its end
    plan->deletes.push_back(std::move(action));
  }
}

void DeleteUnusedJobFiles(const Observed& observed, ReconcilePlan* plan) {
  const std::string& job = observed.job.id.name;
  std::set<std::string> used = {JobConfigMapName(job, WorkerConfigHash(*observed.job.job))};
  for (const auto& [id, set] : observed.sets) {
    // Its controller may make a pod of a template that we do not see any more.
    if (!set.observed) return;
    used.insert(JobConfigMapName(job, set.config_hash));
  }
  for (const auto& [id, pod] : observed.pods) used.insert(JobConfigMapName(job, pod.config_hash));
  for (const auto& [key, object] : observed.objects) {
    const bool job_file =
        key.kind == kConfigMapType.kind && key.name.starts_with(JobConfigMapName(job, ""));
    if (!job_file || used.contains(key.name) || object.controller_uid != observed.job.uid) continue;
    plan->deletes.push_back(Delete(kConfigMapType, key.name, object.uid));
  }
}

void ReplaceOutdatedPods(const Observed& observed, const std::vector<WorkerId>& workers,
                         ReconcilePlan* plan) {
  for (const WorkerId id : workers) {
    const PodFacts& pod = observed.pods.at(id);
    plan->deletes.push_back(Delete(kPodType, pod.name, pod.uid));
    plan->events.push_back({.reason = std::string(NameOf(EventReason::kWorkerReplaced)),
                            .action = "DeletePod",
                            .note = "worker " + ToString(id) + ": pod " + pod.name +
                                    " is deleted so that it comes back with the current template"});
  }
}

}  // namespace coho
