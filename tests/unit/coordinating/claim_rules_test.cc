#include "common/coordinating/claim_rules.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace coho {
namespace {

const std::string kOurs = "coho-operator-a-1";

ClaimSeen Seen(const JobIdentity& identity) {
  return {{.job_uid = identity.job_uid,
           .installation = identity.installation,
           .kubernetes_cluster_uid = identity.kubernetes_cluster_uid,
           .transactional_id = "coho-operator-a-0",
           .life = "life-1"},
          0};
}

ClaimVerdict Judge(const JobIdentity& claim, const JobIdentity& claimant) {
  Claimant asks;
  asks.identity = claimant;
  asks.transactional_id = kOurs;
  asks.topic_prefix = "coho-web.visits";
  return JudgeClaim(Seen(claim), asks, WallTime());
}

TEST_CASE("claim: whose it is, where the Kubernetes cluster may be unknown") {
  using Kind = ClaimVerdict::Kind;
  struct Row {
    const char* what;
    JobIdentity claim;
    JobIdentity claimant;
    Kind kind;
    ProblemReason reason = ProblemReason::kInternalError;  // where it is refused
    const char* says = "";
  };
  const Row rows[] = {
      {"the same", {"u", "a", "c"}, {"u", "a", "c"}, Kind::kTakeOver},
      {"the operator got the right to read the uid",
       {"u", "a", ""},
       {"u", "a", "c"},
       Kind::kTakeOver},
      {"the operator lost the right", {"u", "a", "c"}, {"u", "a", ""}, Kind::kTakeOver},
      {"neither had it", {"u", "a", ""}, {"u", "a", ""}, Kind::kTakeOver},
      {"no Kubernetes", {"", "standalone", ""}, {"", "standalone", ""}, Kind::kTakeOver},
      {"another cluster, restored with all its uids",
       {"u", "a", "c"},
       {"u", "a", "d"},
       Kind::kRefused,
       ProblemReason::kClaimedByAnother,
       "Kubernetes cluster c"},
      {"an earlier job of the name",
       {"u", "a", "c"},
       {"v", "a", "c"},
       Kind::kRefused,
       ProblemReason::kLeftoverTopics,
       "delete the topics to begin anew"},
      {"an earlier job, or another cluster's: here it is unknown",
       {"u", "a", "c"},
       {"v", "a", ""},
       Kind::kRefused,
       ProblemReason::kLeftoverTopics,
       "no other Kubernetes cluster runs it"},
      {"an earlier job, or another cluster's: there it is unknown",
       {"u", "a", ""},
       {"v", "a", "c"},
       Kind::kRefused,
       ProblemReason::kLeftoverTopics,
       "no other Kubernetes cluster runs it"},
      {"an earlier job, or another cluster's: both are unknown",
       {"u", "a", ""},
       {"v", "a", ""},
       Kind::kRefused,
       ProblemReason::kLeftoverTopics,
       "no other Kubernetes cluster runs it"},
      {"another installation",
       {"u", "b", ""},
       {"u", "a", "c"},
       Kind::kRefused,
       ProblemReason::kClaimedByAnother,
       "installation \"b\""},
      {"one without Kubernetes",
       {"", "standalone", ""},
       {"u", "a", ""},
       Kind::kRefused,
       ProblemReason::kClaimedByAnother,
       "installation \"standalone\""},
      // Without a StreamJob's uid nothing but the cluster's would tell two of them apart.
      {"no job's uid",
       {"", "a", "c"},
       {"", "a", ""},
       Kind::kRefused,
       ProblemReason::kLeftoverTopics,
       ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const ClaimVerdict verdict = Judge(row.claim, row.claimant);
    CHECK(verdict.kind == row.kind);
    REQUIRE(verdict.problem.has_value() == (row.kind == Kind::kRefused));
    if (!verdict.problem) continue;
    CHECK(verdict.problem->reason == row.reason);
    CHECK_MESSAGE(verdict.problem->message.find(row.says) != std::string::npos,
                  verdict.problem->message);
  }
}

TEST_CASE("claim: what all identities have in common") {
  std::vector<JobIdentity> all;
  for (const char* job : {"", "u", "v"}) {
    for (const char* installation : {"a", "b"}) {
      for (const char* cluster : {"", "c", "d"}) all.push_back({job, installation, cluster});
    }
  }
  for (const JobIdentity& a : all) {
    CHECK(SameOwner(a, a));
    for (const JobIdentity& b : all) {
      CHECK(SameOwner(a, b) == SameOwner(b, a));
      const bool taken = Judge(a, b).kind == ClaimVerdict::Kind::kTakeOver;
      CHECK(taken == SameOwner(a, b));
      if (a.job_uid != b.job_uid || a.installation != b.installation) CHECK_FALSE(taken);
      const bool both = !a.kubernetes_cluster_uid.empty() && !b.kubernetes_cluster_uid.empty();
      if (both && a.kubernetes_cluster_uid != b.kubernetes_cluster_uid) CHECK_FALSE(taken);
      // Whoever takes over forgets nothing, and is still the same to whom it was the same.
      const JobIdentity claimed = IdentityToClaim(b, Seen(a));
      CHECK(SameOwner(claimed, b));
      if (!taken) {
        CHECK(claimed == b);
        continue;
      }
      CHECK(SameOwner(claimed, a));
      CHECK(claimed.kubernetes_cluster_uid.empty() ==
            (a.kubernetes_cluster_uid.empty() && b.kubernetes_cluster_uid.empty()));
    }
  }
}

}  // namespace
}  // namespace coho
