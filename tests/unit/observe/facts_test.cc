#include "operator/observe/facts.h"

#include <doctest/doctest.h>

#include "operator/kube/json.h"
#include "operator/kube/time.h"
#include "operator/observe/node_selector.h"

namespace coho {
namespace {

using kube::Json;

Json Node(const std::string& name, const std::string& zone, const std::string& size = "5") {
  return {{"metadata",
           {{"name", name},
            {"labels",
             {{"kubernetes.io/hostname", name},
              {"topology.kubernetes.io/zone", zone},
              {"size", size}}}}}};
}

Json Expression(const char* key, const char* op, std::initializer_list<const char*> values) {
  Json requirement = {{"key", key}, {"operator", op}};
  for (const char* value : values) requirement["values"].push_back(value);
  return requirement;
}

TEST_CASE("Node selector: operators") {
  const Json node = Node("n1", "z1");
  struct Row {
    Json requirement;
    bool expected;
  };
  const Row rows[] = {
      {Expression("kubernetes.io/hostname", "In", {"n0", "n1"}), true},
      {Expression("kubernetes.io/hostname", "In", {"n0"}), false},
      {Expression("missing", "In", {"n0"}), false},
      {Expression("kubernetes.io/hostname", "NotIn", {"n0"}), true},
      {Expression("kubernetes.io/hostname", "NotIn", {"n1"}), false},
      {Expression("missing", "NotIn", {"n1"}), true},
      {Expression("size", "Exists", {}), true},
      {Expression("missing", "Exists", {}), false},
      {Expression("size", "DoesNotExist", {}), false},
      {Expression("missing", "DoesNotExist", {}), true},
      {Expression("size", "Gt", {"4"}), true},
      {Expression("size", "Gt", {"5"}), false},
      {Expression("size", "Lt", {"6"}), true},
      {Expression("size", "Lt", {"x"}), false},
      {Expression("size", "Near", {"5"}), false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.requirement.dump());
    const Json selector = {{"nodeSelectorTerms",
                            Json::array({{{"matchExpressions", Json::array({row.requirement})}}})}};
    CHECK(NodeSelectorAdmits(selector, node) == row.expected);
  }
}

TEST_CASE(
    "Node selector: terms are alternatives, requirements must all hold, empty terms admit "
    "nothing") {
  const Json node = Node("n1", "z1");
  const Json yes = Expression("size", "Exists", {});
  const Json no = Expression("size", "DoesNotExist", {});
  const auto selector = [](std::vector<std::vector<Json>> terms) {
    Json out = {{"nodeSelectorTerms", Json::array()}};
    for (const auto& term : terms) out["nodeSelectorTerms"].push_back({{"matchExpressions", term}});
    return out;
  };
  CHECK(NodeSelectorAdmits(selector({{no}, {yes}}), node));
  CHECK(!NodeSelectorAdmits(selector({{yes, no}}), node));
  CHECK(!NodeSelectorAdmits(selector({{}}), node));
  CHECK(!NodeSelectorAdmits(selector({}), node));
  CHECK(NodeSelectorAdmits(Json(), node));
  const Json by_name = {
      {"nodeSelectorTerms", {{{"matchFields", {Expression("metadata.name", "In", {"n1"})}}}}}};
  CHECK(NodeSelectorAdmits(by_name, node));
  CHECK(!NodeSelectorAdmits(by_name, Node("n2", "z1")));
}

TEST_CASE("Volume facts: the node and zone that a volume admits") {
  const std::vector<Json> nodes = {Node("n1", "z1"), Node("n2", "z1"), Node("n3", "z2")};
  const auto for_each_node = [&](const VisitNode& visit) {
    for (const Json& node : nodes) visit(node);
  };
  const Json claim = Json::parse(R"({"metadata":{"name":"state-j-worker-0-0","uid":"u",
      "annotations":{"volume.kubernetes.io/selected-node":"n9"},
      "ownerReferences":[{"kind":"StatefulSet"}]},"spec":{"volumeName":"pv1"}})");
  const auto volume = [](const Json& requirement) {
    return Json{
        {"spec",
         {{"nodeAffinity",
           {{"required", {{"nodeSelectorTerms", {{{"matchExpressions", {requirement}}}}}}}}}}}};
  };
  VolumeFacts facts = ReadVolumeFacts(
      claim, volume(Expression("kubernetes.io/hostname", "In", {"n2"})), for_each_node);
  CHECK(facts.claim == "state-j-worker-0-0");
  CHECK(facts.claim_uid == "u");
  CHECK(facts.owned_by_set);
  CHECK(facts.volume == "pv1");
  CHECK(facts.node == "n2");
  CHECK(facts.zone == "z1");
  facts = ReadVolumeFacts(claim, volume(Expression("topology.kubernetes.io/zone", "In", {"z1"})),
                          for_each_node);
  CHECK(facts.node.empty());
  CHECK(facts.zone == "z1");
  facts = ReadVolumeFacts(claim, volume(Expression("size", "Exists", {})), for_each_node);
  CHECK(facts.node.empty());
  CHECK(facts.zone.empty());
  facts = ReadVolumeFacts(claim, volume(Expression("kubernetes.io/hostname", "In", {"gone"})),
                          for_each_node);
  CHECK(facts.node.empty());
  facts = ReadVolumeFacts(claim, Json{{"spec", Json::object()}}, for_each_node);
  CHECK(facts.node.empty());
  SUBCASE("without rights to read volumes the scheduler's choice stands in") {
    CHECK(ReadVolumeFacts(claim, Json(), for_each_node).node == "n9");
  }
  SUBCASE("an unbound claim has no node") {
    Json unbound = claim;
    unbound["spec"].erase("volumeName");
    CHECK(ReadVolumeFacts(unbound, Json(), for_each_node).node.empty());
  }
}

TEST_CASE("Pod facts: what the worker's container does, and did") {
  const Json pod =
      Json::parse(R"({"metadata":{"name":"j-worker-1-1","uid":"u","labels":{"coho.dev/worker":"1"},
      "annotations":{"coho.dev/template-hash":"h"}},"spec":{"nodeName":"n1"},
      "status":{"conditions":[{"type":"Ready","status":"False"},{"type":"PodScheduled","status":"True"}],
      "containerStatuses":[{"name":"sidecar","restartCount":9,"state":{"running":{}}},
        {"name":"worker","restartCount":2,"state":{"waiting":{"reason":"CrashLoopBackOff","message":"back-off"}},
         "lastState":{"terminated":{"exitCode":3,"reason":"Error","message":"bad record"}}}]}})");
  const PodFacts facts = ReadPodFacts(pod);
  CHECK(WorkerOf(pod) == WorkerId(1));
  CHECK(facts.node == "n1");
  CHECK(!facts.running);
  CHECK(!facts.ready);
  CHECK(facts.restarts == 2);
  CHECK(facts.waiting_reason == "CrashLoopBackOff");
  CHECK(facts.exit_code == 3);
  CHECK(facts.exit_message == "bad record");
  CHECK(facts.unschedulable.empty());
  CHECK(facts.template_hash == "h");
}

TEST_CASE("Node facts: readiness, taints, labels") {
  Json node = Node("n1", "z1");
  node["spec"] = {{"unschedulable", true},
                  {"taints", {{{"key", "node.kubernetes.io/out-of-service"}}}}};
  node["status"]["conditions"] = {
      {{"type", "Ready"}, {"status", "Unknown"}, {"lastTransitionTime", "2025-11-21T10:28:20Z"}}};
  const NodeFacts facts = ReadNodeFacts(node);
  CHECK(facts.zone == "z1");
  CHECK(!facts.ready);
  CHECK(facts.not_ready_since == FromUnixMillis(1763720900000));
  CHECK(facts.unschedulable);
  CHECK(facts.out_of_service);
}

TEST_CASE("Facts: nothing in an object is needed, and odd shapes are as good as nothing") {
  for (
      const char* text :
      {"{}", "[]", "null", "5", R"({"metadata":5,"spec":[],"status":"x"})",
       R"({"metadata":{"labels":[1],"ownerReferences":{"a":1},"annotations":7},"status":{"conditions":{},"containerStatuses":[5,null,[]]}})"}) {
    CAPTURE(text);
    const Json object = Json::parse(text);
    (void)ReadObjectFacts(object, "visits");
    (void)ReadStatefulSetFacts(object, "visits");
    CHECK(!ReadPodFacts(object).running);
    (void)ReadNodeFacts(object);
    (void)ReadVolumeFacts(object, object, [](const VisitNode&) {});
    CHECK(!WorkerOf(object));
  }
}

TEST_CASE("Slimming keeps every fact") {
  Json set = Json::parse(
      R"({"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"s","namespace":"n","uid":"u","generation":4,
      "annotations":{"coho.dev/applied-hash":"h","other":"x"},"labels":{"coho.dev/worker":"3"},
      "ownerReferences":[{"controller":true,"uid":"job"}]},
      "spec":{"replicas":1,"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete"},
      "template":{"metadata":{"annotations":{"coho.dev/template-hash":"t"}},"spec":{"containers":[{}]}}},
      "status":{"observedGeneration":4}})");
  SlimStatefulSet(&set);
  CHECK(!set["spec"]["template"].contains("spec"));
  const StatefulSetFacts facts = ReadStatefulSetFacts(set, "visits");
  CHECK(facts.object.uid == "u");
  CHECK(facts.object.controller_uid == "job");
  CHECK(facts.object.applied_hash == "h");
  CHECK(facts.template_hash == "t");
  CHECK(facts.observed);
  CHECK(facts.delete_claim_with_set);
  CHECK(WorkerOf(set) == WorkerId(3));

  Json job = Json::parse(
      R"({"metadata":{"name":"j","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"long","a":"b"}},
      "spec":{"x":1}})");
  SlimStreamJob(&job);
  CHECK(job["metadata"]["annotations"] == Json{{"a", "b"}});
  CHECK(job["spec"]["x"] == 1);
}

}  // namespace
}  // namespace coho
