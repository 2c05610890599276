// What a claim found in a coordinator topic means for who wants to coordinate the job (R0, R2).
// Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/coordinating/cluster_port.h"
#include "common/coordination/job_view.h"
#include "common/model/assignment.h"
#include "common/model/job_identity.h"

namespace coho {

// Who asks.
struct Claimant {
  JobIdentity identity;
  std::string kafka_cluster_id;
  std::string transactional_id;  // of this process alone
  std::string topic_prefix;
  bool adopt = false;  // what an earlier job or another owner left may be taken over
  // How long the claim of another process of the same owner is respected since it was written last;
  // zero: not at all, because somebody else sees to it that there is one process.
  Duration respect = Duration::zero();
};

struct ClaimVerdict {
  enum class Kind { kFree, kOurs, kTakeOver, kStandBy, kRefused };
  Kind kind = Kind::kFree;
  std::optional<JobProblem> problem;  // of kStandBy and kRefused
};

// The claims that a topic's records show, oldest first.
struct ClaimSeen {
  Claim claim;
  int64_t written_at_ms = 0;
};
[[nodiscard]] std::vector<ClaimSeen> ClaimsIn(const std::vector<StoredRecord>& records);

// Both are the same job's. A Kubernetes cluster whose uid is not known (an operator may lack the
// right to read it, or get it later) may be any: the StreamJob's own uid tells two of them apart.
[[nodiscard]] bool SameOwner(const JobIdentity& a, const JobIdentity& b);
// What a claim of this owner says after the claim `before` of the same owner: what is known of the
// Kubernetes cluster is not forgotten.
[[nodiscard]] JobIdentity IdentityToClaim(JobIdentity identity,
                                          const std::optional<ClaimSeen>& before);

// `last`: the topic's newest claim; nullopt: none.
[[nodiscard]] ClaimVerdict JudgeClaim(const std::optional<ClaimSeen>& last,
                                      const Claimant& claimant, WallTime now);

// Transactional ids that have to be fenced by who has just written its claim: that of the claim
// before, and of the ones before it as long as nothing shows that they were fenced. A claim is
// written again once those before it are fenced, so two records of it say so. Only ids that a
// coordinator can have: nobody's claim may name a worker's, or another job's.
[[nodiscard]] std::vector<std::string> RivalsBefore(const std::vector<ClaimSeen>& claims,
                                                    const Claimant& claimant);

[[nodiscard]] bool IsCoordinatorId(const std::string& transactional_id,
                                   const std::string& topic_prefix);

}  // namespace coho
