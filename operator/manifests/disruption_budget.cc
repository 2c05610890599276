#include "operator/manifests/disruption_budget.h"

#include "operator/api/names.h"
#include "operator/manifests/object.h"

namespace coho {

nlohmann::json MakeDisruptionBudget(const StreamJob& job) {
  nlohmann::json object = MakeObject(job, kDisruptionBudgetType, DisruptionBudgetName(job.id.name));
  object["spec"] = {{"maxUnavailable", 1},
                    {"unhealthyPodEvictionPolicy", "AlwaysAllow"},
                    {"selector", {{"matchLabels", SelectorLabels(job.id)}}}};
  return Sealed(std::move(object));
}

}  // namespace coho
