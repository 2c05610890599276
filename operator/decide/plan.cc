#include "operator/decide/plan.h"

#include <algorithm>
#include <utility>

#include "operator/api/names.h"
#include "operator/decide/deletes.h"
#include "operator/decide/home.h"
#include "operator/decide/nodes.h"
#include "operator/decide/rollout.h"
#include "operator/manifests/config_map.h"
#include "operator/manifests/disruption_budget.h"
#include "operator/manifests/object.h"
#include "operator/manifests/pod_template.h"
#include "operator/manifests/service.h"
#include "operator/manifests/service_account.h"
#include "operator/manifests/stateful_set.h"
#include "operator/report/situation.h"
#include "operator/report/status.h"
#include "operator/report/worker_state.h"

namespace coho {
namespace {

using nlohmann::json;

constexpr Duration kLagWrites = std::chrono::seconds(10);
constexpr Duration kLookAtForeign = std::chrono::seconds(3);
constexpr Duration kLookAtPrefix = std::chrono::seconds(10);

std::string TextAt(const json& object, const char* pointer) {
  const json::json_pointer path(pointer);
  return object.contains(path) && object[path].is_string() ? object[path].get<std::string>()
                                                           : std::string();
}

const ObjectFacts* FindObject(const Observed& observed, const std::string& kind,
                              const std::string& name) {
  if (kind == kStatefulSetType.kind) {
    for (const auto& [id, set] : observed.sets) {
      if (set.name == name) return &set.object;
    }
    return nullptr;
  }
  const auto found = observed.objects.find({kind, name});
  return found == observed.objects.end() ? nullptr : &found->second;
}

// The first object that carries one of our names but belongs to somebody else, for instance to an
// earlier StreamJob of this name that is still being cleaned up.
std::optional<JobProblem> FindForeignObject(const Observed& observed) {
  const auto problem = [&](const std::string& kind, const std::string& name,
                           const ObjectFacts& object) {
    // Its StreamJob is gone, since the name is ours: the garbage collector is on its way.
    if (object.of_this_name) {
      return JobProblem{.reason = ProblemReason::kBeingCleanedUp,
                        .message = kind + " " + name +
                                   " belongs to an earlier StreamJob of this name and is being "
                                   "cleaned up; the job begins when it is gone"};
    }
    return JobProblem{.reason = ProblemReason::kNameTaken,
                      .message = kind + " " + name +
                                 " exists and does not belong to this StreamJob; it is left alone; "
                                 "delete it, or give the StreamJob another name"};
  };
  for (const auto& [key, object] : observed.objects) {
    if (object.controller_uid != observed.job.uid) return problem(key.kind, key.name, object);
  }
  for (const auto& [id, set] : observed.sets) {
    if (set.object.controller_uid != observed.job.uid)
      return problem("StatefulSet", set.name, set.object);
  }
  return std::nullopt;
}

JobProblem PrefixTaken(const Observed& observed) {
  return {.reason = ProblemReason::kTopicPrefixTaken,
          .message = "spec.kafka.topicPrefix: found \"" + observed.job.job->kafka.topic_prefix +
                     "\", which StreamJob " + observed.prefix_holder->ns + "/" +
                     observed.prefix_holder->name +
                     " has already; two jobs would write the same topics: make this StreamJob anew "
                     "with a prefix of its own"};
}

// The gravest first.
std::optional<JobProblem> FindProblem(const Observed& observed) {
  if (!observed.job.job)
    return JobProblem{.reason = ProblemReason::kInvalidSpec,
                      .message = observed.job.error.message()};
  if (observed.prefix_holder) return PrefixTaken(observed);
  if (observed.connection_problem) return observed.connection_problem;
  if (observed.coordination && observed.coordination->problem)
    return observed.coordination->problem;
  if (auto foreign = FindForeignObject(observed)) return foreign;
  if (!observed.internal_error.empty()) {
    return JobProblem{.reason = ProblemReason::kInternalError,
                      .message = "a defect of Coho was caught: " + observed.internal_error,
                      .blocks_start = false};
  }
  if (!observed.write_error.empty()) {
    // Not blocking: the write has to be tried again.
    return JobProblem{.reason = ProblemReason::kWriteRefused,
                      .message = "the API server refused a write: " + observed.write_error,
                      .blocks_start = false};
  }
  return std::nullopt;
}

Situation Judge(const Observed& observed) {
  Situation situation;
  situation.problem = FindProblem(observed);
  if (observed.job.job) {
    for (WorkerId id(0); id.value() < observed.job.job->workers.count; id = id.Next())
      situation.desired.insert(id);
  } else {
    for (const auto& [id, set] : observed.sets) situation.desired.insert(id);
  }
  for (const WorkerId id : situation.desired) {
    if (!observed.sets.contains(id)) situation.missing.insert(id);
  }
  for (const auto& [id, set] : observed.sets) {
    if (!situation.desired.contains(id)) situation.leaving.insert(id);
  }
  for (const auto& [id, pod] : observed.pods) {
    if (!situation.desired.contains(id)) situation.leaving.insert(id);
  }
  for (const auto* workers : {&situation.desired, &situation.leaving}) {
    for (const WorkerId id : *workers) {
      if (auto node = LostNodeOf(observed, id)) situation.lost[id] = *node;
    }
  }
  return situation;
}

// Adds the object unless the cluster has it as it is, or has somebody else's under its name.
void Apply(const Observed& observed, json object, ReconcilePlan* plan) {
  const ObjectFacts* found =
      FindObject(observed, TextAt(object, "/kind"), TextAt(object, "/metadata/name"));
  if (found != nullptr) {
    if (found->controller_uid != observed.job.uid) return;
    if (!observed.repair && found->applied_hash == AppliedHash(object)) return;
  }
  plan->apply.push_back(std::move(object));
}

// What never changes is applied where it is missing.
void ApplyOnce(const Observed& observed, json object, ReconcilePlan* plan) {
  if (FindObject(observed, TextAt(object, "/kind"), TextAt(object, "/metadata/name")) == nullptr)
    plan->apply.push_back(std::move(object));
}

void ApplyShared(const Observed& observed, ReconcilePlan* plan) {
  Apply(observed, MakeServiceAccount(observed.job), plan);
  ApplyOnce(observed, MakeJobConfigMap(observed.job), plan);
  Apply(observed, MakeAssignmentConfigMap(observed.job, observed.coordination->assignment), plan);
  Apply(observed, MakeService(observed.job), plan);
  Apply(observed, MakeDisruptionBudget(observed.job), plan);
}

// Returns the desired workers' template hashes. While something blocks the job, existing workers
// are kept up to date, so that a mended spec reaches them, but no new ones are made.
std::map<WorkerId, std::string> ApplySets(const Observed& observed, const Situation& situation,
                                          bool blocked, ReconcilePlan* plan) {
  std::map<WorkerId, std::string> templates;
  std::set<WorkerId> workers = situation.desired;
  for (const auto& [id, set] : observed.sets) workers.insert(id);
  for (const WorkerId id : workers) {
    const auto existing = observed.sets.find(id);
    if (existing == observed.sets.end() && blocked) continue;
    if (existing != observed.sets.end() && existing->second.deleting) continue;
    const bool leaving = !situation.desired.contains(id);
    const WorkerPodOptions options{.worker = id,
                                   .home = HomeOf(observed, id),
                                   .image_pull_policy = observed.settings.image_pull_policy};
    json set =
        MakeWorkerSet(observed.job, options, DeletesClaimWithSet(*observed.job.job, leaving));
    if (!leaving) templates[id] = TemplateHash(set["spec"]["template"]);
    Apply(observed, std::move(set), plan);
  }
  return templates;
}

void AnnounceNewWorkers(const Situation& situation, ReconcilePlan* plan) {
  if (situation.missing.empty()) return;
  std::string ids;
  for (const WorkerId id : situation.missing) ids += (ids.empty() ? "" : ", ") + ToString(id);
  plan->events.push_back({.reason = std::string(NameOf(EventReason::kWorkersCreated)),
                          .action = "CreateStatefulSet",
                          .note = "creating worker " + Shortened(ids, 200)});
}

void Act(const Observed& observed, Situation* situation, ReconcilePlan* plan) {
  const bool blocked = situation->problem && situation->problem->blocks_start;
  ApplyShared(observed, plan);
  const auto templates = ApplySets(observed, *situation, blocked, plan);
  const Rollout rollout = PlanRollout(observed, templates);
  situation->outdated = rollout.outdated;
  if (blocked) return;
  AnnounceNewWorkers(*situation, plan);
  // What is deleted now could not come back, and what the coordinator knows may be old.
  if (situation->kafka_is_away()) return;
  DeleteEmptiedWorkers(observed, situation->leaving, plan);
  DeleteUnusedJobFiles(observed, plan);
  ReplaceLostWorkers(observed, situation->lost, plan);
  std::vector<WorkerId> replace = rollout.replace;
  std::erase_if(replace, [&](WorkerId id) { return situation->lost.contains(id); });
  ReplaceOutdatedPods(observed, replace, plan);
}

void RequeueAfter(Duration delay, ReconcilePlan* plan) {
  if (!plan->requeue_after || delay < *plan->requeue_after) plan->requeue_after = delay;
}

void PlanStatus(const Observed& observed, const Situation& situation, ReconcilePlan* plan) {
  json status = BuildStatus(observed, situation);
  // Where another installation of this cluster writes what its workers do, ours would only quarrel
  // with it.
  const std::string writer = TextAt(observed.job.status, "/installation");
  if (situation.is_not_ours() && !writer.empty() && writer != observed.settings.installation) {
    plan->events.push_back({.warning = true,
                            .reason = std::string(NameOf(situation.problem->reason)),
                            .action = "Coordinate",
                            .note = "installation " + observed.settings.installation +
                                    " leaves the job alone: " + situation.problem->message});
    return;
  }
  if (status == observed.job.status) return;
  if (observed.status_written && SameButLag(status, observed.job.status)) {
    const Duration since = observed.now - *observed.status_written;
    if (since >= Duration::zero() && since < kLagWrites) {
      RequeueAfter(kLagWrites - since, plan);
      return;
    }
  }
  for (PlannedEvent& event : EventsOfChange(observed.job.status, status))
    plan->events.push_back(std::move(event));
  plan->status = {{"apiVersion", std::string(kApiVersion)},
                  {"kind", std::string(kStreamJobKind)},
                  {"metadata", {{"name", observed.job.id.name}, {"namespace", observed.job.id.ns}}},
                  {"status", std::move(status)}};
}

void PlanRequeue(const Observed& observed, const Situation& situation, ReconcilePlan* plan) {
  // Nobody tells of it when they go.
  if (situation.problem && (situation.problem->reason == ProblemReason::kBeingCleanedUp ||
                            situation.problem->reason == ProblemReason::kNameTaken)) {
    RequeueAfter(kLookAtForeign, plan);
  }
  if (observed.prefix_holder) RequeueAfter(kLookAtPrefix, plan);
  if (const auto delay = UntilNextNodeIsLost(observed)) RequeueAfter(*delay, plan);
  for (const auto& [id, pod] : observed.pods) {
    if (pod.unschedulable.empty() || !pod.unschedulable_since) continue;
    const Duration left = kUnschedulableGrace - (observed.now - *pod.unschedulable_since);
    if (left > Duration::zero()) RequeueAfter(left, plan);
  }
}

}  // namespace

ReconcilePlan PlanReconcile(const Observed& observed) {
  ReconcilePlan plan;
  plan.pod_facts = PodFactsForCoordinator(observed);
  if (observed.job.deleting) {
    // Owner references take everything away; a finalizer would only give an uninstalled operator
    // something to hang on.
    plan.coordination = Coordination::kForget;
    return plan;
  }
  plan.coordination = observed.job.job ? Coordination::kRun : Coordination::kKeep;
  if (observed.prefix_holder) plan.coordination = Coordination::kForget;
  Situation situation = Judge(observed);
  // Without the coordinator's view nothing is known of where the state is: what exists stays as it
  // is.
  if (observed.job.job && observed.coordination && observed.coordination->prepared &&
      !observed.prefix_holder && !situation.is_not_ours())
    Act(observed, &situation, &plan);
  PlanStatus(observed, situation, &plan);
  PlanRequeue(observed, situation, &plan);
  return plan;
}

}  // namespace coho
