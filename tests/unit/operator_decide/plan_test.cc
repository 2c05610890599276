#include "operator/decide/plan.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "operator/api/names.h"
#include "operator/report/status.h"
#include "toy_cluster.h"

namespace coho {
namespace {

using nlohmann::json;
using std::chrono::seconds;

// A job file's name without the hash of its content.
std::string WithoutHash(const std::string& name) {
  return name.starts_with("visits-job-") ? "visits-job" : name;
}

std::vector<std::string> Names(const std::vector<json>& objects) {
  std::vector<std::string> names;
  for (const json& object : objects) {
    names.push_back(object["kind"].get<std::string>() + "/" +
                    WithoutHash(object["metadata"]["name"].get<std::string>()));
  }
  return names;
}

std::vector<std::string> Names(const std::vector<DeleteAction>& deletes) {
  std::vector<std::string> names;
  for (const DeleteAction& action : deletes)
    names.push_back(action.kind + "/" + WithoutHash(action.name));
  return names;
}

using Texts = std::vector<std::string>;

std::vector<std::string> Reasons(const std::vector<PlannedEvent>& events) {
  std::vector<std::string> reasons;
  for (const PlannedEvent& event : events) reasons.push_back(event.reason);
  return reasons;
}

json Spec(const json& patch) { return {{"spec", patch}}; }

TEST_CASE("plan: a job that the coordinator has not prepared gets no objects") {
  ToyCluster cluster(2, 8);
  SUBCASE("the service does not have it") { cluster.observed.coordination.reset(); }
  SUBCASE("its topics are being checked") { cluster.observed.coordination->prepared = false; }
  SUBCASE("a topic is missing") {
    cluster.observed.coordination = JobView{
        .problem = JobProblem{ProblemReason::kTopicMissing, "spec.inputs[0].topic: requests"}};
  }
  const ReconcilePlan plan = cluster.Plan();
  CHECK(plan.apply.empty());
  CHECK(plan.coordination == Coordination::kRun);
  REQUIRE(plan.status);
  CHECK(ConditionOf((*plan.status)["status"], "Ready")["status"] == "False");
}

TEST_CASE("plan: a prepared job gets all its objects, in the order in which they need each other") {
  ToyCluster cluster(2, 8);
  const ReconcilePlan plan = cluster.Plan();
  CHECK(Names(plan.apply) == Texts{"ServiceAccount/visits-worker", "ConfigMap/visits-job",
                                   "ConfigMap/visits-assignment", "Service/visits-workers",
                                   "PodDisruptionBudget/visits-workers",
                                   "StatefulSet/visits-worker-0", "StatefulSet/visits-worker-1"});
  CHECK(plan.deletes.empty());
}

TEST_CASE("plan: what is right is left alone") {
  ToyCluster cluster(3, 8);
  cluster.Settle();
  CHECK(IsQuiet(cluster.Plan()));
  CHECK(ConditionOf(cluster.observed.job.status, "Ready")["status"] == "True");
  CHECK(cluster.observed.job.status["tasksSummary"] == "8/8");

  SUBCASE("a repair applies everything again, and nothing else") {
    cluster.observed.repair = true;
    const ReconcilePlan plan = cluster.Plan();
    CHECK(plan.apply.size() == 7);
    CHECK(plan.deletes.empty());
  }
  SUBCASE("an object that somebody deleted comes back") {
    cluster.observed.objects.erase({"Service", "visits-workers"});
    CHECK(Names(cluster.Plan().apply) == Texts{"Service/visits-workers"});
  }
  SUBCASE("an object that somebody changed, annotation included, comes back") {
    cluster.observed.sets[WorkerId(1)].object.applied_hash = "other";
    CHECK(Names(cluster.Plan().apply) == Texts{"StatefulSet/visits-worker-1"});
  }
}

TEST_CASE("plan: the coordinator hears of every pod") {
  ToyCluster cluster(2, 4);
  cluster.Settle();
  cluster.observed.pods.erase(WorkerId(1));
  const auto facts = cluster.Plan().pod_facts;
  REQUIRE(facts.size() == 2);
  CHECK(facts.at(WorkerId(0)).running);
  CHECK_FALSE(facts.at(WorkerId(0)).node_lost);
  CHECK_FALSE(facts.at(WorkerId(1)).exists);
}

TEST_CASE("plan: a job that is being deleted is forgotten, and nothing is written") {
  ToyCluster cluster(2, 4);
  cluster.Settle();
  cluster.observed.job.deleting = true;
  const ReconcilePlan plan = cluster.Plan();
  CHECK(plan.coordination == Coordination::kForget);
  CHECK(IsQuiet(plan));
}

TEST_CASE("plan: more workers") {
  ToyCluster cluster(2, 8);
  cluster.Settle();
  cluster.Edit(Spec({{"workers", {{"count", 3}}}}));
  const ReconcilePlan plan = cluster.Plan();
  // The job file changes; running workers have no reason to restart.
  CHECK(Names(plan.apply) == Texts{"StatefulSet/visits-worker-2"});
  CHECK(plan.deletes.empty());
  CHECK(Reasons(plan.events).front() == "WorkersCreated");
}

TEST_CASE("plan: a worker too many is emptied first, then removed with or without its volume") {
  struct Row {
    const char* name;
    const char* scaled;
    const char* deleted;
    Texts deletes;      // in the first plan after it was emptied
    bool second_round;  // the claim has to be released first
  };
  const Row rows[] = {
      {"delete both",
       "Delete",
       "Delete",
       {"PersistentVolumeClaim/state-visits-worker-2-2", "StatefulSet/visits-worker-2"},
       false},
      {"delete when scaled",
       "Delete",
       "Retain",
       {"PersistentVolumeClaim/state-visits-worker-2-2", "StatefulSet/visits-worker-2"},
       false},
      {"keep when scaled", "Retain", "Delete", {}, true},
      {"keep both", "Retain", "Retain", {"StatefulSet/visits-worker-2"}, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    ToyCluster cluster(3, 8);
    cluster.Edit(
        Spec({{"storage",
               {{"retention", {{"whenScaled", row.scaled}, {"whenDeleted", row.deleted}}}}}}));
    cluster.Settle();
    cluster.Edit(Spec({{"workers", {{"count", 2}}}}));
    CHECK(cluster.Plan().deletes.empty());  // it still owns tasks
    cluster.Assign(2);
    const ReconcilePlan plan = cluster.Plan();
    CHECK(Names(plan.deletes) == row.deletes);
    cluster.Perform(plan);
    if (row.second_round) {
      CHECK_FALSE(cluster.observed.sets.at(WorkerId(2)).delete_claim_with_set);
      const ReconcilePlan second = cluster.Plan();
      CHECK(Names(second.deletes) == Texts{"StatefulSet/visits-worker-2"});
      cluster.Perform(second);
    }
    cluster.Settle();
    CHECK_FALSE(cluster.observed.sets.contains(WorkerId(2)));
    CHECK(cluster.observed.volumes.contains(WorkerId(2)) == (std::string(row.scaled) == "Retain"));
    CHECK(cluster.observed.sets.size() == 2);
    CHECK(cluster.missed_deletes == 0);
  }
}

TEST_CASE("plan: a worker that never came to life is removed, too") {
  ToyCluster cluster(1, 4);
  cluster.Settle();
  cluster.Edit(Spec({{"workers", {{"count", 2}}}}));
  cluster.Perform(cluster.Plan());
  cluster.Edit(Spec({{"workers", {{"count", 1}}}}));
  CHECK(cluster.Plan().deletes.empty());  // its pod may become part of the job any moment
  cluster.observed.pods.erase(WorkerId(1));
  cluster.observed.volumes.erase(WorkerId(1));
  CHECK(Names(cluster.Plan().deletes) == Texts{"StatefulSet/visits-worker-1"});
}

TEST_CASE("plan: a claim that its controller has not released yet is waited for") {
  ToyCluster cluster(2, 4);
  cluster.Edit(Spec({{"storage", {{"retention", {{"whenScaled", "Retain"}}}}}}));
  cluster.Settle();
  cluster.Edit(Spec({{"workers", {{"count", 1}}}}));
  cluster.Assign(1);
  cluster.Perform(cluster.Plan());  // the set no longer takes its claim along
  cluster.observed.volumes[WorkerId(1)].owned_by_set = true;
  CHECK(cluster.Plan().deletes.empty());
}

TEST_CASE("plan: a problem that blocks the job takes nothing down") {
  ToyCluster cluster(3, 8);
  cluster.Settle();
  SUBCASE("from the coordinator") {
    cluster.observed.coordination->problem =
        JobProblem{ProblemReason::kTooManyWorkers, "spec.workers.count: found 9, need at most 8"};
    cluster.Edit(Spec({{"workers", {{"count", 9}}}}));
    const ReconcilePlan plan = cluster.Plan();
    CHECK(plan.apply.empty());  // no new workers
    CHECK(plan.deletes.empty());
    CHECK(Reasons(plan.events) == Texts{"TooManyWorkers"});
    CHECK(plan.events[0].warning);
    cluster.Perform(plan);
    CHECK(cluster.Plan().events.empty());  // once
  }
  SUBCASE("with workers to be removed") {
    cluster.Edit(Spec({{"workers", {{"count", 1}}}}));
    cluster.Assign(1);
    for (const bool blocks_start :
         {true, false}) {  // at the operator's start; while the job's coordinator runs
      cluster.observed.coordination->problem =
          JobProblem{ProblemReason::kKafkaUnreachable, "no broker answers", blocks_start};
      for (auto& [id, worker] : cluster.observed.coordination->workers)
        worker.standing = WorkerStanding::kSilent;
      CHECK(cluster.Plan().deletes.empty());
      CHECK(ConditionOf((*cluster.Plan().status)["status"], "Ready")["status"] == "Unknown");
      CHECK(ConditionOf((*cluster.Plan().status)["status"], "Degraded")["reason"] ==
            "KafkaUnreachable");
    }
  }
  SUBCASE("with a new image") {
    cluster.observed.coordination->problem = JobProblem{ProblemReason::kTopicMissing, "requests"};
    cluster.Edit(Spec({{"image", "coho-worker:2"}}));
    const ReconcilePlan plan = cluster.Plan();
    CHECK(plan.apply.size() == 3);  // a mended spec reaches the workers that exist
    CHECK(plan.deletes.empty());
  }
  SUBCASE("a problem that does not block leaves the job at work") {
    cluster.observed.coordination->problem =
        JobProblem{ProblemReason::kPartitionCountChanged, "requests has grown", false};
    cluster.Edit(Spec({{"image", "coho-worker:2"}}));
    cluster.Perform(cluster.Plan());
    CHECK(cluster.Plan().deletes.size() == 1);
    CHECK(ConditionOf(cluster.observed.job.status, "Ready")["status"] == "True");
    CHECK(ConditionOf(cluster.observed.job.status, "Degraded")["reason"] ==
          "PartitionCountChanged");
  }
}

TEST_CASE("plan: a job whose topics are another job's is not begun, and says whose they are") {
  ToyCluster cluster(2, 4);
  cluster.observed.prefix_holder = JobId{"shop", "clicks"};
  const ReconcilePlan plan = cluster.Plan();
  CHECK(plan.coordination == Coordination::kForget);
  CHECK(plan.apply.empty());
  CHECK(plan.requeue_after <= seconds(10));
  REQUIRE(plan.status);
  const json valid = ConditionOf((*plan.status)["status"], "ConfigValid");
  CHECK(valid["reason"] == "TopicPrefixTaken");
  CHECK(valid["message"].get<std::string>().find("StreamJob shop/clicks") != std::string::npos);
  CHECK(Reasons(plan.events) == Texts{"TopicPrefixTaken"});

  cluster.observed.prefix_holder.reset();
  CHECK(cluster.Plan().coordination == Coordination::kRun);
}

TEST_CASE(
    "plan: an installation without the claim writes nothing of the job and says whose it is") {
  ToyCluster cluster(2, 4);
  cluster.observed.settings.installation = "first";
  cluster.Settle();
  CHECK(cluster.observed.job.status["installation"] == "first");

  cluster.observed.settings.installation = "second";
  cluster.observed.coordination = JobView{
      .problem = JobProblem{ProblemReason::kClaimedByAnother, "the topics belong to \"first\""}};
  const ReconcilePlan plan = cluster.Plan();
  CHECK(plan.apply.empty());
  CHECK(plan.deletes.empty());
  CHECK_FALSE(plan.status);
  REQUIRE(Reasons(plan.events) == Texts{"ClaimedByAnother"});
  CHECK(plan.events[0].note.find("\"first\"") != std::string::npos);

  // Nobody of this cluster shows it: then the condition is ours to write.
  cluster.observed.job.status.erase("installation");
  const ReconcilePlan alone = cluster.Plan();
  REQUIRE(alone.status);
  CHECK(ConditionOf((*alone.status)["status"], "Degraded")["reason"] == "ClaimedByAnother");
  CHECK_FALSE((*alone.status)["status"].contains("installation"));

  // Even with what it knew before it was displaced.
  ToyCluster displaced(2, 4);
  displaced.Settle();
  displaced.Edit(Spec({{"image", "coho-worker:2"}}));
  displaced.observed.coordination->problem =
      JobProblem{ProblemReason::kCoordinatorFenced, "taken over"};
  CHECK(displaced.Plan().apply.empty());
  CHECK(displaced.Plan().deletes.empty());
}

TEST_CASE("plan: objects of an earlier StreamJob of the name are waited for, not complained of") {
  ToyCluster cluster(2, 4);
  cluster.observed.objects[{"ServiceAccount", "visits-worker"}] = {
      .uid = "x", .controller_uid = "earlier", .of_this_name = true};
  const ReconcilePlan plan = cluster.Plan();
  REQUIRE(plan.status);
  CHECK(ConditionOf((*plan.status)["status"], "Ready")["reason"] == "BeingCleanedUp");
  CHECK(plan.events.empty());
  CHECK(plan.requeue_after <= seconds(5));
  cluster.Perform(plan);

  cluster.observed.objects.erase({"ServiceAccount", "visits-worker"});
  cluster.Settle();
  CHECK(ConditionOf(cluster.observed.job.status, "Ready")["status"] == "True");
}

TEST_CASE("plan: a job file stays while a pod was started with it, and goes afterwards") {
  ToyCluster cluster(2, 4);
  cluster.Settle();
  const auto files = [&] {
    Texts names;
    for (const auto& [key, object] : cluster.observed.objects) {
      if (key.name.starts_with("visits-job-")) names.push_back(key.name);
    }
    return names;
  };
  REQUIRE(files().size() == 1);
  const std::string first = files()[0];
  cluster.Edit(Spec({{"processing", {{"commitInterval", "1s"}}}}));
  const ReconcilePlan edited = cluster.Plan();
  cluster.Perform(edited);
  CHECK(files().size() == 2);  // what runs finds at each start what it was made for
  cluster.Settle();
  REQUIRE(files().size() == 1);
  CHECK(files()[0] != first);
  for (const auto& [id, pod] : cluster.observed.pods)
    CHECK(JobConfigMapName("visits", pod.config_hash) == files()[0]);
}

TEST_CASE("plan: a defect that was caught is told and stops nothing") {
  ToyCluster cluster(2, 4);
  cluster.Settle();
  cluster.observed.internal_error = "no such key";
  const ReconcilePlan plan = cluster.Plan();
  CHECK(Reasons(plan.events) == Texts{"InternalError"});
  CHECK(plan.deletes.empty());
  const json status =
      StatusOfCaughtError(cluster.observed.job.status, 3, "no such key", cluster.observed.now);
  CHECK(ConditionOf(status, "Degraded")["reason"] == "InternalError");
  CHECK(ConditionOf(status, "Ready") == ConditionOf(cluster.observed.job.status, "Ready"));
  CHECK(status["workers"] == cluster.observed.job.status["workers"]);
}

TEST_CASE("plan: a spec that cannot be used leaves everything as it is and says so once") {
  ToyCluster cluster(2, 4);
  cluster.Settle();
  cluster.Edit(Spec({{"processing", {{"commitInterval", "100"}}}}));
  const ReconcilePlan plan = cluster.Plan();
  CHECK(plan.coordination == Coordination::kKeep);
  CHECK(plan.apply.empty());
  CHECK(plan.deletes.empty());
  REQUIRE(plan.status);
  const json valid = ConditionOf((*plan.status)["status"], "ConfigValid");
  CHECK(valid["status"] == "False");
  CHECK(valid["reason"] == "InvalidSpec");
  CHECK(valid["message"].get<std::string>().find("spec.processing.commitInterval") !=
        std::string::npos);
  CHECK(Reasons(plan.events) == Texts{"InvalidSpec"});
  cluster.Perform(plan);
  CHECK(IsQuiet(cluster.Plan()));

  cluster.Edit(Spec({{"processing", {{"commitInterval", "100ms"}}}}));
  const ReconcilePlan mended = cluster.Plan();
  CHECK(mended.deletes.empty());
  CHECK(Reasons(mended.events) == Texts{"Recovered", "Ready"});
}

TEST_CASE("plan: somebody else's object under our name is left alone") {
  ToyCluster cluster(2, 4);
  SUBCASE("a ConfigMap") {
    cluster.observed.objects[{"ConfigMap", "visits-assignment"}] = {.uid = "x",
                                                                    .controller_uid = ""};
  }
  SUBCASE("a set of an earlier StreamJob of this name") {
    cluster.observed.sets[WorkerId(0)] = {.name = "visits-worker-0",
                                          .object = {.uid = "x", .controller_uid = "earlier"}};
  }
  const ReconcilePlan plan = cluster.Plan();
  for (const std::string& name : Names(plan.apply)) {
    CHECK(name != "ConfigMap/visits-worker-0");
    CHECK(name != "StatefulSet/visits-worker-0");
  }
  CHECK(plan.deletes.empty());
  CHECK(Reasons(plan.events) == Texts{"NameTaken"});
}

TEST_CASE("plan: a write that was refused is shown and tried again") {
  ToyCluster cluster(1, 4);
  cluster.observed.write_error = "StatefulSet visits-worker-0 is invalid";
  const ReconcilePlan plan = cluster.Plan();
  CHECK(plan.apply.size() == 6);
  const json degraded = ConditionOf((*plan.status)["status"], "Degraded");
  CHECK(degraded["reason"] == "WriteRefused");
}

TEST_CASE("plan: lag alone is written every ten seconds") {
  ToyCluster cluster(1, 2);
  cluster.Settle();
  cluster.observed.status_written = cluster.observed.now;
  cluster.observed.coordination->workers[WorkerId(0)].report->tasks[0].lag = 5000;
  cluster.observed.now += seconds(3);
  const ReconcilePlan early = cluster.Plan();
  CHECK_FALSE(early.status);
  CHECK(early.requeue_after == seconds(7));
  cluster.observed.now += seconds(7);
  const ReconcilePlan due = cluster.Plan();
  REQUIRE(due.status);
  CHECK((*due.status)["status"]["lag"] == "<10k");

  cluster.observed.now -= seconds(7);
  cluster.observed.coordination->workers[WorkerId(0)].report->tasks[1].state =
      TaskState::kRestoring;
  CHECK(cluster.Plan().status);  // everything else at once
}

}  // namespace
}  // namespace coho
