#include "operator/observe/facts.h"

#include <algorithm>
#include <cstdint>

#include "operator/api/names.h"
#include "operator/kube/json.h"
#include "operator/kube/time.h"
#include "operator/observe/node_selector.h"

namespace coho {
namespace {

using kube::At;
using kube::BoolAt;
using kube::IntAt;
using kube::Json;
using kube::TextAt;

std::string LabelOf(const Json& object, std::string_view label) {
  return TextAt(object, {"metadata", "labels", std::string(label).c_str()});
}

std::string AnnotationOf(const Json& object, std::string_view annotation) {
  return TextAt(object, {"metadata", "annotations", std::string(annotation).c_str()});
}

bool IsDeleting(const Json& object) {
  return !At(object, {"metadata", "deletionTimestamp"}).is_null();
}

// The element of an array of objects whose `field` is `value`, else null.
const Json& Find(const Json& array, const char* field, std::string_view value) {
  static const Json kNull;
  if (!array.is_array()) return kNull;
  for (const Json& element : array) {
    if (TextAt(element, {field}) == value) return element;
  }
  return kNull;
}

int32_t ToInt32(int64_t value) {
  return static_cast<int32_t>(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX));
}

}  // namespace

std::optional<WorkerId> WorkerOf(const Json& object) {
  return ParseWorkerLabel(LabelOf(object, kWorkerLabel));
}

ObjectFacts ReadObjectFacts(const Json& object, std::string_view job) {
  ObjectFacts facts{.uid = TextAt(object, {"metadata", "uid"}),
                    .controller_uid = "",
                    .applied_hash = AnnotationOf(object, kAppliedHashAnnotation)};
  const Json& owners = At(object, {"metadata", "ownerReferences"});
  if (owners.is_array()) {
    for (const Json& owner : owners) {
      if (!BoolAt(owner, {"controller"})) continue;
      facts.controller_uid = TextAt(owner, {"uid"});
      facts.of_this_name = TextAt(owner, {"kind"}) == kStreamJobKind &&
                           TextAt(owner, {"apiVersion"}).starts_with(kApiGroup) &&
                           TextAt(owner, {"name"}) == job;
    }
  }
  return facts;
}

StatefulSetFacts ReadStatefulSetFacts(const Json& set, std::string_view job) {
  return {.name = TextAt(set, {"metadata", "name"}),
          .object = ReadObjectFacts(set, job),
          .template_hash = AnnotationOf(At(set, {"spec", "template"}), kTemplateHashAnnotation),
          .config_hash = AnnotationOf(At(set, {"spec", "template"}), kConfigHashAnnotation),
          .observed = IntAt(set, {"status", "observedGeneration"}, -1) >=
                      IntAt(set, {"metadata", "generation"}),
          .delete_claim_with_set = TextAt(set, {"spec", "persistentVolumeClaimRetentionPolicy",
                                                "whenDeleted"}) == "Delete",
          .deleting = IsDeleting(set)};
}

PodFacts ReadPodFacts(const Json& pod) {
  PodFacts facts{.name = TextAt(pod, {"metadata", "name"}),
                 .uid = TextAt(pod, {"metadata", "uid"}),
                 .node = TextAt(pod, {"spec", "nodeName"}),
                 .deleting = IsDeleting(pod),
                 .template_hash = AnnotationOf(pod, kTemplateHashAnnotation),
                 .config_hash = AnnotationOf(pod, kConfigHashAnnotation)};
  const Json& conditions = At(pod, {"status", "conditions"});
  facts.ready = TextAt(Find(conditions, "type", "Ready"), {"status"}) == "True";
  if (const Json& scheduled = Find(conditions, "type", "PodScheduled");
      TextAt(scheduled, {"status"}) == "False") {
    facts.unschedulable = TextAt(scheduled, {"message"}, TextAt(scheduled, {"reason"}));
    facts.unschedulable_since = kube::ParseTime(TextAt(scheduled, {"lastTransitionTime"}));
  }
  const Json& container = Find(At(pod, {"status", "containerStatuses"}), "name", kWorkerContainer);
  facts.running = At(container, {"state", "running"}).is_object();
  facts.restarts = ToInt32(IntAt(container, {"restartCount"}));
  facts.waiting_reason = TextAt(container, {"state", "waiting", "reason"});
  facts.waiting_message = TextAt(container, {"state", "waiting", "message"});
  const Json* ended = &At(container, {"state", "terminated"});
  if (!ended->is_object()) ended = &At(container, {"lastState", "terminated"});
  if (ended->is_object()) {
    facts.exit_code = ToInt32(IntAt(*ended, {"exitCode"}));
    facts.exit_reason = TextAt(*ended, {"reason"});
    facts.exit_message = TextAt(*ended, {"message"});
  }
  return facts;
}

NodeFacts ReadNodeFacts(const Json& node) {
  NodeFacts facts{
      .hostname = LabelOf(node, kHostnameLabel),
      .zone = LabelOf(node, kZoneLabel),
      .unschedulable = BoolAt(node, {"spec", "unschedulable"}),
      .out_of_service = Find(At(node, {"spec", "taints"}), "key", kOutOfServiceTaint).is_object()};
  const Json& ready = Find(At(node, {"status", "conditions"}), "type", "Ready");
  facts.ready = TextAt(ready, {"status"}) == "True";
  if (!facts.ready) facts.not_ready_since = kube::ParseTime(TextAt(ready, {"lastTransitionTime"}));
  return facts;
}

VolumeFacts ReadVolumeFacts(const Json& claim, const Json& volume,
                            const std::function<void(const VisitNode&)>& for_each_node) {
  VolumeFacts facts{
      .claim = TextAt(claim, {"metadata", "name"}),
      .claim_uid = TextAt(claim, {"metadata", "uid"}),
      .claim_deleting = IsDeleting(claim),
      .owned_by_set =
          Find(At(claim, {"metadata", "ownerReferences"}), "kind", "StatefulSet").is_object(),
      .volume = TextAt(claim, {"spec", "volumeName"})};
  if (facts.volume.empty()) return facts;
  if (volume.is_null()) {
    facts.node = AnnotationOf(claim, "volume.kubernetes.io/selected-node");
    return facts;
  }
  facts.zone = LabelOf(volume, kZoneLabel);
  const Json& selector = At(volume, {"spec", "nodeAffinity", "required"});
  if (selector.is_null()) return facts;  // every node can have it
  int admitted = 0;
  bool one_zone = true;
  std::string node_name;
  std::optional<std::string> zone;
  for_each_node([&](const Json& node) {
    if (!NodeSelectorAdmits(selector, node)) return;
    ++admitted;
    node_name = TextAt(node, {"metadata", "name"});
    const std::string its_zone = LabelOf(node, kZoneLabel);
    if (zone && *zone != its_zone) one_zone = false;
    zone = its_zone;
  });
  if (admitted == 1) facts.node = node_name;
  if (admitted >= 1 && one_zone && facts.zone.empty()) facts.zone = *zone;
  return facts;
}

}  // namespace coho
