#include "operator/decide/nodes.h"

#include <doctest/doctest.h>

#include "operator/decide/home.h"
#include "toy_cluster.h"

namespace coho {
namespace {

using std::chrono::seconds;

std::vector<std::string> Names(const ReconcilePlan& plan) {
  std::vector<std::string> names;
  for (const DeleteAction& action : plan.deletes) names.push_back(action.kind + "/" + action.name);
  return names;
}
using Texts = std::vector<std::string>;
const Texts kReborn = {"PersistentVolumeClaim/state-visits-worker-1-1", "Pod/visits-worker-1-1"};

ToyCluster Running(const char* policy) {
  ToyCluster cluster(2, 6);
  cluster.Edit(
      {{"spec", {{"failover", {{"lostNode", {{"policy", policy}, {"timeout", "60s"}}}}}}}});
  cluster.Settle();
  return cluster;  // worker 1 is on node2
}

TEST_CASE("lost node: by default it is waited for, and said") {
  ToyCluster cluster = Running("Wait");
  SUBCASE("node gone") { cluster.observed.nodes.erase("node2"); }
  SUBCASE("out of service") { cluster.observed.nodes["node2"].out_of_service = true; }
  const ReconcilePlan plan = cluster.Plan();
  CHECK(plan.deletes.empty());
  CHECK(plan.pod_facts.at(WorkerId(1)).node_lost);
  CHECK_FALSE(plan.pod_facts.at(WorkerId(0)).node_lost);
  REQUIRE(plan.events.size() == 1);
  CHECK(plan.events[0].reason == "NodeLost");
  CHECK(plan.events[0].note.find("node2") != std::string::npos);
}

TEST_CASE("lost node: with Replace the worker is born again elsewhere") {
  ToyCluster cluster = Running("Replace");
  SUBCASE("node gone") { cluster.observed.nodes.erase("node2"); }
  SUBCASE("out of service") { cluster.observed.nodes["node2"].out_of_service = true; }
  SUBCASE("silent for too long") {
    cluster.observed.nodes["node2"].ready = false;
    cluster.observed.nodes["node2"].not_ready_since = cluster.observed.now - seconds(60);
  }
  const ReconcilePlan plan = cluster.Plan();
  CHECK(Names(plan) == kReborn);
  CHECK(plan.deletes[0].uid == cluster.observed.volumes[WorkerId(1)].claim_uid);
  CHECK(plan.deletes[1].uid == cluster.observed.pods[WorkerId(1)].uid);
  CHECK(plan.deletes[1].grace_period == 0);
  CHECK(plan.pod_facts.at(WorkerId(1)).node_lost);
  bool said = false;
  for (const PlannedEvent& event : plan.events)
    said = said || (event.reason == "StateVolumeAbandoned" && event.warning);
  CHECK(said);
}

TEST_CASE("lost node: a pod that cannot be placed because its volume is on a lost node goes, too") {
  ToyCluster cluster = Running("Replace");
  cluster.observed.nodes.erase("node2");
  cluster.observed.pods[WorkerId(1)].node = "";
  cluster.observed.pods[WorkerId(1)].ready = cluster.observed.pods[WorkerId(1)].running = false;
  const ReconcilePlan plan = cluster.Plan();
  CHECK(Names(plan) == kReborn);
  CHECK_FALSE(plan.deletes[1].grace_period);
}

TEST_CASE("lost node: a volume that is not bound to the node is kept") {
  ToyCluster cluster = Running("Replace");
  cluster.observed.volumes[WorkerId(1)].node = "";
  cluster.observed.nodes.erase("node2");
  CHECK(Names(cluster.Plan()) == Texts{"Pod/visits-worker-1-1"});
}

TEST_CASE("lost node: silence is borne for the timeout") {
  ToyCluster cluster = Running("Replace");
  cluster.observed.nodes["node2"].ready = false;
  cluster.observed.nodes["node2"].not_ready_since = cluster.observed.now - seconds(20);
  const ReconcilePlan plan = cluster.Plan();
  CHECK(plan.deletes.empty());
  CHECK(plan.requeue_after == seconds(40));
}

TEST_CASE("lost node: who cannot read nodes calls none lost") {
  ToyCluster cluster = Running("Replace");
  cluster.observed.nodes_known = false;
  cluster.observed.nodes.clear();
  CHECK(cluster.Plan().deletes.empty());
  CHECK_FALSE(cluster.Plan().pod_facts.at(WorkerId(1)).node_lost);
}

TEST_CASE("lost node: nothing is deleted while Kafka, where the state would come from, is away") {
  ToyCluster cluster = Running("Replace");
  cluster.observed.nodes.erase("node2");
  cluster.observed.coordination->problem =
      JobProblem{ProblemReason::kKafkaUnreachable, "no broker answers"};
  CHECK(cluster.Plan().deletes.empty());
}

TEST_CASE("home: where a worker returns to") {
  ToyCluster cluster(2, 4);  // tasks 0 and 2 on worker 0, node1
  Observed& observed = cluster.observed;
  Locality& locality = observed.coordination->locality;
  SUBCASE("most bytes of its tasks' state") {
    locality[TaskId(0)] = {.worker = WorkerId(0), .node = "node3", .bytes = 500};
    locality[TaskId(2)] = {.worker = WorkerId(0), .node = "node2", .bytes = 600};
    locality[TaskId(1)].bytes = 1'000'000;  // another worker's
    CHECK(HomeOf(observed, WorkerId(0)) == WorkerHome{"node2", "zone-2"});
  }
  SUBCASE("empty stores count, too") {
    locality.clear();
    locality[TaskId(0)] = {.worker = WorkerId(0), .node = "node3"};
    CHECK(HomeOf(observed, WorkerId(0)) == WorkerHome{"node3", "zone-3"});
  }
  SUBCASE("the node of its volume comes before everything") {
    observed.volumes[WorkerId(0)] = {.claim = "c", .volume = "v", .node = "node3"};
    CHECK(HomeOf(observed, WorkerId(0)) == WorkerHome{"node3", "zone-3"});
  }
  SUBCASE("a volume that is going does not count") {
    observed.volumes[WorkerId(0)] = {
        .claim = "c", .claim_deleting = true, .volume = "v", .node = "node3"};
    CHECK(HomeOf(observed, WorkerId(0)) == WorkerHome{"node1", "zone-1"});
  }
  SUBCASE("a node is preferred by its host name label") {
    observed.nodes["node1"].hostname = "ip-10-0-0-1";
    CHECK(HomeOf(observed, WorkerId(0)) == WorkerHome{"ip-10-0-0-1", "zone-1"});
  }
  SUBCASE("of a lost node the zone is left") {
    observed.nodes.erase("node1");
    CHECK(HomeOf(observed, WorkerId(0)) == WorkerHome{"", "zone-1"});
  }
  SUBCASE("a worker without tasks returns to where it last had state") {
    observed.coordination->assignment.workers[WorkerId(0)].active.clear();
    CHECK(HomeOf(observed, WorkerId(0)) == WorkerHome{"node1", "zone-1"});
  }
  SUBCASE("a new worker has no home") { CHECK(HomeOf(observed, WorkerId(7)) == WorkerHome{}); }
}

}  // namespace
}  // namespace coho
