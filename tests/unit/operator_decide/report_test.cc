#include <doctest/doctest.h>

#include "common/contract/exit_codes.h"
#include "operator/report/assignment_lines.h"
#include "operator/report/conditions.h"
#include "operator/report/status.h"
#include "operator/report/tasks.h"
#include "operator/report/worker_state.h"
#include "toy_cluster.h"

namespace coho {
namespace {

using nlohmann::json;
using Texts = std::vector<std::string>;

TaskReport& ReportOf(ToyCluster& cluster, int worker, size_t index) {
  return cluster.observed.coordination->workers[WorkerId(worker)].report->tasks[index];
}

json StatusOf(const ToyCluster& cluster) {
  const auto plan = cluster.Plan();
  return plan.status ? (*plan.status)["status"] : cluster.observed.job.status;
}

Texts Lines(const ToyCluster& cluster) { return StatusOf(cluster)["assignment"].get<Texts>(); }

std::string Message(const ToyCluster& cluster, const char* type) {
  return ConditionOf(StatusOf(cluster), type)["message"];
}

TEST_CASE("lag: coarse, so that it stands still") {
  const std::pair<int64_t, const char*> rows[] = {
      {-1, "unknown"}, {0, "0"},       {1, "<10"},        {9, "<10"},          {10, "<100"},
      {999, "<1k"},    {1000, "<10k"}, {99'999, "<100k"}, {1'500'000, "<10M"}, {INT64_MAX, ">10T"}};
  for (const auto& [lag, text] : rows) CHECK(LagText(lag) == text);
}

TEST_CASE("restore progress: in steps of ten percent") {
  struct Row {
    int64_t done, all;
    int percent;
  };
  for (const auto& [done, all, percent] :
       {Row{0, 100, 0}, Row{9, 100, 0}, Row{10, 100, 10}, Row{99, 100, 90}, Row{100, 100, 100},
        Row{0, 0, 0}, Row{-5, 10, 0}}) {
    CHECK(RestorePercent(done, all) == percent);
  }
}

// How a new leader finds a job that ran.
struct NewLeader : ToyCluster {
  NewLeader() : ToyCluster(2, 4) {
    Settle();
    REQUIRE(ConditionOf(observed.job.status, "Ready")["status"] == "True");
    ran = observed.job.status;
    known = *observed.coordination;
    observed.coordination->listening = true;
    for (auto& [id, worker] : observed.coordination->workers) {
      worker.standing = WorkerStanding::kUnknown;
      worker.report.reset();
    }
  }
  json ran;
  JobView known;
};

TEST_CASE("status: a new leader degrades no job that it has not heard yet") {
  NewLeader cluster;
  SUBCASE("before it has looked") { cluster.observed.coordination.reset(); }
  SUBCASE("while it prepares") { cluster.observed.coordination = JobView(); }
  SUBCASE("while it listens") {}
  SUBCASE("while it has heard one of two") {
    cluster.observed.coordination->workers[WorkerId(0)] = cluster.known.workers[WorkerId(0)];
  }
  const json status = StatusOf(cluster);
  for (const char* type : {"Ready", "ConfigValid", "Assigned", "StateRestored"})
    CHECK_MESSAGE(ConditionOf(status, type)["status"] == "True", type);
  CHECK(ConditionOf(status, "Ready")["reason"] == "AwaitingReports");
  CHECK(ConditionOf(status, "Ready")["lastTransitionTime"] ==
        ConditionOf(cluster.ran, "Ready")["lastTransitionTime"]);
  for (const char* key : {"tasks", "tasksSummary", "assignment", "sticky", "lag", "workers"})
    CHECK_MESSAGE(status[key] == cluster.ran[key], key);
}

TEST_CASE("status: what a new leader does know is said at once") {
  NewLeader cluster;
  SUBCASE("all were heard") { cluster.observed.coordination = cluster.known; }
  SUBCASE("the time to hear them is over") { cluster.observed.coordination->listening = false; }
  SUBCASE("a worker's pod is gone") { cluster.observed.pods.erase(WorkerId(1)); }
  SUBCASE("a task is restored") {
    auto& workers = cluster.observed.coordination->workers;
    workers[WorkerId(0)] = cluster.known.workers[WorkerId(0)];
    workers[WorkerId(0)].report->tasks[0].state = TaskState::kRestoring;
  }
  SUBCASE("Kafka does not answer") {
    cluster.observed.coordination->problem =
        JobProblem{ProblemReason::kKafkaUnreachable, "kafka:9092 does not answer", false};
  }
  SUBCASE("the spec was edited meanwhile") {
    cluster.Edit({{"spec", {{"workers", {{"count", 3}}}}}});
  }
  const json ready = ConditionOf(StatusOf(cluster), "Ready");
  CHECK(ready["reason"] != "AwaitingReports");
  CHECK((ready["reason"] == "Running") ==
        (cluster.observed.coordination->workers.at(WorkerId(1)).report &&
         !cluster.observed.coordination->problem));
}

TEST_CASE("assignment lines: a task a line") {
  ToyCluster cluster(2, 4);
  cluster.Settle();
  CHECK(Lines(cluster) == Texts{"task 0 -> worker 0 on node1, active, local state, lag 0",
                                "task 1 -> worker 1 on node2, active, local state, lag 0",
                                "task 2 -> worker 0 on node1, active, local state, lag 0",
                                "task 3 -> worker 1 on node2, active, local state, lag 0"});

  ReportOf(cluster, 0, 0) = {.task = TaskId(0),
                             .state = TaskState::kRestoring,
                             .restored_records = 61,
                             .restore_total = 100};
  ReportOf(cluster, 0, 1) = {.task = TaskId(2),
                             .state = TaskState::kRunning,
                             .restore_source = RestoreSource::kReplay,
                             .restored_records = 120,
                             .restore_total = 120,
                             .lag = 700};
  cluster.observed.pods.erase(WorkerId(1));
  CHECK(Lines(cluster) ==
        Texts{"task 0 -> worker 0 on node1, restoring 60%",
              "task 1 -> worker 1, waiting for the worker",
              "task 2 -> worker 0 on node1, active, replayed 120 records, lag <1k",
              "task 3 -> worker 1, waiting for the worker"});
  const json status = StatusOf(cluster);
  CHECK(status["tasks"] == json{{"total", 4}, {"running", 1}, {"restoring", 1}, {"unassigned", 0}});
  CHECK(status["lag"] == "unknown");

  cluster.observed.coordination->assignment.workers.erase(WorkerId(1));
  CHECK(Lines(cluster)[1] == "task 1 -> no worker yet");
}

TEST_CASE(
    "assignment lines: a worker a line above 32 tasks, those that do not run first, at most 32") {
  ToyCluster cluster(3, 33);
  cluster.Settle();
  ReportOf(cluster, 2, 0) = {.task = TaskId(2),
                             .state = TaskState::kRestoring,
                             .restored_records = 5,
                             .restore_total = 10};
  CHECK(Lines(cluster) ==
        Texts{"worker 2 on node3: tasks 2,5,8,11,14,17,20,23,26,29,32, 10 active, 1 restoring 50%, "
              "lag 0",
              "worker 0 on node1: tasks 0,3,6,9,12,15,18,21,24,27,30, 11 active, lag 0",
              "worker 1 on node2: tasks 1,4,7,10,13,16,19,22,25,28,31, 11 active, lag 0"});

  ToyCluster large(50, 1000);
  large.Settle();
  const Texts lines = Lines(large);
  CHECK(lines.size() == 32);
  CHECK(lines.back() == "and 19 more workers; all tasks: ConfigMap visits-assignment");
  for (const std::string& line : lines) CHECK(line.size() < 200);
}

TEST_CASE("ranges") {
  const auto tasks = [](std::initializer_list<int> ids) {
    std::vector<TaskId> list;
    for (const int id : ids) list.emplace_back(id);
    return list;
  };
  CHECK(RangesText(tasks({}), 60) == "");
  CHECK(RangesText(tasks({7}), 60) == "7");
  CHECK(RangesText(tasks({0, 1, 2, 5, 7, 8}), 60) == "0-2,5,7-8");
  CHECK(RangesText(tasks({0, 2, 4, 6, 8}), 5) == "0,2,4,...");
}

TEST_CASE("exit codes: every documented one has a sentence of its own") {
  for (const int code : {kExitInternal, kExitUsage, kExitJobFile, kExitKafkaUnavailable,
                         kExitTaskFailed, kExitStateDirectory, kExitStore,
                         kExitStateDirectoryLocked, kExitStateRefused, kExitKafkaCredentials}) {
    CAPTURE(code);
    CHECK(ExitText(code, "Error").find("unexpectedly") == std::string::npos);
    CHECK(ExitText(code, "Error").find("exit code " + std::to_string(code)) != std::string::npos);
  }
  CHECK(ExitText(137, "OOMKilled").find("spec.workers.resources.limits.memory") !=
        std::string::npos);
  CHECK(ExitText(137, "Error") == "was killed (exit code 137)");
  CHECK(ExitText(139, "Error") == "was ended by signal 11 (exit code 139)");
}

TEST_CASE("conditions: state that a worker refused is no fault of the spec") {
  ToyCluster cluster(2, 4);
  cluster.Settle();
  PodFacts& pod = cluster.observed.pods[WorkerId(1)];
  pod.ready = false;
  pod.waiting_reason = "CrashLoopBackOff";
  pod.exit_code = 76;
  pod.exit_message = "restoring task 1: nothing was wiped\n";
  const ReconcilePlan plan = cluster.Plan();
  const json status = (*plan.status)["status"];
  CHECK(ConditionOf(status, "ConfigValid")["status"] == "True");
  CHECK(ConditionOf(status, "StateRestored")["status"] == "False");
  CHECK(ConditionOf(status, "StateRestored")["reason"] == "RefusedByWorker");
  const std::string message = ConditionOf(status, "StateRestored")["message"];
  CHECK(message.find("left it as it is (exit code 76): restoring task 1") != std::string::npos);
}

TEST_CASE("conditions: a worker that cannot work shows as what it said last") {
  ToyCluster cluster(2, 4);
  cluster.Settle();
  PodFacts& pod = cluster.observed.pods[WorkerId(1)];
  pod.ready = false;
  pod.waiting_reason = "CrashLoopBackOff";
  pod.exit_code = 65;
  pod.exit_message =
      "{\"level\":\"info\"}\nspec.task.name: found \"cuont\", this binary has: count, identity\n";
  const ReconcilePlan plan = cluster.Plan();
  const json status = (*plan.status)["status"];
  const std::string expected =
      "worker 1 (pod visits-worker-1-1 on node2) refused its job (exit code 65): spec.task.name: "
      "found \"cuont\", this binary "
      "has: count, identity";
  CHECK(ConditionOf(status, "Degraded")["reason"] == "WorkerFailed");
  CHECK(ConditionOf(status, "Degraded")["message"] == expected);
  CHECK(ConditionOf(status, "ConfigValid")["status"] == "False");
  CHECK(ConditionOf(status, "ConfigValid")["reason"] == "RefusedByWorker");
  CHECK(ConditionOf(status, "Ready")["status"] == "False");
  REQUIRE(plan.events.size() == 1);
  CHECK(plan.events[0] == PlannedEvent{true, "WorkerFailed", "Reconcile", expected});

  cluster.Perform(plan);
  pod.restarts = 7;  // another round of the same
  pod.waiting_reason = "";
  CHECK(IsQuiet(cluster.Plan()));
  pod.ready = true;
  cluster.Perform(cluster.Plan());
  CHECK(ConditionOf(cluster.observed.job.status, "Ready")["status"] == "True");
}

TEST_CASE("conditions: where the log of a killed worker ends is no cause") {
  ToyCluster cluster(2, 4);
  cluster.Settle();
  PodFacts& pod = cluster.observed.pods[WorkerId(1)];
  pod.ready = false;
  pod.exit_code = 137;
  pod.exit_message = "worker ready";
  CHECK(Message(cluster, "Degraded") ==
        "worker 1 (pod visits-worker-1-1 on node2) was killed (exit code 137)");
}

TEST_CASE("conditions: what keeps a worker from being ready") {
  struct Row {
    const char* name;
    void (*change)(PodFacts&, WallTime now);
    const char* reason;
    const char* says;
    bool degraded;
  };
  const Row rows[] = {
      {"image",
       [](PodFacts& p, WallTime) {
         p.waiting_reason = "ImagePullBackOff";
         p.waiting_message = "not found";
       },
       "ImageUnavailable", "cannot get its image (ImagePullBackOff); check spec.image: not found",
       true},
      {"secret", [](PodFacts& p, WallTime) { p.waiting_reason = "CreateContainerConfigError"; },
       "ContainerNotStarted", "cannot be started", true},
      {"does not fit",
       [](PodFacts& p, WallTime now) {
         p.node = "";
         p.unschedulable = "0/3 nodes";
         p.unschedulable_since = now - std::chrono::seconds(10);
       },
       "Unschedulable", "fits on no node: 0/3 nodes", true},
      {"not placed for a moment",
       [](PodFacts& p, WallTime now) {
         p.node = "";
         p.unschedulable = "0/3 nodes";
         p.unschedulable_since = now;
       },
       "NotReady", "is not scheduled yet", false},
      {"starting", [](PodFacts& p, WallTime) { p.running = false; }, "NotReady", "is starting",
       false},
      {"restoring", [](PodFacts&, WallTime) {}, "NotReady", "is not ready yet", false},
      {"stopping", [](PodFacts& p, WallTime) { p.deleting = true; }, "NotReady", "is stopping",
       false},
      {"left well",
       [](PodFacts& p, WallTime) {
         p.running = false;
         p.exit_code = 0;
       },
       "NotReady", "is starting", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    ToyCluster cluster(2, 4);
    cluster.Settle();
    cluster.observed.pods[WorkerId(1)].ready = false;
    row.change(cluster.observed.pods[WorkerId(1)], cluster.observed.now);
    const json status = StatusOf(cluster);
    const json available = ConditionOf(status, "WorkersAvailable");
    CHECK(available["status"] == "False");
    CHECK(available["reason"] == row.reason);
    CHECK(available["message"].get<std::string>().find(row.says) != std::string::npos);
    CHECK((ConditionOf(status, "Degraded")["status"] == "True") == row.degraded);
    CHECK(status["workersSummary"] == "1/2");
  }
}

TEST_CASE("conditions: many failing workers make one short message") {
  ToyCluster cluster(20, 40);
  cluster.Settle();
  for (auto& [id, pod] : cluster.observed.pods) {
    pod.ready = false;
    pod.exit_code = 70;
    pod.exit_message = std::string(5000, 'x');
  }
  const std::string message = Message(cluster, "Degraded");
  CHECK(message.size() < 2100);
  CHECK(message.ends_with("; and 17 more"));
}

TEST_CASE("conditions: host affinity tells which state is elsewhere") {
  ToyCluster cluster(2, 4);
  cluster.Settle();
  CHECK(StatusOf(cluster)["sticky"] == "2/2");
  cluster.observed.coordination->locality[TaskId(3)].node = "node3";
  const json status = StatusOf(cluster);
  CHECK(status["sticky"] == "1/2");
  CHECK(ConditionOf(status, "HostAffinitySatisfied")["message"] ==
        "1 of 2 workers run where their state is: task 3's state is on node3, worker 1 runs on "
        "node2");
}

TEST_CASE("conditions: a ready worker of which no heartbeat arrives") {
  ToyCluster cluster(2, 4);
  cluster.Settle();
  cluster.observed.coordination->workers[WorkerId(1)].standing = WorkerStanding::kSilent;
  const json status = StatusOf(cluster);
  CHECK(ConditionOf(status, "Degraded")["reason"] == "WorkerSilent");
  CHECK(status["assignment"][1] == "task 1 -> worker 1 on node2, waiting for the worker");
}

TEST_CASE(
    "conditions: all types are there from the first visit, each with reason, message and "
    "generation") {
  ToyCluster cluster(1, 2);
  cluster.observed.coordination.reset();
  const json status = StatusOf(cluster);
  Texts types;
  for (const json& condition : status["conditions"]) {
    types.push_back(condition["type"]);
    CHECK_FALSE(condition["reason"].get<std::string>().empty());
    CHECK_FALSE(condition["message"].get<std::string>().empty());
    CHECK(condition["observedGeneration"] == 1);
    CHECK(condition["lastTransitionTime"] == "2026-01-01T00:00:00Z");
  }
  CHECK(types == Texts{"Ready", "ConfigValid", "Assigned", "WorkersAvailable", "StateRestored",
                       "HostAffinitySatisfied", "Progressing", "Degraded"});
}

TEST_CASE("conditions: the transition time moves with the truth only") {
  ToyCluster cluster(2, 4);
  cluster.Settle();
  const std::string before =
      ConditionOf(cluster.observed.job.status, "Degraded")["lastTransitionTime"];
  cluster.observed.now += std::chrono::hours(1);
  cluster.observed.pods[WorkerId(1)].ready = false;
  const json status = StatusOf(cluster);
  CHECK(ConditionOf(status, "Degraded")["lastTransitionTime"] == before);
  CHECK(ConditionOf(status, "Ready")["lastTransitionTime"] == "2026-01-01T01:00:00Z");
}

TEST_CASE("events: what Kafka's client says of one outage is told once") {
  ToyCluster cluster(1, 2);
  cluster.Settle();
  cluster.observed.coordination->problem =
      JobProblem{ProblemReason::kKafkaUnreachable, "connection refused after 3 ms"};
  cluster.Perform(cluster.Plan());
  cluster.observed.coordination->problem->message = "connection refused after 4 ms";
  CHECK(cluster.Plan().events.empty());
}

TEST_CASE("shortened text ends between characters") {
  CHECK(Shortened("short", 10) == "short");
  CHECK(Shortened("abcdef", 3) == "abc...");
  CHECK(Shortened("aü", 2) == "a...");
}

}  // namespace
}  // namespace coho
