// A cluster in memory that does with a plan what Kubernetes would: sets make pods, pods make
// claims, deleted pods come back. Everything is healthy unless a test says otherwise.
#pragma once

#include <string>

#include "operator/api/observed.h"
#include "operator/decide/plan.h"

namespace coho {

inline constexpr const char* kJobUid = "uid-of-visits";

// StreamJob visits in namespace web as the API server would give it; `patch` is merged into it.
nlohmann::json JobObject(const nlohmann::json& patch = nlohmann::json::object());

class ToyCluster {
 public:
  // The coordinator has prepared the job with this many tasks, spread over the workers, all running
  // from local state; nothing exists in Kubernetes yet. Three nodes in three zones.
  ToyCluster(int workers, int tasks);

  Observed observed;

  ReconcilePlan Plan() const { return PlanReconcile(observed); }
  // Performs a plan. A delete whose uid is not that of the object is counted in `missed_deletes`.
  void Perform(const ReconcilePlan& plan);
  // Plans and performs until nothing is left to be done; returns the number of plans that did
  // something.
  int Settle(int limit = 20);

  // Merges `patch` into the job's object, as a user would edit it; the status stays.
  void Edit(const nlohmann::json& patch);
  // The coordinator takes over the workers that there are to be: deals the tasks out anew, among
  // `workers`.
  void Assign(int workers);

  int missed_deletes = 0;

 private:
  void StartPod(WorkerId worker);
  void Delete(const DeleteAction& action);

  nlohmann::json object_;
  int tasks_;
  int next_uid_ = 1;
};

// True if the plan changes nothing at all.
bool IsQuiet(const ReconcilePlan& plan);

// The stored condition of this type; null if there is none.
nlohmann::json ConditionOf(const nlohmann::json& status, const std::string& type);

}  // namespace coho
