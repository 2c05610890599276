#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "operator/api/names.h"
#include "operator/manifests/config_map.h"
#include "operator/manifests/disruption_budget.h"
#include "operator/manifests/object.h"
#include "operator/manifests/pod_template.h"
#include "operator/manifests/service.h"
#include "operator/manifests/service_account.h"
#include "operator/manifests/stateful_set.h"

namespace coho {
namespace {

using nlohmann::json;

StreamJob Job(const json& patch = json::object()) {
  json object = json::parse(R"({
    "apiVersion": "coho.dev/v1alpha1", "kind": "StreamJob",
    "metadata": {"name": "visits", "namespace": "web", "uid": "uid-of-visits", "generation": 4},
    "spec": {
      "image": "coho-worker:dev",
      "task": {"name": "count", "config": {"store": "visits"}},
      "kafka": {"bootstrapServers": "kafka:9092", "secretRef": {"name": "kafka-credentials"}},
      "inputs": [{"topic": "requests", "key": "string", "value": "json"}],
      "outputs": [{"topic": "visits", "key": "string", "value": "int64", "partitions": 8}],
      "stores": [{"name": "visits", "key": "string", "value": "int64"}],
      "workers": {"count": 3, "resources": {"limits": {"memory": "1Gi"}},
        "template": {
          "labels": {"team": "web", "coho.dev/job": "stolen"},
          "annotations": {"note": "x"},
          "nodeSelector": {"disk": "ssd"},
          "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
          "priorityClassName": "streams",
          "imagePullSecrets": [{"name": "registry"}],
          "env": [{"name": "LANG", "value": "C"}, {"name": "LANG", "value": "C.UTF-8"}]}},
      "storage": {"size": "20Gi", "storageClassName": "local"},
      "failover": {"lostNode": {"policy": "Replace", "timeout": "90s"}}
    }})");
  object.merge_patch(patch);
  const StreamJob job = ParseStreamJob(object).value();
  REQUIRE_MESSAGE(job.job, job.error.message());
  return job;
}

WorkerPodOptions Options(WorkerHome home = {.hostname = "node2", .zone = "zone-b"}) {
  return {.worker = WorkerId(2), .home = std::move(home), .image_pull_policy = "IfNotPresent"};
}

// Compares with tests/testdata/manifests/<name>; COHO_UPDATE_GOLDEN=1 writes it instead.
void CheckGolden(const std::string& name, const json& object) {
  const std::string path = "tests/testdata/manifests/" + name;
  const std::string text = object.dump(2) + "\n";
  if (std::getenv("COHO_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::stringstream expected;
  expected << std::ifstream(path).rdbuf();
  CHECK_MESSAGE(expected.str() == text, path << " differs from:\n" << text);
}

TEST_CASE("manifests: golden") {
  const StreamJob job = Job();
  CheckGolden("service_account.json", MakeServiceAccount(job));
  CheckGolden("service.json", MakeService(job));
  CheckGolden("disruption_budget.json", MakeDisruptionBudget(job));
  CheckGolden("job_config_map.json", MakeJobConfigMap(job));
  CheckGolden("stateful_set.json", MakeWorkerSet(job, Options(), true));
  CheckGolden(
      "stateful_set_plain.json",
      MakeWorkerSet(Job({{"spec",
                          {{"workers", {{"template", nullptr}, {"resources", nullptr}}},
                           {"kafka", {{"secretRef", nullptr}}},
                           {"storage", nullptr},
                           {"failover", nullptr}}}}),
                    {.worker = WorkerId(0), .home = {}, .image_pull_policy = "Always"}, false));
  Assignment assignment{.generation = Generation(7), .reason = "worker 1 was added"};
  assignment.workers[WorkerId(0)].active = {TaskId(0), TaskId(2)};
  assignment.workers[WorkerId(1)].active = {TaskId(1)};
  assignment.workers[WorkerId(1)].standby = {TaskId(0)};
  CheckGolden("assignment_config_map.json", MakeAssignmentConfigMap(job, assignment));
}

TEST_CASE("manifests: a job file is named by what workers read of it and never changes") {
  const auto name = [](const json& patch) {
    return MakeJobConfigMap(Job(patch))["metadata"]["name"].get<std::string>();
  };
  const json file = MakeJobConfigMap(Job());
  CHECK(file["immutable"] == true);
  CHECK(name({{"spec", {{"workers", {{"count", 5}}}}}}) == name(json::object()));
  CHECK(name({{"spec", {{"state", {{"onLeftover", "Adopt"}}}}}}) == name(json::object()));
  CHECK(name({{"spec", {{"processing", {{"commitInterval", "100ms"}}}}}}) == name(json::object()));
  CHECK(name({{"spec", {{"processing", {{"commitInterval", "1s"}}}}}}) != name(json::object()));
  const json pod = MakePodTemplate(Job(), Options());
  CHECK(pod["spec"]["volumes"][0]["configMap"]["name"] == name(json::object()));
  CHECK(name(json::object()) ==
        JobConfigMapName(
            "visits",
            pod["metadata"]["annotations"][std::string(kConfigHashAnnotation)].get<std::string>()));
  const auto read = ParseJobJson(file["data"]["job.json"].get<std::string>());
  REQUIRE_MESSAGE(read.ok(), read.status().ToString());
  CHECK(read->workers.count == 3);
  CHECK(read->kafka.topic_prefix == "coho-web.visits");
}

TEST_CASE("manifests: restricted pod security") {
  const json pod = MakePodTemplate(Job(), Options())["spec"];
  CHECK(pod["automountServiceAccountToken"] == false);
  CHECK(pod["securityContext"]["runAsNonRoot"] == true);
  CHECK(pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault");
  for (const char* field : {"hostNetwork", "hostPID", "hostIPC"}) CHECK_FALSE(pod.contains(field));
  for (const json& container : pod["containers"]) {
    CHECK(container["securityContext"]["allowPrivilegeEscalation"] == false);
    CHECK(container["securityContext"]["readOnlyRootFilesystem"] == true);
    CHECK(container["securityContext"]["capabilities"] == json{{"drop", {"ALL"}}});
  }
}

TEST_CASE("manifests: affinity is a preference, and only new workers are spread") {
  const json settled = MakePodTemplate(Job(), Options())["spec"];
  CHECK(settled["affinity"]["nodeAffinity"].size() == 1);
  CHECK(settled["affinity"]["nodeAffinity"].contains(
      "preferredDuringSchedulingIgnoredDuringExecution"));
  CHECK_FALSE(settled.contains("topologySpreadConstraints"));
  const json fresh = MakePodTemplate(Job(), Options({}))["spec"];
  CHECK_FALSE(fresh.contains("affinity"));
  CHECK(fresh["topologySpreadConstraints"].size() == 2);
}

TEST_CASE("manifests: placement is no part of the template's hash, but of what is applied") {
  const StreamJob job = Job();
  const json a = MakeWorkerSet(job, Options(), true);
  const json b = MakeWorkerSet(job, Options({.hostname = "node3", .zone = "zone-c"}), true);
  const json c = MakeWorkerSet(
      Job({{"spec", {{"failover", {{"lostNode", {{"timeout", "10s"}}}}}}}}), Options({}), true);
  CHECK(TemplateHash(a["spec"]["template"]) == TemplateHash(b["spec"]["template"]));
  CHECK(TemplateHash(a["spec"]["template"]) == TemplateHash(c["spec"]["template"]));
  CHECK(AppliedHash(a) != AppliedHash(b));
  CHECK(AppliedHash(a) == AppliedHash(MakeWorkerSet(job, Options(), true)));
}

TEST_CASE(
    "manifests: the operator's own labels, annotations and environment cannot be taken over") {
  const json pod = MakePodTemplate(
      Job({{"spec",
            {{"workers",
              {{"template", {{"annotations", {{"coho.dev/template-hash", "mine"}}}}}}}}}}),
      Options());
  CHECK(pod["metadata"]["labels"]["coho.dev/job"] == "visits");
  CHECK(pod["metadata"]["labels"]["team"] == "web");
  CHECK(TemplateHash(pod) != "mine");
  int langs = 0;
  for (const json& variable : pod["spec"]["containers"][0]["env"]) {
    if (variable["name"] == "LANG") {
      ++langs;
      CHECK(variable["value"] == "C.UTF-8");
    }
  }
  CHECK(langs == 1);  // the API server refuses a name twice
}

TEST_CASE("manifests: a user's toleration of lost nodes stands in for ours") {
  const json spec = MakePodTemplate(
      Job({{"spec",
            {{"workers",
              {{"template",
                {{"tolerations", json::array({{{"key", "node.kubernetes.io/unreachable"},
                                               {"operator", "Exists"},
                                               {"effect", "NoExecute"}}})}}}}}}}}),
      Options())["spec"];
  REQUIRE(spec["tolerations"].size() == 2);
  CHECK_FALSE(spec["tolerations"][0].contains("tolerationSeconds"));
  CHECK(spec["tolerations"][1]["key"] == "node.kubernetes.io/not-ready");
  CHECK(spec["tolerations"][1]["tolerationSeconds"] == 90);
}

TEST_CASE("names: fit Kubernetes' limits for the longest job and the highest worker") {
  const std::string job(40, 'j');
  CHECK(WorkerSetName(job, WorkerId(999)).size() <=
        52);  // the label controller-revision-hash adds 11
  CHECK(WorkerPodName(job, WorkerId(999)).size() <= 63);
  CHECK(WorkerPodName("visits", WorkerId(2)) == "visits-worker-2-2");
  CHECK(WorkerClaimName("visits", WorkerId(2)) == "state-visits-worker-2-2");
}

TEST_CASE("names: worker labels") {
  CHECK(ParseWorkerLabel("0") == WorkerId(0));
  CHECK(ParseWorkerLabel("999") == WorkerId(999));
  for (const char* bad : {"", "-1", "+1", "01", "1x", "x", " 1", "9999999999", "1.0"}) {
    CAPTURE(bad);
    CHECK_FALSE(ParseWorkerLabel(bad));
  }
}

TEST_CASE("hash: FNV-1a") {
  CHECK(TextHash("") == "cbf29ce484222325");
  CHECK(TextHash("foobar") == "85944171f73967e8");
}

}  // namespace
}  // namespace coho
