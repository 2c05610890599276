#include "operator/decide/nodes.h"

#include <algorithm>
#include <set>

namespace coho {
namespace {

// How long an unready node is waited for; nullopt: for ever.
std::optional<Duration> PatienceWithNodes(const Observed& observed) {
  if (!observed.job.job || observed.job.job->failover.lost_node_policy != LostNodePolicy::kReplace)
    return std::nullopt;
  return observed.job.job->failover.lost_node_timeout;
}

}  // namespace

bool IsNodeLost(const Observed& observed, const std::string& node) {
  if (!observed.nodes_known || node.empty()) return false;
  const auto found = observed.nodes.find(node);
  if (found == observed.nodes.end() || found->second.out_of_service) return true;
  if (found->second.ready || !found->second.not_ready_since) return false;
  const auto patience = PatienceWithNodes(observed);
  return patience && observed.now - *found->second.not_ready_since >= *patience;
}

std::optional<std::string> LostNodeOf(const Observed& observed, WorkerId worker) {
  if (const auto pod = observed.pods.find(worker);
      pod != observed.pods.end() && IsNodeLost(observed, pod->second.node)) {
    return pod->second.node;
  }
  const auto volume = observed.volumes.find(worker);
  if (volume != observed.volumes.end() && IsNodeLost(observed, volume->second.node))
    return volume->second.node;
  return std::nullopt;
}

std::optional<Duration> UntilNextNodeIsLost(const Observed& observed) {
  const auto patience = PatienceWithNodes(observed);
  if (!patience || !observed.nodes_known) return std::nullopt;
  std::set<std::string> nodes;
  for (const auto& [id, pod] : observed.pods) nodes.insert(pod.node);
  for (const auto& [id, volume] : observed.volumes) nodes.insert(volume.node);
  std::optional<Duration> soonest;
  for (const std::string& node : nodes) {
    const auto found = observed.nodes.find(node);
    if (found == observed.nodes.end() || found->second.ready || !found->second.not_ready_since)
      continue;
    const Duration left = *patience - (observed.now - *found->second.not_ready_since);
    if (left > Duration::zero() && (!soonest || left < *soonest)) soonest = left;
  }
  return soonest;
}

std::map<WorkerId, PodFact> PodFactsForCoordinator(const Observed& observed) {
  std::set<WorkerId> workers;
  for (const auto& [id, set] : observed.sets) workers.insert(id);
  for (const auto& [id, pod] : observed.pods) workers.insert(id);
  if (observed.coordination) {
    for (const auto& [id, part] : observed.coordination->assignment.workers) workers.insert(id);
  }
  std::map<WorkerId, PodFact> facts;
  for (const WorkerId id : workers) {
    PodFact& fact = facts[id];
    const auto pod = observed.pods.find(id);
    if (pod == observed.pods.end()) continue;
    fact.exists = true;
    fact.running = pod->second.running;
    fact.node_lost = IsNodeLost(observed, pod->second.node);
  }
  return facts;
}

}  // namespace coho
