#include <initializer_list>
#include <string>
#include <string_view>

#include "operator/api/names.h"
#include "operator/kube/json.h"
#include "operator/observe/facts.h"

namespace coho {
namespace {

using kube::At;
using kube::Json;

using Path = std::initializer_list<const char*>;

// Copies what lies at `path`, if anything does.
void Copy(const Json& from, Path path, Json* to) {
  const Json& value = At(from, path);
  if (value.is_null()) return;
  Json* at = to;
  for (const char* step : path) at = &(*at)[step];
  *at = value;
}

void CopyAnnotation(const Json& from, std::string_view annotation, Json* to) {
  Copy(from, {"metadata", "annotations", std::string(annotation).c_str()}, to);
}

Json Identity(const Json& object) {
  Json slim = Json::object();
  for (const char* field : {"apiVersion", "kind"}) Copy(object, {field}, &slim);
  for (const char* field : {"name", "namespace", "uid", "resourceVersion", "generation",
                            "deletionTimestamp", "labels", "ownerReferences"}) {
    Copy(object, {"metadata", field}, &slim);
  }
  return slim;
}

}  // namespace

void SlimStreamJob(Json* job) {
  if (!At(*job, {"metadata", "annotations"}).is_object()) return;
  (*job)["metadata"]["annotations"].erase("kubectl.kubernetes.io/last-applied-configuration");
}

void SlimStatefulSet(Json* set) {
  Json slim = Identity(*set);
  CopyAnnotation(*set, kAppliedHashAnnotation, &slim);
  for (const std::string_view annotation : {kTemplateHashAnnotation, kConfigHashAnnotation}) {
    Copy(*set, {"spec", "template", "metadata", "annotations", std::string(annotation).c_str()},
         &slim);
  }
  Copy(*set, {"spec", "persistentVolumeClaimRetentionPolicy"}, &slim);
  Copy(*set, {"status", "observedGeneration"}, &slim);
  *set = std::move(slim);
}

void SlimPod(Json* pod) {
  Json slim = Identity(*pod);
  CopyAnnotation(*pod, kTemplateHashAnnotation, &slim);
  CopyAnnotation(*pod, kConfigHashAnnotation, &slim);
  Copy(*pod, {"spec", "nodeName"}, &slim);
  Copy(*pod, {"status", "phase"}, &slim);
  Copy(*pod, {"status", "conditions"}, &slim);
  Copy(*pod, {"status", "containerStatuses"}, &slim);
  *pod = std::move(slim);
}

void SlimClaim(Json* claim) {
  Json slim = Identity(*claim);
  CopyAnnotation(*claim, "volume.kubernetes.io/selected-node", &slim);
  Copy(*claim, {"spec", "volumeName"}, &slim);
  *claim = std::move(slim);
}

void SlimVolume(Json* volume) {
  Json slim = Identity(*volume);
  Copy(*volume, {"spec", "nodeAffinity"}, &slim);
  Copy(*volume, {"spec", "claimRef", "namespace"}, &slim);
  Copy(*volume, {"spec", "claimRef", "name"}, &slim);
  *volume = std::move(slim);
}

void SlimToIdentity(Json* object) { *object = Identity(*object); }

void SlimNode(Json* node) {
  Json slim = Identity(*node);
  Copy(*node, {"spec", "unschedulable"}, &slim);
  Copy(*node, {"spec", "taints"}, &slim);
  const Json& conditions = At(*node, {"status", "conditions"});
  if (conditions.is_array()) {
    for (const Json& condition : conditions) {
      if (kube::TextAt(condition, {"type"}) != "Ready") continue;
      Json kept = condition;
      kept.erase("lastHeartbeatTime");  // changes with every report of a healthy kubelet
      slim["status"]["conditions"].push_back(std::move(kept));
    }
  }
  *node = std::move(slim);
}

}  // namespace coho
