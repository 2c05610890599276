#include "operator/decide/rollout.h"

#include <doctest/doctest.h>

#include "toy_cluster.h"

namespace coho {
namespace {

using nlohmann::json;

std::vector<std::string> DeletedPods(const ReconcilePlan& plan) {
  std::vector<std::string> names;
  for (const DeleteAction& action : plan.deletes) {
    CHECK(action.kind == "Pod");
    names.push_back(action.name);
  }
  return names;
}
using Texts = std::vector<std::string>;

// A settled cluster whose sets have the new image already, its pods not yet.
ToyCluster Outdated(int workers) {
  ToyCluster cluster(workers, 6);
  cluster.Settle();
  cluster.Edit({{"spec", {{"image", "coho-worker:2"}}}});
  const ReconcilePlan plan = cluster.Plan();
  CHECK(plan.deletes.empty());  // the sets' controller has not seen the template yet
  cluster.Perform(plan);
  return cluster;
}

TEST_CASE("rollout: one worker after the other, each when all are ready") {
  ToyCluster cluster = Outdated(3);
  for (const char* expected : {"visits-worker-0-0", "visits-worker-1-1", "visits-worker-2-2"}) {
    const ReconcilePlan plan = cluster.Plan();
    CHECK(DeletedPods(plan) == Texts{expected});
    cluster.Perform(plan);
    const WorkerId replaced(expected[14] - '0');
    cluster.observed.pods[replaced].ready = false;
    CHECK(cluster.Plan().deletes.empty());
    cluster.observed.pods[replaced].ready = true;
  }
  cluster.Settle();
  CHECK(cluster.Plan().deletes.empty());
  CHECK(ConditionOf(cluster.observed.job.status, "Progressing")["reason"] == "Settled");
}

TEST_CASE("rollout: a broken pod goes at once, so that a bad rollout can be mended") {
  ToyCluster cluster = Outdated(3);
  cluster.observed.pods[WorkerId(2)].ready = false;
  cluster.observed.pods[WorkerId(2)].waiting_reason = "CrashLoopBackOff";
  CHECK(DeletedPods(cluster.Plan()) == Texts{"visits-worker-2-2"});
}

TEST_CASE("rollout: waits") {
  ToyCluster cluster = Outdated(2);
  SUBCASE("while a pod is stopping") { cluster.observed.pods[WorkerId(1)].deleting = true; }
  SUBCASE("while a pod is missing") { cluster.observed.pods.erase(WorkerId(1)); }
  SUBCASE("until the set's controller knows the template") {
    cluster.observed.sets[WorkerId(0)].observed = false;
    cluster.observed.sets[WorkerId(1)].observed = false;
  }
  CHECK(cluster.Plan().deletes.empty());
}

TEST_CASE("rollout: what needs no restart restarts nothing") {
  struct Row {
    const char* name;
    json spec;
    bool restarts;
  };
  const Row rows[] = {
      {"count", {{"workers", {{"count", 3}}}}, false},
      {"homecoming", {{"failover", {{"homecomingTimeout", "1m"}}}}, false},
      {"lost node",
       {{"failover", {{"lostNode", {{"policy", "Replace"}, {"timeout", "5m"}}}}}},
       false},
      {"retention", {{"storage", {{"retention", {{"whenScaled", "Retain"}}}}}}, false},
      {"image", {{"image", "coho-worker:2"}}, true},
      {"task config", {{"task", {{"config", {{"store", "other"}}}}}}, true},
      {"commit interval", {{"processing", {{"commitInterval", "1s"}}}}, true},
      {"flush interval", {{"storage", {{"flushInterval", "1s"}}}}, true},
      {"run loops", {{"workers", {{"runLoops", 2}}}}, true},
      {"resources", {{"workers", {{"resources", {{"limits", {{"memory", "1Gi"}}}}}}}}, true},
      {"environment",
       {{"workers", {{"template", {{"env", json::array({{{"name", "A"}, {"value", "b"}}})}}}}}},
       true},
      {"node selector", {{"workers", {{"template", {{"nodeSelector", {{"disk", "ssd"}}}}}}}}, true},
      {"secret", {{"kafka", {{"secretRef", {{"name", "other"}}}}}}, true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    ToyCluster cluster(2, 6);
    cluster.Settle();
    cluster.Edit({{"spec", row.spec}});
    REQUIRE(cluster.observed.job.error.message() == "");
    cluster.Perform(cluster.Plan());
    CHECK(cluster.Plan().deletes.empty() != row.restarts);
  }
}

TEST_CASE("rollout: a changed home restarts nothing") {
  ToyCluster cluster(2, 6);
  cluster.Settle();
  for (auto& [id, volume] : cluster.observed.volumes)
    volume.node = volume.zone = "";  // follows its pod
  for (auto& [task, place] : cluster.observed.coordination->locality) place.node = "node3";
  const ReconcilePlan plan = cluster.Plan();
  CHECK(plan.apply.size() == 2);
  cluster.Perform(plan);
  CHECK(cluster.Plan().deletes.empty());
}

}  // namespace
}  // namespace coho
