// What a plan has found out about a job by the time it writes the job's status. Values.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "common/base/ids.h"
#include "common/coordination/job_view.h"

namespace coho {

struct Situation {
  std::set<WorkerId>
      desired;  // by spec.workers.count; where the spec cannot be used, the workers that exist
  std::set<WorkerId> missing;            // desired workers without a set
  std::set<WorkerId> leaving;            // workers beyond the count whose sets or pods still exist
  std::set<WorkerId> outdated;           // pods that run an older template
  std::map<WorkerId, std::string> lost;  // worker -> the lost node that its pod or volume is on
  // The one thing that stands in the job's way, if any: a spec that cannot be used (InvalidSpec),
  // what the coordination service says, a foreign object under one of our names (NameTaken), or a
  // write that the API server refused (WriteRefused).
  std::optional<JobProblem> problem;

  // Somebody else coordinates the job: nothing of it is ours to write.
  [[nodiscard]] bool is_not_ours() const {
    return problem && (problem->reason == ProblemReason::kClaimedByAnother ||
                       problem->reason == ProblemReason::kCoordinatorFenced);
  }
  // Then no heartbeat says anything, and no state could be restored.
  [[nodiscard]] bool kafka_is_away() const {
    return problem && MeaningOf(problem->reason).kafka_away;
  }
};

}  // namespace coho
