// One reconcile of one StreamJob, as a pure function: what was observed in, what is to be done out.
// Level-based: the whole desired state is computed anew each time; whatever is right already is
// left out of the plan.
//
// Safety: nothing is deleted unless the observed object is this job's (its uid is a precondition of
// the delete); nothing is deleted while the job has a problem that blocks it or the coordinator's
// view of it is not there; a job that runs is never taken down because its spec became wrong. Same
// input, same plan.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/coordination/coordinator.h"
#include "operator/api/observed.h"
#include "operator/report/event.h"

namespace coho {

struct DeleteAction {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;  // precondition
  std::optional<int64_t>
      grace_period;  // seconds; 0: the node is lost, and Kafka fences what may still run there
  friend bool operator==(const DeleteAction&, const DeleteAction&) = default;
};

enum class Coordination {
  kRun,  // CoordinationService::SetJob with job.job, SetPodFacts with pod_facts
  // the spec cannot be used: what the service has goes on as it is; SetPodFacts if it has the job
  kKeep,
  kForget,  // RemoveJob
};

struct ReconcilePlan {
  std::vector<nlohmann::json>
      apply;  // full objects for server-side apply, in this order, before `deletes`
  std::vector<DeleteAction> deletes;  // in this order
  std::optional<nlohmann::json>
      status;  // full object for server-side apply on /status; nullopt: what is stored is right
  std::vector<PlannedEvent> events;  // to be emitted after the writes succeeded
  std::map<WorkerId, PodFact> pod_facts;
  Coordination coordination = Coordination::kKeep;
  std::optional<Duration> requeue_after;  // nullopt: wait for the next change
};

[[nodiscard]] ReconcilePlan PlanReconcile(const Observed& observed);

}  // namespace coho
