#include "operator/manifests/placement.h"

#include <chrono>
#include <string>
#include <string_view>

#include "operator/api/names.h"
#include "operator/manifests/object.h"

namespace coho {
namespace {

using nlohmann::json;

json Prefer(int weight, std::string_view label, const std::string& value) {
  const json expression = {
      {"key", std::string(label)}, {"operator", "In"}, {"values", json::array({value})}};
  return {{"weight", weight}, {"preference", {{"matchExpressions", json::array({expression})}}}};
}

json Spread(const JobId& job, std::string_view label) {
  return {{"maxSkew", 1},
          {"topologyKey", std::string(label)},
          {"whenUnsatisfiable", "ScheduleAnyway"},
          {"labelSelector", {{"matchLabels", SelectorLabels(job)}}}};
}

// Without these, Kubernetes adds its own with 300 s. A user's own toleration of the same key goes
// first.
void TolerateLostNode(Duration timeout, json* pod_spec) {
  json& tolerations = (*pod_spec)["tolerations"];
  if (tolerations.is_null()) tolerations = json::array();
  const int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout).count();
  for (const char* key : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}) {
    bool given = false;
    for (const json& toleration : tolerations)
      given = given || toleration.value("key", json()) == key;
    if (given) continue;
    tolerations.push_back({{"key", key},
                           {"operator", "Exists"},
                           {"effect", "NoExecute"},
                           {"tolerationSeconds", seconds}});
  }
}

}  // namespace

void Place(const StreamJob& job, const WorkerHome& home, json* pod_spec) {
  TolerateLostNode(job.job->failover.lost_node_timeout, pod_spec);
  json preferred = json::array();
  if (!home.hostname.empty()) preferred.push_back(Prefer(100, kHostnameLabel, home.hostname));
  if (!home.zone.empty()) preferred.push_back(Prefer(50, kZoneLabel, home.zone));
  if (preferred.empty()) {
    // Only workers without a home: a spread constraint would pull the others away from their state.
    (*pod_spec)["topologySpreadConstraints"] =
        json::array({Spread(job.id, kHostnameLabel), Spread(job.id, kZoneLabel)});
  } else {
    (*pod_spec)["affinity"] = {
        {"nodeAffinity",
         {{"preferredDuringSchedulingIgnoredDuringExecution", std::move(preferred)}}}};
  }
}

}  // namespace coho
