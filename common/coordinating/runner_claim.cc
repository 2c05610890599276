// From nothing to a coordinator topic that is ours and a coordinator that runs. See runner_state.h.
#include <algorithm>
#include <utility>

#include "common/base/mutant.h"
#include "common/base/overloaded.h"
#include "common/coordinating/runner_state.h"
#include "common/model/limits.h"

namespace coho {
namespace {

// Workers say everything again within half a minute; older heartbeats tell nothing that these do
// not.
constexpr Duration kHistory = std::chrono::seconds(35);
constexpr Duration kCreationSettles = std::chrono::milliseconds(100);
constexpr Duration kRecheckInterval = std::chrono::seconds(30);
constexpr Duration kTickInterval = std::chrono::milliseconds(200);
constexpr Duration kAuditInterval = std::chrono::minutes(10);

}  // namespace

Claimant RunnerState::Self() const {
  Claimant self;
  self.identity = identity_;
  self.kafka_cluster_id = facts_.kafka_cluster_id;
  self.transactional_id = options_.transactional_id;
  self.topic_prefix = job_.kafka.topic_prefix;
  // Who was displaced by it does not take it back.
  self.adopt = AdoptsLeftovers(job_) && !displaced_;
  self.respect = options_.respect_claims;
  return self;
}

bool RunnerState::IsOurs(const std::vector<ClaimSeen>& claims) const {
  return !claims.empty() && claims.back().claim == claim_;
}

Result<CoordinatorState> RunnerState::Fold(const TopicRead& read) const {
  if (!read.status.ok()) return read.status;
  CoordinatorState state;
  for (const StoredRecord& stored : read.records) {
    const Status status = ApplyCoordinatorRecord(stored.record, &state);
    if (!status.ok()) {
      return status.WithContext("topic " + job_.CoordinatorTopic() + " offset " +
                                std::to_string(stored.offset));
    }
  }
  return state;
}

JobProblem RunnerState::CoordinatorTopicGone(bool made_anew) const {
  return {ProblemReason::kLeftoverTopics,
          "coordinator topic \"" + job_.CoordinatorTopic() + "\" was deleted" +
              (made_anew ? " and made anew" : "") +
              " while the job ran: workers go on by what it said, nobody can be given another "
              "task. Stop all workers; then start the coordinator again with "
              "spec.state.onLeftover: Adopt, or begin anew under another spec.kafka.topicPrefix",
          true};
}

// The job goes on, but a worker that is lost would not be noticed: people have to know.
std::optional<JobProblem> RunnerState::HearingProblem(Times t) const {
  if (lost_ && lost_->second.code() == Code::kUnauthenticated &&
      t.now - lost_->first <= kDeafIsAProblem) {
    return ProblemOf(lost_->second, false);
  }
  if (t.now - heard_through_ > kDeafIsAProblem) {
    return JobProblem{ProblemReason::kKafkaUnreachable,
                      "heartbeats topic \"" + heartbeats_topic_ +
                          "\" could not be read to its end for more than a minute: no worker is "
                          "heard, and so none is called silent; is its partition's leader up?",
                      false};
  }
  if (unreadable_at_ && t.now - *unreadable_at_ <= kDeafIsAProblem) {
    return JobProblem{ProblemReason::kUnreadableRecord,
                      "heartbeats topic \"" + heartbeats_topic_ + "\" " + unreadable_ +
                          "; whoever sends such ones keeps its tasks, and gets no others",
                      false};
  }
  return std::nullopt;
}

void RunnerState::Prepare(Times /*t*/) {
  phase_ = Phase::kLooking;
  claimed_ = confirmed_ = workers_fenced_ = false;
  fenced_.clear();
  facts_.stored = {};
  Look(For::kPhase);
}

void RunnerState::OnPhaseAnswer(ClusterAnswer answer, Times t) {
  std::visit(Overloaded{
                 [&](TopicsSeen& seen) { OnLooked(std::move(seen), t); },
                 [&](TopicsCreated& created) {
                   if (!created.status.ok()) return Fail(ProblemOf(created.status, true), t);
                   // Looked at once more: what exists now may still be somebody else's, made at the
                   // same time.
                   phase_ = claimed_ ? Phase::kCreating : Phase::kIdle;
                   retry_at_ = t.now + kCreationSettles;
                 },
                 [&](TopicRead& read) {
                   phase_ == Phase::kReadingClaim ? OnReadClaim(std::move(read), t)
                                                  : OnReadAll(std::move(read), t);
                 },
                 [&](WriteEnded& ended) { OnClaimWritten(ended, t); },
                 [&](IdsFenced& done) {
                   if (!done.status.ok()) return Fail(ProblemOf(done.status, true), t);
                   // Workers' ids take their time: another one may have claimed the topic
                   // meanwhile.
                   const bool workers = phase_ == Phase::kFencingWorkers;
                   workers_fenced_ = workers_fenced_ || workers;
                   phase_ = workers ? Phase::kReadingClaim : Phase::kReadingAll;
                   Ask(For::kPhase, ReadTopic{job_.CoordinatorTopic()});
                 },
                 [&](FollowBegun& begun) { Begin(begun, t); },
                 [](WriterOpened&) {},
             },
             answer);
}

void RunnerState::OnLooked(TopicsSeen seen, Times t) {
  if (!seen.status.ok()) return Fail(ProblemOf(seen.status, true), t);
  facts_.topics = std::move(seen.topics);
  facts_.configs = std::move(seen.configs);
  facts_.kafka_cluster_id = std::move(seen.kafka_cluster_id);
  const auto topic = facts_.topics.find(job_.CoordinatorTopic());
  if (topic != facts_.topics.end()) {
    const std::string& id = topic->second.id;
    if (!coordinator_topic_id_.empty() && !id.empty() && id != coordinator_topic_id_) {
      COHO_SOMETIMES("the coordinator topic was made anew");
      return Fail(CoordinatorTopicGone(/*made_anew=*/true), t);
    }
    if (claimed_) return PlanOrCreate(t);
    phase_ = Phase::kReadingClaim;
    return Ask(For::kPhase, ReadTopic{job_.CoordinatorTopic()});
  }
  // A topic that this process has coordinated with: workers still run by what it said.
  if (had_topic_) return Fail(CoordinatorTopicGone(/*made_anew=*/false), t);
  const std::vector<std::string> left = LeftoversOf(job_, facts_);
  if (!left.empty() && !AdoptsLeftovers(job_))
    return Fail(ProblemOfLeftovers(job_, left, /*unclaimed=*/false), t);
  const TopicPlan plan = PlanTopics(job_, facts_);
  if (plan.problem && plan.problem->blocks_start) return Fail(*plan.problem, t);
  // First the topic that says whose the others are.
  CreateTopics create;
  for (const kafka::NewTopic& one : plan.create) {
    if (one.name == job_.CoordinatorTopic()) create.topics.push_back(one);
  }
  phase_ = Phase::kCreating;
  Ask(For::kPhase, std::move(create));
}

void RunnerState::OnReadClaim(TopicRead read, Times t) {
  const Result<CoordinatorState> state = Fold(read);
  if (!state.ok()) {
    if (state.status().code() == Code::kCorruption)
      return Fail({ProblemReason::kUnreadableRecord, state.status().message(), true}, t);
    return Fail(ProblemOf(state.status(), true), t);
  }
  const std::vector<ClaimSeen> claims = ClaimsIn(read.records);
  const std::optional<ClaimSeen> last =
      claims.empty() ? std::nullopt : std::optional(claims.back());
  const ClaimVerdict verdict = JudgeClaim(last, Self(), t.wall);
  if (verdict.problem) {
    COHO_SOMETIMES("a claim was respected");
    return Fail(*verdict.problem, t);
  }
  if (!last && state->model && !AdoptsLeftovers(job_)) {
    return Fail({ProblemReason::kLeftoverTopics,
                 "coordinator topic \"" + job_.CoordinatorTopic() +
                     "\" has no claim, but a job's model: whose it is is not known. Set "
                     "spec.state.onLeftover: Adopt to go on with it, or another "
                     "spec.kafka.topicPrefix",
                 true},
                t);
  }
  // The claim is written before any topic that holds state is made: a coordinator topic without one
  // came in the place of another.
  const std::vector<std::string> left = LeftoversOf(job_, facts_);
  if (!last && !left.empty() && !AdoptsLeftovers(job_) && !COHO_MUTANT("unclaimed-topic-is-free")) {
    COHO_SOMETIMES("state beside a coordinator topic without claim was refused");
    return Fail(ProblemOfLeftovers(job_, left, /*unclaimed=*/true), t);
  }
  // Once our claim is written, a compaction may take theirs away before we read again.
  if (!COHO_MUTANT("compacted-claims-forgotten")) {
    for (std::string& id : RivalsBefore(claims, Self())) rivals_.insert(std::move(id));
  }
  // A topic's life goes on with whoever takes it over.
  const JobIdentity identity = IdentityToClaim(identity_, last);
  claim_ = {.job_uid = identity.job_uid,
            .installation = identity.installation,
            .kubernetes_cluster_uid = identity.kubernetes_cluster_uid,
            .kafka_cluster_id = facts_.kafka_cluster_id,
            .transactional_id = options_.transactional_id,
            .life = last && !last->claim.life.empty() ? last->claim.life : options_.new_life()};
  if (!last && !left.empty() && !workers_fenced_ && !COHO_MUTANT("adopted-without-fence"))
    return FenceWorkers(t);
  AwaitWriter(t);
}

// Nobody knows who had which task: whoever may still write for one is made powerless, also a worker
// that is not wanted any more; only as many as there are tasks ever had one. Before the claim is
// written: with it the topic has an owner, and whoever comes next takes its workers for those that
// it names.
void RunnerState::FenceWorkers(Times t) {
  const TopicPlan plan = PlanTopics(job_, facts_);
  if (plan.problem && plan.problem->blocks_start) return Fail(*plan.problem, t);
  COHO_SOMETIMES("workers of an earlier life were fenced");
  const int32_t workers =
      COHO_MUTANT("only-wanted-workers-fenced")
          ? job_.workers.count
          : std::min(kWorkersMost, std::max(job_.workers.count, plan.model.tasks));
  FenceIds fence;
  for (int32_t worker = 0; worker < workers; ++worker) {
    for (int32_t loop = 0; loop < job_.workers.run_loops; ++loop)
      fence.transactional_ids.push_back(job_.TransactionalId(WorkerId(worker), loop));
  }
  phase_ = Phase::kFencingWorkers;
  Ask(For::kPhase, std::move(fence));
}

void RunnerState::AwaitWriter(Times t) {
  phase_ = Phase::kAwaitingWriter;
  if (writer_ != 0) AfterWriter(t);
}

void RunnerState::AfterWriter(Times /*t*/) {
  phase_ = Phase::kClaiming;
  Ask(For::kPhase, WriteTopic{writer_, job_.CoordinatorTopic(), {EncodeClaim(claim_)}});
}

void RunnerState::OnClaimWritten(const WriteEnded& ended, Times t) {
  if (ended.outcome != WriteOutcome::kWritten) {
    // Whatever became of it is seen when it is read.
    return Fail(ProblemOf(ended.status.code() == Code::kFenced ? Unavailable(ended.status.message())
                                                               : ended.status,
                          true),
                t);
  }
  if (phase_ == Phase::kConfirming) {
    confirmed_ = true;
    phase_ = Phase::kLooking;
    return Look(For::kPhase);
  }
  phase_ = Phase::kReadingAll;
  Ask(For::kPhase, ReadTopic{job_.CoordinatorTopic()});
}

void RunnerState::OnReadAll(TopicRead read, Times t) {
  Result<CoordinatorState> state = Fold(read);
  if (!state.ok()) return Fail(ProblemOf(state.status(), true), t);
  const std::vector<ClaimSeen> claims = ClaimsIn(read.records);
  if (!IsOurs(claims)) {
    COHO_SOMETIMES("a rival claimed the topic at the same time");
    return Displaced(claims.empty() ? std::nullopt : std::optional(claims.back()), t);
  }
  for (std::string& id : RivalsBefore(claims, Self())) rivals_.insert(std::move(id));
  std::vector<std::string> rivals(rivals_.begin(), rivals_.end());
  std::erase_if(rivals, [this](const std::string& id) { return fenced_.contains(id); });
  if (!rivals.empty() && !COHO_MUTANT("two-coordinator-ids")) {
    COHO_SOMETIMES("a former coordinator was fenced");
    fenced_.insert(rivals.begin(), rivals.end());
    phase_ = Phase::kFencingRivals;
    return Ask(For::kPhase, FenceIds{std::move(rivals)});
  }
  rivals_.clear();
  facts_.stored = *std::move(state);
  claimed_ = had_topic_ = true;
  if (const auto topic = facts_.topics.find(job_.CoordinatorTopic()); topic != facts_.topics.end())
    coordinator_topic_id_ = topic->second.id;
  if (!fenced_.empty() && !confirmed_) {
    phase_ = Phase::kConfirming;
    return Ask(For::kPhase, WriteTopic{writer_, job_.CoordinatorTopic(), {EncodeClaim(claim_)}});
  }
  phase_ = Phase::kLooking;
  Look(For::kPhase);
}

// The topic is ours, and what it holds is known.
void RunnerState::PlanOrCreate(Times t) {
  const TopicPlan plan = PlanTopics(job_, facts_);
  if (plan.problem && plan.problem->blocks_start) return Fail(*plan.problem, t);
  if (!plan.create.empty()) {
    for (const kafka::NewTopic& topic : plan.create) {
      Say(false, "topic is made",
          topic.name + ", " + std::to_string(topic.partitions) + " partitions");
    }
    phase_ = Phase::kCreating;
    return Ask(For::kPhase, CreateTopics{plan.create});
  }
  SetProblem(plan.problem);
  model_ = plan.model;
  phase_ = Phase::kBeginning;
  Follow(For::kPhase, t);
}

void RunnerState::Follow(For what, Times t) {
  following_ = false;
  if (coordinator_) coordinator_->OnDeaf();
  Ask(what, FollowHeartbeats{heartbeats_topic_, t.wall - kHistory});
}

void RunnerState::Begin(const FollowBegun& begun, Times t) {
  if (!begun.status.ok()) {
    if (!coordinator_) return Fail(ProblemOf(begun.status, true), t);
    phase_ = Phase::kRunning;  // with the former plan
    recheck_at_ = t.now + kTickInterval;
    return SetProblem(ProblemOf(begun.status, false));
  }
  const bool afresh = !coordinator_;
  live_from_ = begun.end;
  following_ = true;
  phase_ = Phase::kRunning;
  planned_ = job_;
  retry_.Reset();
  displaced_retry_.Reset();
  displaced_ = false;
  to_do_.clear();
  std::erase_if(pending_, [](const auto& entry) { return entry.second.what == For::kFence; });
  recheck_at_ = t.now + kRecheckInterval;
  audit_at_ = t.now + kAuditInterval;
  heard_through_ = renew_at_ = t.now;
  tick_at_ = t.now + kTickInterval;
  CoordinatorState stored = facts_.stored;
  stored.assignment.life = claim_.life;
  if (stored.model != model_) stored.model.reset();  // inputs or stores were added: pinned anew
  coordinator_.emplace(OptionsFor(model_), model_, std::move(stored), t.now);
  changed_ = true;
  Say(false, afresh ? "coordinating job" : "coordinating job by its new plan",
      std::to_string(model_.tasks) + " tasks, generation " +
          ToString(coordinator_->assignment().generation));
  Do(coordinator_->Start(t.wall));
  if (!pod_facts_.empty()) Do(coordinator_->OnPodFacts(pod_facts_, t.now, t.wall));
  Perform(t);
}

// Another one wrote its claim after ours.
void RunnerState::Displaced(const std::optional<ClaimSeen>& by, Times t) {
  COHO_SOMETIMES("a coordinator was displaced by a claim");
  Halt();
  displaced_ = true;
  std::string who = "another coordinator took this job over";
  if (by) {
    who += ": " + by->claim.transactional_id;
    if (!by->claim.installation.empty())
      who += " of installation \"" + by->claim.installation + "\"";
    if (!by->claim.job_uid.empty()) who += ", StreamJob uid " + by->claim.job_uid;
  }
  SetProblem(JobProblem{ProblemReason::kCoordinatorFenced,
                        who + "; this one stands by, and looks again later. Stop one of the two",
                        options_.respect_claims == Duration::zero()});
  retry_at_ = t.now + displaced_retry_.Next();
}

}  // namespace coho
