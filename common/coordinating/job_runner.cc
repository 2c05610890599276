#include "common/coordinating/job_runner.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"

namespace coho {
namespace {

constexpr Duration kFirstRetry = std::chrono::milliseconds(500);
constexpr Duration kLongestRetry = std::chrono::seconds(15);
constexpr Duration kCreationSettles = std::chrono::milliseconds(100);
constexpr Duration kRecheckInterval = std::chrono::seconds(30);
constexpr Duration kTickInterval = std::chrono::milliseconds(200);
constexpr Duration kHeardInterval = std::chrono::milliseconds(250);

// What decides about topics: a change needs another look at them, and another coordinator.
bool SameTopics(const Job& a, const Job& b) {
  return a.inputs == b.inputs && a.outputs == b.outputs && a.stores == b.stores &&
         a.kafka == b.kafka && a.processing.on_error == b.processing.on_error &&
         a.processing.dead_letter_topic == b.processing.dead_letter_topic;
}

CoordinatorState Folded(CoordinatorState state, const std::vector<TopicRecord>& records) {
  for (const TopicRecord& record : records) {
    ApplyCoordinatorRecord(record, &state).IgnoreError("our own encoder made it");
  }
  return state;
}

}  // namespace

JobRunner::JobRunner(const Job& job, Cluster* cluster, const Clock* clock, OnEvent on_event)
    : job_(job),
      cluster_(cluster),
      clock_(clock),
      on_event_(std::move(on_event)),
      heartbeats_topic_(job.HeartbeatsTopic()),
      retry_at_(clock->Now()),
      retry_after_(kFirstRetry) {}

JobRunner::~JobRunner() { cluster_->Unfollow(heartbeats_topic_); }

CoordinatorOptions JobRunner::OptionsFor(const JobModel& model) const {
  CoordinatorOptions options;
  options.workers = std::min(job_.workers.count, model.tasks);
  options.session_timeout = job_.failover.session_timeout;
  options.homecoming_timeout = job_.failover.homecoming_timeout;
  return options;
}

void JobRunner::SetProblem(std::optional<JobProblem> problem) {
  if (problem != problem_) changed_ = true;
  if (problem && problem != problem_) {
    LogWarn("job has a problem", {{"job", job_.id.ToString()},
                                  {"reason", NameOf(problem->reason)},
                                  {"message", problem->message}});
  } else if (!problem && problem_) {
    LogInfo("job's problem is over",
            {{"job", job_.id.ToString()}, {"reason", NameOf(problem_->reason)}});
  }
  problem_ = std::move(problem);
}

void JobRunner::SetJob(const Job& job) {
  const bool same_topics = SameTopics(job_, job);
  const bool other_size = job_.workers.count != job.workers.count;
  job_ = job;
  if (!same_topics) Halt();
  if (!coordinator_) {
    retry_at_ = clock_->Now();
    retry_after_ = kFirstRetry;
    return;
  }
  if (other_size) recheck_at_ = clock_->Now();
  Take(coordinator_->SetOptions(OptionsFor(coordinator_->model()), clock_->Now(), Wall()));
}

void JobRunner::SetPodFacts(const std::map<WorkerId, PodFact>& facts) {
  pod_facts_ = facts;
  if (coordinator_) Take(coordinator_->OnPodFacts(facts, clock_->Now(), Wall()));
}

void JobRunner::OnHeartbeat(int64_t offset, std::string_view value) {
  if (!coordinator_) return;
  const Result<Heartbeat> beat = DecodeHeartbeat(value);
  if (!beat.ok()) {
    if (!std::exchange(unreadable_told_, true)) {
      LogWarn("unreadable heartbeat passed over; more are not told",
              {{"job", job_.id.ToString()}, {"offset", offset}, {"error", beat.status()}});
    }
    return;
  }
  heard_ = true;
  Take(coordinator_->OnHeartbeat(*beat, offset < live_from_, clock_->Now(), Wall()));
}

void JobRunner::OnUnreachable(const Status& status) {
  SetProblem(ProblemOf(status, !coordinator_));
}

void JobRunner::FailPreparation(JobProblem problem) {
  SetProblem(std::move(problem));
  retry_at_ = clock_->Now() + retry_after_;
  retry_after_ = std::min(retry_after_ * 2, kLongestRetry);
}

void JobRunner::Prepare() {
  Result<TopicFacts> facts = cluster_->Look(job_);
  if (!facts.ok()) return FailPreparation(ProblemOf(facts.status(), true));
  const TopicPlan plan = PlanTopics(job_, *facts);
  if (plan.problem && plan.problem->blocks_start) return FailPreparation(*plan.problem);
  if (!plan.create.empty()) {
    if (const Status status = cluster_->CreateTopics(plan.create); !status.ok()) {
      return FailPreparation(ProblemOf(status, true));
    }
    for (const kafka::NewTopic& topic : plan.create) {
      LogInfo(
          "topic created",
          {{"job", job_.id.ToString()}, {"topic", topic.name}, {"partitions", topic.partitions}});
    }
    // Looked at once more: what exists now may still be somebody else's, made at the same time.
    retry_at_ = clock_->Now() + kCreationSettles;
    return;
  }
  Run(plan, std::move(*facts));
}

void JobRunner::Run(const TopicPlan& plan, TopicFacts facts) {
  const Result<int64_t> end = cluster_->Follow(heartbeats_topic_);
  if (!end.ok()) return FailPreparation(ProblemOf(end.status(), true));
  live_from_ = *end;
  SetProblem(plan.problem);
  retry_after_ = kFirstRetry;
  recheck_at_ = clock_->Now() + kRecheckInterval;
  tick_at_ = clock_->Now() + kTickInterval;
  connection_ = cluster_->connection();
  facts_ = std::move(facts);
  CoordinatorState stored = facts_.stored;
  if (stored.model != plan.model) stored.model.reset();  // inputs or stores were added: pinned anew
  coordinator_.emplace(OptionsFor(plan.model), plan.model, std::move(stored), clock_->Now());
  changed_ = true;
  LogInfo("coordinating job", {{"job", job_.id.ToString()},
                               {"tasks", plan.model.tasks},
                               {"generation", coordinator_->assignment().generation}});
  Take(coordinator_->Start(Wall()));
  if (!pod_facts_.empty()) Take(coordinator_->OnPodFacts(pod_facts_, clock_->Now(), Wall()));
}

void JobRunner::Halt() {
  changed_ = true;
  coordinator_.reset();
  to_do_.clear();
  doubtful_.reset();
  cluster_->Unfollow(heartbeats_topic_);
  retry_at_ = clock_->Now();
}

void JobRunner::Recheck() {
  recheck_at_ = clock_->Now() + kRecheckInterval;
  Result<std::map<std::string, kafka::TopicInfo>> topics = cluster_->Describe(job_);
  if (!topics.ok()) return SetProblem(ProblemOf(topics.status(), false));
  facts_.topics = std::move(*topics);
  if (!facts_.topics.contains(job_.CoordinatorTopic()) ||
      !facts_.topics.contains(heartbeats_topic_)) {
    LogWarn("the job's own topics have vanished", {{"job", job_.id.ToString()}});
    return Halt();
  }
  SetProblem(PlanTopics(job_, facts_).problem);
}

// After the producer had to be made anew: was the doubtful write committed, and is nobody else's?
Status JobRunner::Resume() {
  Result<CoordinatorState> read = cluster_->ReadState(job_.CoordinatorTopic());
  if (!read.ok()) return read.status();
  connection_ = cluster_->connection();
  const std::optional<WriteRecords> doubtful = std::exchange(doubtful_, std::nullopt);
  if (*read == facts_.stored) {
    if (doubtful) Take(coordinator_->OnWritten(doubtful->generation, false, clock_->Now(), Wall()));
    return Status::Ok();
  }
  if (doubtful && *read == Folded(facts_.stored, doubtful->records)) {
    facts_.stored = std::move(*read);
    Take(coordinator_->OnWritten(doubtful->generation, true, clock_->Now(), Wall()));
    return Status::Ok();
  }
  LogWarn("the coordinator topic has changed meanwhile; reading everything anew",
          {{"job", job_.id.ToString()}});
  Halt();
  return Status::Ok();
}

Status JobRunner::Step() {
  const MonotonicTime now = clock_->Now();
  if (!coordinator_) {
    if (now >= retry_at_) Prepare();
    if (!coordinator_) return Status::Ok();
  }
  if (connection_ != cluster_->connection()) {
    if (const Status status = Resume(); !status.ok()) {
      SetProblem(ProblemOf(status, false));
      return Status::Ok();
    }
    if (!coordinator_) return Status::Ok();
  }
  if (now >= recheck_at_) Recheck();
  if (!coordinator_) return Status::Ok();
  if (now >= tick_at_) {
    tick_at_ = now + kTickInterval;
    heard_ = true;  // what time alone changes
    Take(coordinator_->OnTick(now, Wall()));
  }
  return Perform();
}

void JobRunner::Take(CoordinatorActions actions) {
  if (!actions.empty()) changed_ = true;
  for (CoordinatorAction& action : actions) to_do_.push_back(std::move(action));
}

Status JobRunner::Perform() {
  while (!to_do_.empty() && !doubtful_) {
    const CoordinatorAction action = std::move(to_do_.front());
    to_do_.pop_front();
    if (const auto* event = std::get_if<EmitEvent>(&action)) {
      LogInfo("coordination", {{"job", job_.id.ToString()},
                               {"reason", NameOf(event->reason)},
                               {"message", event->message}});
      on_event_(job_.id, *event);
    } else if (const auto* write = std::get_if<WriteRecords>(&action)) {
      COHO_RETURN_IF_ERROR(Write(*write));
    } else {
      const auto& fence = std::get<FenceWorker>(action);
      const Status status = cluster_->Fence(fence.transactional_ids);
      if (!status.ok()) {
        LogWarn("worker could not be fenced; trying again",
                {{"job", job_.id.ToString()}, {"worker", fence.worker}, {"error", status}});
      }
      Take(coordinator_->OnFenced(fence.worker, status.ok(), clock_->Now(), Wall()));
    }
  }
  return Status::Ok();
}

Status JobRunner::Write(const WriteRecords& write) {
  const Status status = cluster_->Write(job_.CoordinatorTopic(), write.records);
  if (status.code() == Code::kFenced) return status;
  if (status.ok()) {
    facts_.stored = Folded(std::move(facts_.stored), write.records);
    Take(coordinator_->OnWritten(write.generation, true, clock_->Now(), Wall()));
    return status;
  }
  LogWarn("generation could not be written; trying again",
          {{"job", job_.id.ToString()}, {"generation", write.generation}, {"error", status}});
  if (status.code() == Code::kAborted) {
    Take(coordinator_->OnWritten(write.generation, false, clock_->Now(), Wall()));
  } else {
    doubtful_ = write;
  }
  return Status::Ok();
}

bool JobRunner::TakeChanged() {
  const MonotonicTime now = clock_->Now();
  if (!changed_ && !(heard_ && now - told_at_ >= kHeardInterval)) return false;
  changed_ = false;
  heard_ = false;
  told_at_ = now;
  return true;
}

JobView JobRunner::View() const {
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
  return view;
}

}  // namespace coho
