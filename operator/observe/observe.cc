#include "operator/observe/observe.h"

#include <array>
#include <utility>

#include "operator/api/names.h"
#include "operator/kube/kinds.h"
#include "operator/observe/facts.h"

namespace coho {

using kube::Json;
using kube::ObjectPtr;
using kube::TextAt;

void ObserveCluster(const ClusterCache& cache, const JobId& id, Observed* observed) {
  for (const ObjectPtr& set : cache.sets().WithLabel(id.ns, id.name)) {
    if (const auto worker = WorkerOf(*set))
      observed->sets[*worker] = ReadStatefulSetFacts(*set, id.name);
  }
  for (const ObjectPtr& pod : cache.pods().WithLabel(id.ns, id.name)) {
    const auto worker = WorkerOf(*pod);
    // Anyone may put our labels on a pod; the worker's has the set's name for it.
    if (worker && TextAt(*pod, {"metadata", "name"}) == WorkerPodName(id.name, *worker)) {
      observed->pods[*worker] = ReadPodFacts(*pod);
    }
  }
  const auto for_each_node = [&](const VisitNode& visit) {
    for (const ObjectPtr& node : cache.nodes().All()) visit(*node);
  };
  static const Json kUnreadable;
  for (const ObjectPtr& claim : cache.claims().WithLabel(id.ns, id.name)) {
    const auto worker = WorkerOf(*claim);
    if (!worker || TextAt(*claim, {"metadata", "name"}) != WorkerClaimName(id.name, *worker))
      continue;
    const ObjectPtr volume = cache.volumes().Get({"", TextAt(*claim, {"spec", "volumeName"})});
    observed->volumes[*worker] =
        ReadVolumeFacts(*claim, volume == nullptr ? kUnreadable : *volume, for_each_node);
  }
  observed->nodes_known = cache.nodes_known();
  for (const ObjectPtr& node : cache.nodes().All()) {
    observed->nodes[TextAt(*node, {"metadata", "name"})] = ReadNodeFacts(*node);
  }
}

std::optional<JobId> OlderJobWithPrefix(const ClusterCache& cache, const PrefixUse& mine) {
  std::optional<PrefixUse> oldest;
  for (const ObjectPtr& object : cache.jobs().All()) {
    const PrefixUse other = PrefixUseOf(*object);
    if (other.job == mine.job || other.prefix != mine.prefix) continue;
    if (IsOlder(other, mine) && (!oldest || IsOlder(other, *oldest))) oldest = other;
  }
  if (!oldest) return std::nullopt;
  return oldest->job;
}

Result<std::map<ObjectKey, ObjectFacts>> ReadSmallObjects(kube::Api& api, const JobId& id) {
  const std::array<std::pair<kube::ResourceType, std::string>, 4> objects = {{
      {ServiceAccountType(), WorkerAccountName(id.name)},
      {ConfigMapType(), AssignmentConfigMapName(id.name)},
      {ServiceType(), ServiceName(id.name)},
      {PodDisruptionBudgetType(), DisruptionBudgetName(id.name)},
  }};
  std::map<ObjectKey, ObjectFacts> found;
  for (const auto& [type, name] : objects) {
    const Result<Json> object = api.Get(type, {id.ns, name});
    if (object.ok()) {
      found[{type.kind, name}] = ReadObjectFacts(*object, id.name);
    } else if (object.status().code() != Code::kNotFound) {
      return object.status();
    }
  }
  // Job files, of which there is one for each content that some pod was started with.
  COHO_ASSIGN_OR_RETURN(const std::vector<Json> files,
                        api.List(ConfigMapType(), id.ns, std::string(kJobLabel) + "=" + id.name));
  for (const Json& file : files) {
    const std::string name = TextAt(file, {"metadata", "name"});
    if (name.starts_with(JobConfigMapName(id.name, "")))
      found[{ConfigMapType().kind, name}] = ReadObjectFacts(file, id.name);
  }
  return found;
}

}  // namespace coho
