#include "operator/decide/rollout.h"

#include <algorithm>
#include <optional>

#include "operator/decide/nodes.h"

namespace coho {
namespace {

bool IsAvailable(const Observed& observed, WorkerId worker) {
  const auto pod = observed.pods.find(worker);
  return pod != observed.pods.end() && pod->second.ready && !pod->second.deleting;
}

bool WouldComeBackNew(const Observed& observed, WorkerId worker, const std::string& hash) {
  const auto set = observed.sets.find(worker);
  return set != observed.sets.end() && set->second.observed && !set->second.deleting &&
         set->second.template_hash == hash && set->second.object.controller_uid == observed.job.uid;
}

}  // namespace

Rollout PlanRollout(const Observed& observed, const std::map<WorkerId, std::string>& templates) {
  Rollout rollout;
  std::optional<WorkerId> next;
  bool all_available = true;
  for (const auto& [id, hash] : templates) {
    const bool available = IsAvailable(observed, id);
    all_available = all_available && available;
    const auto pod = observed.pods.find(id);
    if (pod == observed.pods.end() || pod->second.template_hash == hash) continue;
    rollout.outdated.insert(id);
    if (pod->second.deleting || IsNodeLost(observed, pod->second.node) ||
        !WouldComeBackNew(observed, id, hash))
      continue;
    if (!available) {
      rollout.replace.push_back(id);
    } else if (!next) {
      next = id;
    }
  }
  if (next && all_available) rollout.replace.push_back(*next);
  return rollout;
}

}  // namespace coho
