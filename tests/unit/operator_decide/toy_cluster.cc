#include "toy_cluster.h"

#include <doctest/doctest.h>

#include <set>

#include "operator/api/names.h"
#include "operator/manifests/object.h"
#include "operator/manifests/pod_template.h"

namespace coho {

using nlohmann::json;

json JobObject(const json& patch) {
  json object = json::parse(R"({
    "apiVersion": "coho.dev/v1alpha1", "kind": "StreamJob",
    "metadata": {"name": "visits", "namespace": "web", "generation": 1},
    "spec": {
      "image": "coho-worker:dev",
      "task": {"name": "count", "config": {"store": "visits"}},
      "kafka": {"bootstrapServers": "kafka:9092", "secretRef": {"name": "kafka-credentials"}},
      "inputs": [{"topic": "requests", "key": "string", "value": "json"}],
      "outputs": [{"topic": "visits", "key": "string", "value": "int64", "partitions": 8}],
      "stores": [{"name": "visits", "key": "string", "value": "int64"}],
      "workers": {"count": 1},
      "storage": {"size": "1Gi", "storageClassName": "local"}
    }})");
  object["metadata"]["uid"] = kJobUid;
  object.merge_patch(patch);
  return object;
}

ToyCluster::ToyCluster(int workers, int tasks)
    : object_(JobObject({{"spec", {{"workers", {{"count", workers}}}}}})), tasks_(tasks) {
  observed.job = ParseStreamJob(object_).value();
  observed.now = FromUnixMillis(1'767'225'600'000);  // 2026-01-01T00:00:00Z
  observed.nodes_known = true;
  for (const char* n : {"1", "2", "3"}) {
    const std::string number = n;
    observed.nodes["node" + number] = {.hostname = "node" + number, .zone = "zone-" + number};
  }
  observed.coordination.emplace();
  observed.coordination->prepared = true;
  observed.coordination->model = JobModel{.tasks = tasks};
  Assign(workers);
}

void ToyCluster::Assign(int workers) {
  JobView& view = *observed.coordination;
  const Generation next = view.assignment.generation.Next();
  std::set<WorkerId> before;
  for (const auto& [id, part] : view.assignment.workers) before.insert(id);
  view.assignment = {.generation = next, .reason = "test"};
  view.workers.clear();
  view.removable.clear();
  view.locality.clear();
  view.settled = true;
  for (const WorkerId id : before) {
    if (id.value() >= workers) view.removable.insert(id);
  }
  for (TaskId task(0); task.value() < tasks_; task = task.Next()) {
    const WorkerId owner(task.value() % workers);
    const std::string node = "node" + std::to_string(owner.value() % 3 + 1);
    view.assignment.workers[owner].generation = next;
    view.assignment.workers[owner].active.push_back(task);
    view.locality[task] = {.worker = owner,
                           .node = node,
                           .zone = "zone-" + node.substr(4),
                           .volume = "",
                           .bytes = 1000};
    CoordinatorWorker& worker = view.workers[owner];
    worker.standing = WorkerStanding::kAlive;
    worker.phase = WorkerPhase::kRunning;
    if (!worker.report) worker.report.emplace();
    worker.report->tasks.push_back({.task = task,
                                    .state = TaskState::kRunning,
                                    .restore_source = RestoreSource::kLocal,
                                    .lag = 0});
  }
}

void ToyCluster::Edit(const json& patch) {
  object_.merge_patch(patch);
  object_["metadata"]["generation"] = object_["metadata"]["generation"].get<int64_t>() + 1;
  const json status = observed.job.status;
  observed.job = ParseStreamJob(object_).value();
  observed.job.status = status;
}

void ToyCluster::StartPod(WorkerId worker) {
  const std::string job = observed.job.id.name;
  VolumeFacts& volume = observed.volumes[worker];
  if (volume.claim.empty()) {
    const std::string node = "node" + std::to_string(worker.value() % 3 + 1);
    volume = {.claim = WorkerClaimName(job, worker),
              .claim_uid = "claim-" + std::to_string(next_uid_++),
              .volume = "pv-" + ToString(worker),
              .node = node,
              .zone = observed.nodes[node].zone};
  }
  volume.owned_by_set = observed.sets[worker].delete_claim_with_set;
  observed.pods[worker] = {.name = WorkerPodName(job, worker),
                           .uid = "pod-" + std::to_string(next_uid_++),
                           .node = volume.node,
                           .running = true,
                           .ready = true,
                           .template_hash = observed.sets[worker].template_hash,
                           .config_hash = observed.sets[worker].config_hash};
}

void ToyCluster::Delete(const DeleteAction& action) {
  const auto is_it = [&](const std::string& name, const std::string& uid) {
    if (name == action.name && uid != action.uid) ++missed_deletes;
    return name == action.name && uid == action.uid;
  };
  if (action.kind == "PersistentVolumeClaim") {
    for (auto& [id, volume] : observed.volumes) {
      if (is_it(volume.claim, volume.claim_uid)) volume.claim_deleting = true;
    }
    return;
  }
  if (action.kind == "ConfigMap") {
    std::erase_if(observed.objects, [&](const auto& entry) {
      return entry.first.kind == action.kind && is_it(entry.first.name, entry.second.uid);
    });
    return;
  }
  std::set<WorkerId> ended;
  if (action.kind == "Pod") {
    for (auto& [id, pod] : observed.pods) {
      if (is_it(pod.name, pod.uid)) ended.insert(id);
    }
  } else {
    REQUIRE(action.kind == "StatefulSet");
    for (auto& [id, set] : observed.sets) {
      if (is_it(set.name, set.object.uid)) ended.insert(id);
    }
    for (const WorkerId id : ended) {
      if (observed.volumes[id].owned_by_set) observed.volumes[id].claim_deleting = true;
      observed.sets.erase(id);
    }
  }
  for (const WorkerId id : ended) {
    observed.pods.erase(id);
    if (observed.volumes[id].claim_deleting) observed.volumes.erase(id);
    if (observed.sets.contains(id)) StartPod(id);
  }
}

void ToyCluster::Perform(const ReconcilePlan& plan) {
  for (const json& object : plan.apply) {
    const std::string kind = object["kind"];
    const std::string name = object["metadata"]["name"];
    ObjectFacts facts{.uid = kind + "-" + std::to_string(next_uid_++),
                      .controller_uid = object["metadata"]["ownerReferences"][0]["uid"],
                      .applied_hash = AppliedHash(object)};
    if (kind != "StatefulSet") {
      if (const auto old = observed.objects.find({kind, name}); old != observed.objects.end())
        facts.uid = old->second.uid;
      observed.objects[{kind, name}] = facts;
      continue;
    }
    const WorkerId id(object["spec"]["ordinals"]["start"].get<int32_t>());
    StatefulSetFacts& set = observed.sets[id];
    if (!set.object.uid.empty()) facts.uid = set.object.uid;
    set = {.name = name,
           .object = facts,
           .template_hash = TemplateHash(object["spec"]["template"]),
           .config_hash = object["spec"]["template"]["metadata"]["annotations"]
                                [std::string(kConfigHashAnnotation)],
           .observed = true,
           .delete_claim_with_set =
               object["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete"};
    if (!observed.pods.contains(id)) StartPod(id);
    observed.volumes[id].owned_by_set = set.delete_claim_with_set;
  }
  for (const DeleteAction& action : plan.deletes) Delete(action);
  if (plan.status) observed.job.status = (*plan.status)["status"];
}

int ToyCluster::Settle(int limit) {
  for (int i = 0; i < limit; ++i) {
    const ReconcilePlan plan = Plan();
    if (IsQuiet(plan)) return i;
    Perform(plan);
  }
  FAIL("does not settle");
  return limit;
}

bool IsQuiet(const ReconcilePlan& plan) {
  return plan.apply.empty() && plan.deletes.empty() && !plan.status && plan.events.empty();
}

json ConditionOf(const json& status, const std::string& type) {
  if (!status.contains("conditions")) return nullptr;
  for (const json& condition : status["conditions"]) {
    if (condition["type"] == type) return condition;
  }
  return nullptr;
}

}  // namespace coho
