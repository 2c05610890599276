// One job in the coordinating service as a state machine: sees to its topics, claims its
// coordinator topic, then drives its Coordinator. Requests to Kafka go out as actions, what comes
// back comes in as events; it never waits. What failed is the job's problem, and tried again later.
//
// Pure: no clock, no IO, no logging. Thread-compatible.
//
//   look at topics ─► read the topic, judge its claim ─► (fence an earlier life's workers) ─► writer ─► write the claim ─► read ─► fence those before, read again,
//   write the claim once more ─► look again, make what is missing ─► follow heartbeats ─► running
//
// Running goes on without a claim of its own proof only as long as the writer does: once that was
// closed, a new one is opened only if the claim is still ours, and nothing is written before the
// topic was read again to its end.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/coordinating/claim_rules.h"
#include "common/coordinating/cluster_port.h"
#include "common/coordinating/runner_action.h"
#include "common/coordinating/topic_plan.h"
#include "common/coordination/coordinator.h"
#include "common/coordination/job_view.h"
#include "common/model/assignment.h"
#include "common/model/job.h"
#include "common/model/job_identity.h"

namespace coho {

class RunnerState {
 public:
  struct Options {
    std::string transactional_id;  // of the service's writer, this process's alone
    // See Claimant::respect. Where it is not zero the own claim is renewed while it holds.
    Duration respect_claims = Duration::zero();
    std::function<std::string()> new_life;  // an id that no topic had before
  };
  RunnerState(const Job& job, const JobIdentity& identity, Options options, MonotonicTime now);

  void SetJob(const Job& job, const JobIdentity& identity, Times t);
  void SetPodFacts(const std::map<WorkerId, PodFact>& facts, Times t);
  void OnWriter(int64_t writer, Times t);
  void OnWriterGone(bool fenced, Times t);
  void OnUnreachable(const Status& status);  // no writer can be opened
  void OnAnswer(int64_t ticket, ClusterAnswer answer, Times t);
  void OnHeartbeat(const HeartbeatSeen& seen, Times t);
  void OnHeard(MonotonicTime as_of, Times t);
  void OnHeartbeatsLost(const Status& why, Times t);
  void OnTick(Times t);
  void OnPrefixTaken(const std::optional<JobId>& by);  // who has the same topics, if any

  [[nodiscard]] std::vector<RunnerAction> Take();
  [[nodiscard]] bool WantsWriter() const {
    return phase_ == Phase::kAwaitingWriter || resume_ == Resume::kWriter;
  }
  // It is at work on the way to running, which costs Kafka and the service more than running does.
  [[nodiscard]] bool Preparing() const {
    return phase_ != Phase::kIdle && phase_ != Phase::kRunning;
  }
  [[nodiscard]] bool PreparationDue(MonotonicTime now) const {
    return phase_ == Phase::kIdle && now >= retry_at_;
  }
  // REQUIRES: PreparationDue.
  void Prepare(Times t);
  [[nodiscard]] const std::string& heartbeats_topic() const { return heartbeats_topic_; }
  [[nodiscard]] JobView View() const;
  // Whether the view may have changed since the last call. Mere heartbeats count only a few times a
  // second.
  [[nodiscard]] bool TakeChanged(MonotonicTime now);

 private:
  enum class Phase {
    kIdle,  // until retry_at_
    kLooking,
    kCreating,
    kReadingClaim,
    kFencingWorkers,  // of an earlier life
    kAwaitingWriter,
    kClaiming,
    kReadingAll,
    kFencingRivals,
    kConfirming,
    kBeginning,  // follows the heartbeats
    kRunning,
  };
  enum class Resume { kNone, kReadClaim, kWriter, kReadAll };
  enum class For {
    kPhase,
    kRecheck,
    kRecreate,
    kRefollow,
    kWrite,
    kRenewal,
    kResume,
    kAudit,
    kFence
  };
  struct Pending {
    For what = For::kPhase;
    WorkerId worker;
  };

  // runner_claim.cc: from nothing to a topic that is ours.
  void OnLooked(TopicsSeen seen, Times t);
  void OnReadClaim(TopicRead read, Times t);
  void FenceWorkers(Times t);
  void AwaitWriter(Times t);
  void AfterWriter(Times t);
  void OnReadAll(TopicRead read, Times t);
  void OnClaimWritten(const WriteEnded& ended, Times t);
  void OnPhaseAnswer(ClusterAnswer answer, Times t);
  void Displaced(const std::optional<ClaimSeen>& by, Times t);
  [[nodiscard]] Result<CoordinatorState> Fold(const TopicRead& read) const;
  [[nodiscard]] Claimant Self() const;
  [[nodiscard]] bool IsOurs(const std::vector<ClaimSeen>& claims) const;
  void PlanOrCreate(Times t);
  void Begin(const FollowBegun& begun, Times t);

  // runner_state.cc: running.
  void OnRechecked(TopicsSeen seen, Times t);
  void OnUnreadable(const HeartbeatSeen& seen, const Status& why, Times t);
  void OnWritten(const WriteEnded& ended, Times t);
  void OnResumed(TopicRead read, Times t);
  void OnAudited(const TopicRead& read, Times t);
  void Follow(For what, Times t);
  void Perform(Times t);
  void Do(CoordinatorActions actions);
  void Halt();
  void Fail(JobProblem problem, Times t);
  [[nodiscard]] JobProblem CoordinatorTopicGone(bool made_anew) const;
  [[nodiscard]] std::optional<JobProblem> HearingProblem(Times t) const;
  void Ask(For what, ClusterRequest request, WorkerId worker = {});
  void Look(For what);
  void SetProblem(std::optional<JobProblem> problem);
  void Say(bool warning, std::string sentence, std::string detail = "");
  [[nodiscard]] CoordinatorOptions OptionsFor(const JobModel& model) const;

  const Options options_;
  Job job_;      // as wanted
  Job planned_;  // whose topics the coordinator was made for
  JobIdentity identity_;
  const std::string heartbeats_topic_;
  Phase phase_ = Phase::kIdle;
  Resume resume_ = Resume::kNone;
  std::vector<RunnerAction> out_;
  int64_t tickets_ = 0;
  std::map<int64_t, Pending> pending_;
  MonotonicTime retry_at_;
  Backoff retry_;
  Backoff displaced_retry_;
  bool displaced_ = false;  // another process of the same owner took over from this one

  std::optional<JobProblem> problem_;
  TopicFacts facts_;  // stored: what the coordinator topic holds, as far as it is known
  std::string coordinator_topic_id_;  // that was claimed; empty: none was yet, or unknown
  bool had_topic_ = false;            // the coordinator topic was ours
  bool claimed_ = false;
  bool confirmed_ = false;
  bool workers_fenced_ = false;   // of an earlier life
  Claim claim_;                   // ours
  std::set<std::string> rivals_;  // to be fenced; kept over attempts until one claims the topic
  std::set<std::string> fenced_;  // of these, since the claim was written

  int64_t writer_ = 0;
  std::optional<Coordinator> coordinator_;
  JobModel model_;  // what the coordinator is to begin with
  std::map<WorkerId, PodFact> pod_facts_;
  std::deque<CoordinatorAction> to_do_;
  std::optional<WriteRecords> writing_;  // under way
  Backoff write_retry_{std::chrono::milliseconds(200), std::chrono::seconds(10)};
  std::optional<WriteRecords> doubtful_;  // nobody knows whether it was written
  int64_t live_from_ = 0;                 // heartbeats before this offset are history
  bool following_ = false;
  static constexpr Duration kDeafIsAProblem = std::chrono::minutes(1);
  MonotonicTime heard_through_;
  std::optional<std::pair<MonotonicTime, Status>> lost_;  // heartbeats: the last time, and why
  Backoff follow_retry_{std::chrono::seconds(1), std::chrono::seconds(15)};
  bool unreadable_told_ = false;
  std::optional<MonotonicTime> unreadable_at_;  // the last heartbeat that could not be read
  std::string unreadable_;
  bool rechecking_ = false;
  bool renewing_ = false;
  std::optional<MonotonicTime> read_again_at_;  // reading after the writer was closed failed
  MonotonicTime recheck_at_, write_at_;         // not before
  MonotonicTime tick_at_, renew_at_, audit_at_;
  bool changed_ = true;
  bool heard_ = false;
  MonotonicTime told_at_;
};

}  // namespace coho
