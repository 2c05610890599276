// Whatever is observed: no crash, the same plan for the same input, deletes only of observed
// objects, none while a problem blocks the job, and a healthy cluster comes to rest.
#include <doctest/doctest.h>

#include <random>
#include <set>

#include "toy_cluster.h"

namespace coho {
namespace {

using nlohmann::json;

class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}
  int Below(int n) { return static_cast<int>(engine_() % static_cast<uint32_t>(n)); }
  bool OneIn(int n) { return Below(n) == 0; }
  template <class T>
  const T& Pick(const std::vector<T>& from) {
    return from[static_cast<size_t>(Below(static_cast<int>(from.size())))];
  }

 private:
  std::mt19937 engine_;
};

json RandomValue(Dice& dice, int depth) {
  switch (dice.Below(depth > 2 ? 6 : 8)) {
    case 0:
      return nullptr;
    case 1:
      return dice.OneIn(2);
    case 2:
      return dice.Below(2000) - 1000;
    case 3:
      return 1e300;
    case 4:
      return dice.Pick<std::string>(
          {"", "a", "Delete", "Retain", "10Gi", "5s", "0s", "kafka:9092", "\xff\xfe", "ünïcode"});
    case 5:
      return "x" + std::to_string(dice.Below(5));
    case 6: {
      json list = json::array();
      for (int i = dice.Below(3); i > 0; --i) list.push_back(RandomValue(dice, depth + 1));
      return list;
    }
    default: {
      json map = json::object();
      for (int i = dice.Below(3); i > 0; --i) {
        map[dice.Pick<std::string>({"name", "topic", "env", "labels", "requests", "key", "size",
                                    "count", "template"})] = RandomValue(dice, depth + 1);
      }
      return map;
    }
  }
}

// Every object inside `value`, itself included.
void Collect(json& value, std::vector<json*>* objects) {
  if (!value.is_object() && !value.is_array()) return;
  if (value.is_object()) objects->push_back(&value);
  for (json& child : value) Collect(child, objects);
}

void BreakSomething(Dice& dice, json* object) {
  std::vector<json*> objects;
  Collect((*object)["spec"], &objects);
  if (objects.empty()) return;
  json& target = *dice.Pick(objects);
  if (target.empty() || dice.OneIn(3)) {
    target[dice.Pick<std::string>({"resources", "template", "storage", "failover", "processing",
                                   "stores"})] = RandomValue(dice, 0);
    return;
  }
  auto it = target.begin();
  std::advance(it, dice.Below(static_cast<int>(target.size())));
  it.value() = RandomValue(dice, 0);
}

void Disturb(Dice& dice, Observed* observed) {
  const WorkerId id(dice.Below(4));
  PodFacts& pod = observed->pods[id];
  if (pod.name.empty()) {
    observed->pods.erase(id);
    return;
  }
  switch (dice.Below(12)) {
    case 0:
      pod.ready = false;
      pod.exit_code = dice.Pick<int>({0, 1, 65, 70, 137, 255, -1});
      pod.exit_message = "line\nlast line\n";
      break;
    case 1:
      pod.deleting = true;
      break;
    case 2:
      observed->pods.erase(id);
      break;
    case 3:
      observed->nodes.erase("node2");
      break;
    case 4:
      observed->nodes["node1"].ready = false;
      observed->nodes["node1"].not_ready_since =
          observed->now - std::chrono::seconds(dice.Below(120));
      break;
    case 5:
      observed->coordination->problem = JobProblem{
          dice.Pick<ProblemReason>({ProblemReason::kTopicMissing, ProblemReason::kKafkaUnreachable,
                                    ProblemReason::kPartitionCountChanged}),
          "text", dice.OneIn(2)};
      break;
    case 6:
      observed->coordination.reset();
      break;
    case 7:
      observed->sets.erase(id);
      break;
    case 8:
      observed->volumes[id].claim_deleting = true;
      break;
    case 9:
      observed->job.status = RandomValue(dice, 0).is_object()
                                 ? json::object()
                                 : json{{"conditions", RandomValue(dice, 0)}};
      break;
    case 10:
      observed->coordination->locality[TaskId(dice.Below(8))] = {.node = "elsewhere",
                                                                 .bytes = INT64_MAX};
      break;
    default:
      pod.waiting_reason = "ImagePullBackOff";
      pod.ready = false;
  }
}

void CheckSafety(const Observed& observed, const ReconcilePlan& plan) {
  std::set<std::string> uids;
  for (const auto& [id, set] : observed.sets)
    uids.insert("StatefulSet/" + set.name + set.object.uid);
  for (const auto& [id, pod] : observed.pods) uids.insert("Pod/" + pod.name + pod.uid);
  for (const auto& [id, volume] : observed.volumes)
    uids.insert("PersistentVolumeClaim/" + volume.claim + volume.claim_uid);
  for (const DeleteAction& action : plan.deletes)
    CHECK(uids.contains(action.kind + "/" + action.name + action.uid));
  const bool blocked =
      !observed.job.job || !observed.coordination || !observed.coordination->prepared ||
      (observed.coordination->problem &&
       (observed.coordination->problem->blocks_start ||
        observed.coordination->problem->reason == ProblemReason::kKafkaUnreachable));
  if (blocked) CHECK(plan.deletes.empty());
  for (const json& object : plan.apply) {
    CHECK(object["metadata"]["ownerReferences"][0]["uid"] == observed.job.uid);
    CHECK(object["metadata"]["namespace"] == observed.job.id.ns);
  }
  for (const PlannedEvent& event : plan.events) CHECK(event.note.size() <= 1024);
}

TEST_CASE("plan: safe, deterministic and crash-free for whatever is observed") {
  for (uint32_t seed = 1; seed <= 120; ++seed) {
    CAPTURE(seed);
    Dice dice(seed);
    ToyCluster cluster(1 + dice.Below(4), 1 + dice.Below(40));
    if (!dice.OneIn(5)) cluster.Settle();
    json object = JobObject({{"spec", {{"workers", {{"count", 1 + dice.Below(5)}}}}}});
    for (int i = dice.Below(4); i > 0; --i) BreakSomething(dice, &object);
    const json status = cluster.observed.job.status;
    cluster.observed.job = ParseStreamJob(object).value();
    cluster.observed.job.status = status;
    for (int i = dice.Below(6); i > 0 && cluster.observed.coordination; --i)
      Disturb(dice, &cluster.observed);

    const ReconcilePlan plan = cluster.Plan();
    const ReconcilePlan again = cluster.Plan();
    CHECK(plan.apply == again.apply);
    CHECK(plan.deletes == again.deletes);
    CHECK(plan.status == again.status);
    CHECK(plan.events == again.events);
    CheckSafety(cluster.observed, plan);
    cluster.Perform(plan);
    CheckSafety(cluster.observed, cluster.Plan());
  }
}

TEST_CASE("plan: a healthy cluster comes to rest after any sequence of edits") {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Dice dice(seed);
    ToyCluster cluster(2, 12);
    for (int edit = 0; edit < 6; ++edit) {
      const int workers = 1 + dice.Below(5);
      cluster.Edit({{"spec",
                     {{"workers", {{"count", workers}}},
                      {"image", "coho-worker:" + std::to_string(dice.Below(3))},
                      {"storage",
                       {{"retention",
                         {{"whenScaled", dice.Pick<std::string>({"Delete", "Retain"})},
                          {"whenDeleted", dice.Pick<std::string>({"Delete", "Retain"})}}}}}}}});
      if (dice.OneIn(3)) cluster.Perform(cluster.Plan());
      cluster.Assign(workers);
      cluster.Settle(40);
      CHECK(static_cast<int>(cluster.observed.sets.size()) == workers);
      CHECK(cluster.missed_deletes == 0);
      CHECK(ConditionOf(cluster.observed.job.status, "Ready")["status"] == "True");
    }
  }
}

}  // namespace
}  // namespace coho
