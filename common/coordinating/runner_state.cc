#include "common/coordinating/runner_state.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/base/mutant.h"
#include "common/base/overloaded.h"

namespace coho {
namespace {

constexpr Duration kFirstRetry = std::chrono::milliseconds(500);
constexpr Duration kLongestRetry = std::chrono::seconds(15);
// Longer than a rival needs to end or to lose its lease, so that two never take turns.
constexpr Duration kFirstDisplacedRetry = std::chrono::seconds(30);
constexpr Duration kLongestDisplacedRetry = std::chrono::minutes(10);
constexpr Duration kRecheckInterval = std::chrono::seconds(30);
constexpr Duration kTickInterval = std::chrono::milliseconds(200);
constexpr Duration kAgainSoon = std::chrono::seconds(1);
constexpr Duration kHeardInterval = std::chrono::milliseconds(250);
constexpr Duration kAuditInterval = std::chrono::minutes(10);

// What the topics and the coordinator were made for: a change needs another look at the ones, and
// another one of the other.
bool SamePlan(const Job& a, const Job& b) {
  return a.processing.guarantee == b.processing.guarantee && a.inputs == b.inputs &&
         a.outputs == b.outputs && a.stores == b.stores && a.kafka == b.kafka &&
         a.processing.on_error == b.processing.on_error &&
         a.processing.dead_letter_topic == b.processing.dead_letter_topic;
}

CoordinatorState Folded(CoordinatorState state, const std::vector<TopicRecord>& records) {
  for (const TopicRecord& record : records) {
    ApplyCoordinatorRecord(record, &state).IgnoreError("our own encoder made it");
  }
  return state;
}

}  // namespace

RunnerState::RunnerState(const Job& job, const JobIdentity& identity, Options options,
                         MonotonicTime now)
    : options_(std::move(options)),
      job_(job),
      planned_(job),
      identity_(identity),
      heartbeats_topic_(job.HeartbeatsTopic()),
      retry_at_(now),
      retry_(kFirstRetry, kLongestRetry),
      // A claim that is renewed says itself when its owner is gone.
      displaced_retry_(
          options_.respect_claims > Duration::zero() ? kAgainSoon * 5 : kFirstDisplacedRetry,
          options_.respect_claims > Duration::zero() ? kAgainSoon * 15 : kLongestDisplacedRetry) {}

CoordinatorOptions RunnerState::OptionsFor(const JobModel& model) const {
  CoordinatorOptions options;
  options.workers = std::min(job_.workers.count, model.tasks);
  options.session_timeout = job_.failover.session_timeout;
  options.homecoming_timeout = job_.failover.homecoming_timeout;
  // A coordinator keeps account of who may still write in one way or the other.
  options.transactions = planned_.processing.guarantee == Guarantee::kExactlyOnce;
  options.topic_prefix = job_.kafka.topic_prefix;
  return options;
}

void RunnerState::SetProblem(std::optional<JobProblem> problem) {
  if (problem == problem_) return;
  changed_ = true;
  if (problem) {
    Say(true, "job has a problem", std::string(NameOf(problem->reason)) + ": " + problem->message);
  } else {
    Say(false, "job's problem is over", std::string(NameOf(problem_->reason)));
  }
  problem_ = std::move(problem);
}

void RunnerState::Say(bool warning, std::string sentence, std::string detail) {
  out_.push_back(Note{warning, std::move(sentence), std::move(detail)});
}

std::vector<RunnerAction> RunnerState::Take() { return std::exchange(out_, {}); }

void RunnerState::Ask(For what, ClusterRequest request, WorkerId worker) {
  pending_[++tickets_] = {what, worker};
  out_.push_back(AskKafka{tickets_, std::move(request)});
}

void RunnerState::Look(For what) {
  Ask(what, LookAtTopics{TopicsOf(job_, facts_.stored), OwnTopicsOf(job_, facts_.stored)});
}

void RunnerState::Halt() {
  changed_ = true;
  phase_ = Phase::kIdle;
  resume_ = Resume::kNone;
  pending_.clear();
  coordinator_.reset();
  to_do_.clear();
  writing_.reset();
  doubtful_.reset();
  read_again_at_.reset();
  rechecking_ = renewing_ = false;
  if (std::exchange(following_, false)) {
    out_.push_back(AskKafka{++tickets_, UnfollowHeartbeats{heartbeats_topic_}});
  }
}

void RunnerState::Fail(JobProblem problem, Times t) {
  const bool stands_by = problem.reason == ProblemReason::kCoordinatorFenced;
  Halt();
  SetProblem(std::move(problem));
  retry_at_ = t.now + (stands_by ? displaced_retry_.Next() : retry_.Next());
}

void RunnerState::OnUnreachable(const Status& status) {
  // Who waits for its turn to be prepared behind others that wait for a writer, waits for it, too.
  if (WantsWriter() || (!coordinator_ && !problem_)) SetProblem(ProblemOf(status, !coordinator_));
}

void RunnerState::OnPrefixTaken(const std::optional<JobId>& by) {
  Halt();
  retry_at_ = by ? MonotonicTime::max() : MonotonicTime();
  if (!by) return SetProblem(std::nullopt);
  SetProblem(JobProblem{ProblemReason::kTopicPrefixTaken,
                        "spec.kafka.topicPrefix: job " + by->ToString() + " has the prefix \"" +
                            job_.kafka.topic_prefix + "\", too; set another one",
                        true});
}

void RunnerState::SetJob(const Job& job, const JobIdentity& identity, Times t) {
  if (job == job_ && identity == identity_) return;
  const bool other_size = job_.workers.count != job.workers.count;
  const bool same_plan = SamePlan(job_, job);
  const bool same_identity = identity == identity_;
  job_ = job;
  identity_ = identity;
  // No edit but that of the prefix gives it topics of its own, and that makes another runner.
  if (retry_at_ == MonotonicTime::max()) return;
  if (!same_identity && phase_ != Phase::kIdle) Halt();  // claimed anew
  if (!coordinator_) {
    if (phase_ == Phase::kIdle || !same_plan) {
      Halt();
      retry_.Reset();
      displaced_retry_.Reset();
      retry_at_ = t.now;
    }
    return;
  }
  if (other_size || !same_plan) recheck_at_ = t.now;
  Do(coordinator_->SetOptions(OptionsFor(coordinator_->model()), t.now, t.wall));
  Perform(t);
}

void RunnerState::SetPodFacts(const std::map<WorkerId, PodFact>& facts, Times t) {
  pod_facts_ = facts;
  if (!coordinator_) return;
  Do(coordinator_->OnPodFacts(facts, t.now, t.wall));
  Perform(t);
}

void RunnerState::OnWriter(int64_t writer, Times t) {
  writer_ = writer;
  if (phase_ == Phase::kAwaitingWriter) return AfterWriter(t);
  if (resume_ != Resume::kWriter) return;
  if (COHO_MUTANT("resume-without-reading")) {
    resume_ = Resume::kNone;
    if (doubtful_) {
      Do(coordinator_->OnWritten(std::exchange(doubtful_, std::nullopt)->generation, false, t.now,
                                 t.wall));
    }
    return Perform(t);
  }
  resume_ = Resume::kReadAll;
  Ask(For::kResume, ReadTopic{job_.CoordinatorTopic()});
}

// What was read before has to be read again: another one may have written meanwhile.
void RunnerState::OnWriterGone(bool fenced, Times t) {
  writer_ = 0;
  std::erase_if(pending_, [](const auto& entry) {
    return entry.second.what == For::kResume || entry.second.what == For::kRenewal;
  });
  renewing_ = false;
  read_again_at_.reset();
  if (!coordinator_) {
    if (phase_ == Phase::kIdle || phase_ == Phase::kLooking || phase_ == Phase::kAwaitingWriter ||
        phase_ == Phase::kReadingClaim || phase_ == Phase::kFencingWorkers ||
        (phase_ == Phase::kCreating && !claimed_)) {
      if (!claimed_) return;
    }
    Halt();
    retry_at_ = t.now + kAgainSoon;
    return;
  }
  if (fenced && !COHO_MUTANT("claim-not-read-again-after-a-fence")) {
    resume_ = Resume::kReadClaim;
    return Ask(For::kResume, ReadTopic{job_.CoordinatorTopic()});
  }
  resume_ = Resume::kWriter;
}

void RunnerState::OnAnswer(int64_t ticket, ClusterAnswer answer, Times t) {
  const auto found = pending_.find(ticket);
  if (found == pending_.end()) return;  // of a request that nobody waits for any more
  const Pending pending = found->second;
  pending_.erase(found);
  switch (pending.what) {
    case For::kPhase:
      return OnPhaseAnswer(std::move(answer), t);
    case For::kRecheck:
      return OnRechecked(std::get<TopicsSeen>(std::move(answer)), t);
    case For::kRecreate:
      recheck_at_ = t.now + kTickInterval;
      return;
    case For::kRefollow: {
      const auto& begun = std::get<FollowBegun>(answer);
      following_ = begun.status.ok();
      live_from_ = begun.end;
      if (!following_) recheck_at_ = std::min(recheck_at_, t.now + kAgainSoon);
      return;
    }
    case For::kWrite:
      return OnWritten(std::get<WriteEnded>(answer), t);
    case For::kRenewal:
      renewing_ = false;
      return Perform(t);
    case For::kResume:
      return OnResumed(std::get<TopicRead>(std::move(answer)), t);
    case For::kAudit:
      return OnAudited(std::get<TopicRead>(answer), t);
    case For::kFence: {
      const Status& status = std::get<IdsFenced>(answer).status;
      if (!status.ok()) {
        Say(true, "worker could not be fenced; trying again",
            "worker " + ToString(pending.worker) + ": " + status.ToString());
      }
      Do(coordinator_->OnFenced(pending.worker, status.ok(), t.now, t.wall));
      return Perform(t);
    }
  }
}

void RunnerState::OnHeartbeat(const HeartbeatSeen& seen, Times t) {
  if (!coordinator_) return;
  const Result<Heartbeat> beat = DecodeHeartbeat(seen.value);
  if (!beat.ok()) return OnUnreadable(seen, beat.status(), t);
  heard_ = true;
  Do(coordinator_->OnHeartbeat(*beat, seen.offset < live_from_, t.now, t.wall));
  Perform(t);
}

// A worker of a later version may say it: its key tells who lives.
void RunnerState::OnUnreadable(const HeartbeatSeen& seen, const Status& why, Times t) {
  const std::string what = "offset " + std::to_string(seen.offset) + ": " + why.message();
  if (!std::exchange(unreadable_told_, true))
    Say(true, "unreadable heartbeat; more are not told", what);
  if (!unreadable_at_ || t.now - *unreadable_at_ > kDeafIsAProblem) {
    unreadable_ = what;
    recheck_at_ = std::min(recheck_at_, t.now + kAgainSoon);
  }
  unreadable_at_ = t.now;
  int32_t worker = -1;
  const char* end = seen.key.data() + seen.key.size();
  const auto [parsed, error] = std::from_chars(seen.key.data(), end, worker);
  if (error == std::errc() && parsed == end && seen.offset >= live_from_)
    coordinator_->OnUnreadable(WorkerId(worker));
}

void RunnerState::OnHeard(MonotonicTime as_of, Times t) {
  if (!coordinator_ || !following_) return;
  if (as_of - heard_through_ > kDeafIsAProblem) recheck_at_ = t.now;  // it is over
  heard_through_ = std::max(heard_through_, as_of);
  heard_ = true;  // what time alone changes
  Do(coordinator_->OnHeardThrough(as_of, t.now, t.wall));
  Perform(t);
}

void RunnerState::OnHeartbeatsLost(const Status& why, Times t) {
  if (!coordinator_ || !std::exchange(following_, false)) return;
  COHO_SOMETIMES("a heartbeats topic was truncated or made anew");
  // What is lost as soon as it is followed is not asked for all the time.
  const bool again = lost_ && t.now - lost_->first <= kDeafIsAProblem;
  if (!again) follow_retry_.Reset();
  if (!again) Say(true, "the heartbeats topic is read anew", why.ToString());
  lost_ = {t.now, why};
  coordinator_->OnDeaf();
  recheck_at_ = again ? t.now + follow_retry_.Next() : t.now;
}

void RunnerState::OnTick(Times t) {
  if (phase_ == Phase::kCreating && claimed_ && t.now >= retry_at_ && pending_.empty()) {
    phase_ = Phase::kLooking;
    return Look(For::kPhase);
  }
  if (!coordinator_) return;
  if (t.now >= recheck_at_ && !rechecking_ && phase_ == Phase::kRunning) {
    rechecking_ = true;
    recheck_at_ = t.now + kRecheckInterval;
    Look(For::kRecheck);
  }
  if (t.now >= tick_at_) {
    tick_at_ = t.now + kTickInterval;
    heard_ = true;  // what time alone changes
    Do(coordinator_->OnTick(t.now, t.wall));
  }
  if (read_again_at_ && t.now >= *read_again_at_) {
    read_again_at_.reset();
    if (resume_ != Resume::kNone && resume_ != Resume::kWriter)
      Ask(For::kResume, ReadTopic{job_.CoordinatorTopic()});
  }
  if (t.now >= audit_at_ && resume_ == Resume::kNone) {
    audit_at_ = t.now + kAuditInterval;
    Ask(For::kAudit, ReadTopic{job_.CoordinatorTopic()});
  }
  if (options_.respect_claims > Duration::zero() && t.now >= renew_at_ && !renewing_ && !writing_ &&
      writer_ != 0 && resume_ == Resume::kNone && phase_ == Phase::kRunning && !doubtful_) {
    renewing_ = true;
    renew_at_ = t.now + options_.respect_claims / 3;
    Ask(For::kRenewal, WriteTopic{writer_, job_.CoordinatorTopic(), {EncodeClaim(claim_)}});
  }
  Perform(t);
}

void RunnerState::OnRechecked(TopicsSeen seen, Times t) {
  rechecking_ = false;
  if (!seen.status.ok()) return SetProblem(ProblemOf(seen.status, false));
  const auto heartbeats_before = facts_.topics.find(heartbeats_topic_);
  const std::string id_before =
      heartbeats_before == facts_.topics.end() ? "" : heartbeats_before->second.id;
  TopicFacts facts = facts_;
  facts.topics = std::move(seen.topics);
  facts.configs = std::move(seen.configs);
  facts.kafka_cluster_id = std::move(seen.kafka_cluster_id);
  const auto topic = facts.topics.find(job_.CoordinatorTopic());
  if (topic == facts.topics.end() ||
      (!topic->second.id.empty() && topic->second.id != coordinator_topic_id_)) {
    const bool made_anew = topic != facts.topics.end();
    facts_ = std::move(facts);
    return Fail(CoordinatorTopicGone(made_anew), t);
  }
  facts_ = std::move(facts);
  const TopicPlan plan = PlanTopics(job_, facts_);
  SetProblem(plan.problem ? plan.problem : HearingProblem(t));
  const bool blocked = plan.problem && plan.problem->blocks_start;
  const bool same_plan = SamePlan(job_, planned_);
  if (blocked) {
    // The coordinator goes on by the plan that was good.
    if (!same_plan) COHO_SOMETIMES("a bad edit left the former plan in place");
    if (COHO_MUTANT("bad-edit-stops-coordination")) Halt();
    return;
  }
  if (!plan.create.empty()) return Ask(For::kRecreate, CreateTopics{plan.create});
  const bool under_way = writing_ || doubtful_ || resume_ != Resume::kNone || renewing_;
  if (!same_plan || plan.model != coordinator_->model()) {
    if (under_way) {
      recheck_at_ = t.now + kTickInterval;
      return;
    }
    model_ = plan.model;
    phase_ = Phase::kBeginning;
    return Follow(For::kPhase, t);
  }
  const auto heartbeats = facts_.topics.find(heartbeats_topic_);
  const bool anew = heartbeats != facts_.topics.end() && heartbeats->second.id != id_before;
  if (anew || !following_) Follow(For::kRefollow, t);
}

void RunnerState::Do(CoordinatorActions actions) {
  if (!actions.empty()) changed_ = true;
  for (CoordinatorAction& action : actions) to_do_.push_back(std::move(action));
}

void RunnerState::Perform(Times t) {
  while (!to_do_.empty() && phase_ == Phase::kRunning && !doubtful_ && !writing_) {
    const bool may_write =
        writer_ != 0 && resume_ == Resume::kNone && !renewing_ && t.now >= write_at_;
    if (std::holds_alternative<WriteRecords>(to_do_.front()) && !may_write) return;
    CoordinatorAction action = std::move(to_do_.front());
    to_do_.pop_front();
    std::visit(Overloaded{
                   [&](EmitEvent& event) { out_.push_back(TellEvent{std::move(event)}); },
                   [&](WriteRecords& write) {
                     writing_ = write;
                     Ask(For::kWrite,
                         WriteTopic{writer_, job_.CoordinatorTopic(), std::move(write.records)});
                   },
                   [&](FenceWorker& fence) {
                     Ask(For::kFence, FenceIds{std::move(fence.transactional_ids)}, fence.worker);
                   },
               },
               action);
  }
}

void RunnerState::OnWritten(const WriteEnded& ended, Times t) {
  WriteRecords write = std::move(*std::exchange(writing_, std::nullopt));
  const bool written = ended.outcome == WriteOutcome::kWritten;
  if (!written) {
    Say(true, "generation could not be written; trying again",
        "generation " + ToString(write.generation) + ": " + ended.status.ToString());
    if (ended.outcome != WriteOutcome::kNotWritten) {
      // The service says that the writer is gone, and then it is read whether this was written.
      doubtful_ = std::move(write);
      return;
    }
    write_at_ = t.now + write_retry_.Next();  // others have the same writer
  }
  if (written) write_retry_.Reset();
  if (written) facts_.stored = Folded(std::move(facts_.stored), write.records);
  Do(coordinator_->OnWritten(write.generation, written, t.now, t.wall));
  Perform(t);
}

// After the writer was closed: first whether the claim is still ours, then, with a new writer, what
// was written.
void RunnerState::OnResumed(TopicRead read, Times t) {
  Result<CoordinatorState> state = Fold(read);
  if (!state.ok()) {
    SetProblem(ProblemOf(state.status(), false));
    read_again_at_ = t.now + kAgainSoon;
    return;
  }
  const std::vector<ClaimSeen> claims = ClaimsIn(read.records);
  if (!IsOurs(claims) && !COHO_MUTANT("claim-not-read-again-after-a-fence"))
    return Displaced(claims.empty() ? std::nullopt : std::optional(claims.back()), t);
  if (resume_ == Resume::kReadClaim) {
    // The broker ends transactions that take too long in the same way: no rival.
    COHO_SOMETIMES("fenced, and the claim is still ours");
    resume_ = Resume::kWriter;
    return;
  }
  resume_ = Resume::kNone;
  if (problem_ && MeaningOf(problem_->reason).kafka_away) SetProblem(std::nullopt);
  std::optional<WriteRecords> doubtful = std::exchange(doubtful_, std::nullopt);
  if (doubtful && COHO_MUTANT("doubtful-write-taken-for-written")) {
    facts_.stored = Folded(std::move(facts_.stored), doubtful->records);
    Do(coordinator_->OnWritten(doubtful->generation, true, t.now, t.wall));
    return Perform(t);
  }
  if (doubtful && COHO_MUTANT("doubtful-write-taken-for-lost")) {
    Do(coordinator_->OnWritten(doubtful->generation, false, t.now, t.wall));
    return Perform(t);
  }
  if (*state == facts_.stored) {
    if (doubtful) {
      COHO_SOMETIMES("a doubtful write was lost");
      Do(coordinator_->OnWritten(doubtful->generation, false, t.now, t.wall));
    }
    return Perform(t);
  }
  if (doubtful && *state == Folded(facts_.stored, doubtful->records)) {
    COHO_SOMETIMES("a doubtful write was written");
    facts_.stored = *std::move(state);
    Do(coordinator_->OnWritten(doubtful->generation, true, t.now, t.wall));
    return Perform(t);
  }
  COHO_SOMETIMES("the coordinator topic holds what nobody here wrote");
  Say(true, "the coordinator topic has changed meanwhile; reading everything anew");
  Halt();
  retry_at_ = t.now;
}

// A rival that claimed the topic and died before it fenced us leaves no other trace.
void RunnerState::OnAudited(const TopicRead& read, Times t) {
  if (!read.status.ok() || resume_ != Resume::kNone) return;
  const std::vector<ClaimSeen> claims = ClaimsIn(read.records);
  if (!IsOurs(claims)) Displaced(claims.empty() ? std::nullopt : std::optional(claims.back()), t);
}

bool RunnerState::TakeChanged(MonotonicTime now) {
  if (!changed_ && !(heard_ && now - told_at_ >= kHeardInterval)) return false;
  changed_ = false;
  heard_ = false;
  told_at_ = now;
  return true;
}

JobView RunnerState::View() const {
  JobView view;
  view.problem = problem_;
  if (!coordinator_) return view;
  view.prepared = true;
  view.model = coordinator_->model();
  view.assignment = coordinator_->assignment();
  view.locality = coordinator_->locality();
  view.workers = coordinator_->workers();
  view.removable = coordinator_->removable();
  view.settled = coordinator_->settled();
  view.listening = coordinator_->listening();
  return view;
}

}  // namespace coho
