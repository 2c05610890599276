#include "common/coordinating/claim_rules.h"

#include <algorithm>
#include <set>

#include "common/base/mutant.h"

namespace coho {
namespace {

constexpr std::string_view kOperatorIds = "coho-operator-";

std::string Quoted(const std::string& text) { return "\"" + text + "\""; }

std::string OwnerOf(const Claim& claim) {
  std::string owner = claim.installation.empty() ? std::string("an unnamed installation")
                                                 : "installation " + Quoted(claim.installation);
  if (!claim.job_uid.empty()) owner += ", StreamJob uid " + claim.job_uid;
  if (!claim.kubernetes_cluster_uid.empty())
    owner += ", Kubernetes cluster " + claim.kubernetes_cluster_uid;
  return owner;
}

// The same process before a restart: its id but for what is new in each process.
bool SameButForTheProcess(const std::string& a, const std::string& b) {
  const size_t end = a.rfind('-');
  return end != std::string::npos && b.rfind('-') == end && a.compare(0, end, b, 0, end) == 0;
}

ClaimVerdict Refused(ProblemReason reason, std::string message) {
  return {ClaimVerdict::Kind::kRefused, JobProblem{reason, std::move(message), true}};
}

}  // namespace

bool SameOwner(const JobIdentity& a, const JobIdentity& b) {
  if (a.installation != b.installation || a.job_uid != b.job_uid) return false;
  const bool same = a.kubernetes_cluster_uid == b.kubernetes_cluster_uid;
  const bool known = !a.kubernetes_cluster_uid.empty() && !b.kubernetes_cluster_uid.empty();
  return same || (!known && !a.job_uid.empty() && !COHO_MUTANT("unknown-cluster-is-another"));
}

JobIdentity IdentityToClaim(JobIdentity identity, const std::optional<ClaimSeen>& before) {
  if (identity.kubernetes_cluster_uid.empty() && before &&
      SameOwner(before->claim.identity(), identity))
    identity.kubernetes_cluster_uid = before->claim.kubernetes_cluster_uid;
  return identity;
}

bool IsCoordinatorId(const std::string& transactional_id, const std::string& topic_prefix) {
  return transactional_id.starts_with(kOperatorIds) ||
         transactional_id.starts_with(topic_prefix + "-coordinator");
}

std::vector<ClaimSeen> ClaimsIn(const std::vector<StoredRecord>& records) {
  std::vector<ClaimSeen> claims;
  for (const StoredRecord& stored : records) {
    CoordinatorState state;
    if (stored.record.key != "claim" || !ApplyCoordinatorRecord(stored.record, &state).ok())
      continue;
    if (state.claim) claims.push_back({*state.claim, stored.written_at_ms});
  }
  return claims;
}

ClaimVerdict JudgeClaim(const std::optional<ClaimSeen>& last, const Claimant& claimant,
                        WallTime now) {
  using Kind = ClaimVerdict::Kind;
  if (!last) return {Kind::kFree, std::nullopt};
  const Claim& claim = last->claim;
  if (!claim.kafka_cluster_id.empty() && !claimant.kafka_cluster_id.empty() &&
      claim.kafka_cluster_id != claimant.kafka_cluster_id) {
    return Refused(ProblemReason::kOtherKafkaCluster,
                   "the job's topics belong to Kafka cluster " + claim.kafka_cluster_id +
                       ", and this is " + claimant.kafka_cluster_id +
                       ": offsets and positions of one mean nothing on the other; point "
                       "spec.kafka.bootstrapServers to the former, or set another "
                       "spec.kafka.topicPrefix to begin anew");
  }
  // Of this process, which coordinates other jobs as well: one of this name may have been deleted
  // and made again meanwhile.
  if (claim.transactional_id == claimant.transactional_id &&
      SameOwner(claim.identity(), claimant.identity))
    return {Kind::kOurs, std::nullopt};
  if (!IsCoordinatorId(claim.transactional_id, claimant.topic_prefix)) {
    return Refused(ProblemReason::kClaimedByAnother,
                   "the coordinator topic's claim names transactional id " +
                       Quoted(claim.transactional_id) + ", which is none of a coordinator");
  }
  const bool same_owner = SameOwner(claim.identity(), claimant.identity);
  if (!same_owner && !claimant.adopt) {
    const std::string& theirs = claim.kubernetes_cluster_uid;
    const std::string& ours = claimant.identity.kubernetes_cluster_uid;
    const bool told_apart = !theirs.empty() && !ours.empty();
    const bool earlier =
        claim.installation == claimant.identity.installation && (!told_apart || theirs == ours);
    if (earlier) {
      const char* careful =
          told_apart || claim.job_uid.empty()
              ? ""
              : ". Make sure first that no other Kubernetes cluster runs it: without the right to "
                "read namespace kube-system an operator cannot tell";
      return Refused(ProblemReason::kLeftoverTopics,
                     "the topics " + claimant.topic_prefix +
                         "-… were left by an earlier job of "
                         "this name (" +
                         OwnerOf(claim) +
                         "); set spec.state.onLeftover: Adopt to go on "
                         "with its state, delete the topics to begin anew, or set another "
                         "spec.kafka.topicPrefix" +
                         careful);
    }
    return Refused(ProblemReason::kClaimedByAnother,
                   "the topics " + claimant.topic_prefix + "-… belong to " + OwnerOf(claim) +
                       "; stop the job there and set spec.state.onLeftover: Adopt to take it over, "
                       "or set another spec.kafka.topicPrefix");
  }
  if (same_owner && claimant.respect > Duration::zero() &&
      !SameButForTheProcess(claim.transactional_id, claimant.transactional_id) &&
      now - FromUnixMillis(last->written_at_ms) < claimant.respect) {
    return {Kind::kStandBy,
            JobProblem{ProblemReason::kCoordinatorFenced,
                       "another process coordinates this job (" + claim.transactional_id +
                           "); this one stands by and takes over when that one is gone",
                       false}};
  }
  return {Kind::kTakeOver, std::nullopt};
}

std::vector<std::string> RivalsBefore(const std::vector<ClaimSeen>& claims,
                                      const Claimant& claimant) {
  std::vector<std::string> rivals;
  for (auto seen = claims.rbegin(); seen != claims.rend(); ++seen) {
    const std::string& id = seen->claim.transactional_id;
    if (id == claimant.transactional_id) continue;
    if (std::find(rivals.begin(), rivals.end(), id) != rivals.end()) return rivals;  // confirmed
    if (!IsCoordinatorId(id, claimant.topic_prefix)) continue;
    rivals.push_back(id);
  }
  return rivals;
}

}  // namespace coho
