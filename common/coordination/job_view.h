// What people and the operator's pure rooms see of a job's coordination. Values.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "common/base/ids.h"
#include "common/contract/problem_reason.h"
#include "common/coordination/coordinator_values.h"
#include "common/model/assignment.h"

namespace coho {

// Why a job cannot run (yet), or goes on with less than it should.
struct JobProblem {
  ProblemReason reason = ProblemReason::kInternalError;
  std::string message;       // names the field, what was found and what to do
  bool blocks_start = true;  // false: the job goes on with what it knows, and says so (R7)
  friend bool operator==(const JobProblem&, const JobProblem&) = default;
};

// A copy of what the coordinating service knows of a job.
struct JobView {
  bool prepared = false;  // topics checked, coordinator runs
  std::optional<JobProblem> problem;
  std::optional<JobModel> model;
  Assignment assignment;  // last committed generation
  Locality locality;
  std::map<WorkerId, CoordinatorWorker> workers;
  std::set<WorkerId> removable;
  bool settled = false;
  // The coordinator began anew and has not heard yet what all workers do: what it does not know of
  // them may well be as it was.
  bool listening = false;
};

}  // namespace coho
