#include "common/coordinating/service_state.h"

#include <algorithm>
#include <utility>

#include "common/base/overloaded.h"

namespace coho {
namespace {

// Jobs that are being prepared at the same time: the others' requests do not wait behind thousands
// of them.
constexpr size_t kPreparingMost = 16;

}  // namespace

ServiceState::ServiceState(RunnerState::Options options)
    : options_(std::move(options)),
      open_retry_(std::chrono::milliseconds(500), std::chrono::seconds(10)) {}

std::vector<ServiceAction> ServiceState::Take() { return std::exchange(out_, {}); }

void ServiceState::Collect(const JobId& id, RunnerState& runner) {
  const int64_t number = runners_.at(id).number;
  for (RunnerAction& action : runner.Take()) {
    std::visit(Overloaded{
                   [&](AskKafka& ask) {
                     const bool writes = std::holds_alternative<WriteTopic>(ask.request);
                     asked_[++requests_] = {id, number, ask.ticket, writes};
                     if (std::holds_alternative<UnfollowHeartbeats>(ask.request))
                       asked_.erase(requests_);
                     out_.push_back(AskCluster{requests_, std::move(ask.request)});
                   },
                   [&](TellEvent& tell) {
                     out_.push_back(TellJobEvent{id, std::move(tell.event)});
                   },
                   [&](Note& note) {
                     out_.push_back(JobNote{id, std::move(note)});
                   },
               },
               action);
  }
}

void ServiceState::Add(const Job& job, const JobIdentity& identity, Times t) {
  Entry& entry = runners_[job.id];
  entry.number = ++numbers_;
  entry.runner = std::make_unique<RunnerState>(job, identity, options_, t.now);
  if (writer_ != 0) entry.runner->OnWriter(writer_, t);
  const auto [owner, free] = by_heartbeats_.try_emplace(job.HeartbeatsTopic(), job.id);
  if (!free && owner->second != job.id) entry.runner->OnPrefixTaken(owner->second);
  Collect(job.id, *entry.runner);
}

void ServiceState::SetJob(const Job& job, const JobIdentity& identity, Times t) {
  const auto entry = runners_.find(job.id);
  if (entry == runners_.end()) return Add(job, identity, t);
  if (entry->second.runner->heartbeats_topic() != job.HeartbeatsTopic()) {
    RemoveJob(job.id);
    return Add(job, identity, t);
  }
  entry->second.runner->SetJob(job, identity, t);
  Collect(job.id, *entry->second.runner);
}

void ServiceState::SetPodFacts(const JobId& id, const std::map<WorkerId, PodFact>& facts, Times t) {
  const auto entry = runners_.find(id);
  if (entry == runners_.end()) return;
  entry->second.runner->SetPodFacts(facts, t);
  Collect(id, *entry->second.runner);
}

void ServiceState::RemoveJob(const JobId& id) {
  const auto entry = runners_.find(id);
  if (entry == runners_.end()) return;
  const std::string topic = entry->second.runner->heartbeats_topic();
  const auto owner = by_heartbeats_.find(topic);
  if (owner != by_heartbeats_.end() && owner->second == id) {
    by_heartbeats_.erase(owner);
    out_.push_back(AskCluster{++requests_, UnfollowHeartbeats{topic}});
  }
  runners_.erase(entry);
  if (by_heartbeats_.contains(topic)) return;
  const auto next = std::find_if(runners_.begin(), runners_.end(), [&](const auto& other) {
    return other.second.runner->heartbeats_topic() == topic;
  });
  if (next == runners_.end()) return;
  by_heartbeats_[topic] = next->first;
  next->second.runner->OnPrefixTaken(std::nullopt);
  Collect(next->first, *next->second.runner);
}

void ServiceState::OnWriterOpened(const WriterOpened& opened, Times t) {
  opening_.reset();
  if (opened.status.ok()) {
    writer_ = opened.writer;
    open_retry_.Reset();
    for (auto& [id, entry] : runners_) {
      entry.runner->OnWriter(writer_, t);
      Collect(id, *entry.runner);
    }
    return;
  }
  open_at_ = t.now + open_retry_.Next();
  for (auto& [id, entry] : runners_) {
    entry.runner->OnUnreachable(opened.status);
    Collect(id, *entry.runner);
  }
}

void ServiceState::OpenWriterIfWanted(Times t) {
  if (writer_ != 0 || opening_ || t.now < open_at_) return;
  const bool wanted = std::any_of(runners_.begin(), runners_.end(), [](const auto& entry) {
    return entry.second.runner->WantsWriter();
  });
  if (!wanted) return;
  opening_ = ++requests_;
  out_.push_back(AskCluster{*opening_, OpenWriter{options_.transactional_id}});
}

void ServiceState::OnAnswered(Answered answered, Times t) {
  if (opening_ == answered.request) {
    if (const auto* opened = std::get_if<WriterOpened>(&answered.answer))
      OnWriterOpened(*opened, t);
    return;
  }
  const auto found = asked_.find(answered.request);
  if (found == asked_.end()) return;
  const Target target = found->second;
  asked_.erase(found);
  const auto* written = std::get_if<WriteEnded>(&answered.answer);
  const bool closed = written != nullptr && (written->outcome == WriteOutcome::kUnknown ||
                                             written->outcome == WriteOutcome::kFenced);
  const bool fenced = closed && written->outcome == WriteOutcome::kFenced;
  const auto entry = runners_.find(target.job);
  if (entry != runners_.end() && entry->second.number == target.runner) {
    entry->second.runner->OnAnswer(target.ticket, std::move(answered.answer), t);
    Collect(target.job, *entry->second.runner);
  }
  if (!closed) return;
  writer_ = 0;
  open_at_ = t.now + open_retry_.Next();
  for (auto& [id, other] : runners_) {
    other.runner->OnWriterGone(fenced, t);
    Collect(id, *other.runner);
  }
}

void ServiceState::OnEvent(ClusterEvent event, Times t) {
  const auto runner_of = [this](const std::string& topic) -> RunnerState* {
    const auto id = by_heartbeats_.find(topic);
    return id == by_heartbeats_.end() ? nullptr : runners_.at(id->second).runner.get();
  };
  const auto collect = [this](const std::string& topic, RunnerState* runner) {
    Collect(by_heartbeats_.at(topic), *runner);
  };
  std::visit(Overloaded{
                 [&](Answered& answered) { OnAnswered(std::move(answered), t); },
                 [&](HeartbeatSeen& seen) {
                   if (RunnerState* runner = runner_of(seen.topic)) {
                     runner->OnHeartbeat(seen, t);
                     collect(seen.topic, runner);
                   }
                 },
                 [&](HeartbeatsHeard& heard) {
                   if (RunnerState* runner = runner_of(heard.topic)) {
                     runner->OnHeard(heard.as_of, t);
                     collect(heard.topic, runner);
                   }
                 },
                 [&](HeartbeatsLost& lost) {
                   if (RunnerState* runner = runner_of(lost.topic)) {
                     runner->OnHeartbeatsLost(lost.status, t);
                     collect(lost.topic, runner);
                   }
                 },
             },
             event);
}

void ServiceState::OnEvents(std::vector<ClusterEvent> events, Times t) {
  for (ClusterEvent& event : events) OnEvent(std::move(event), t);
}

void ServiceState::OnTick(Times t) {
  size_t preparing = 0;
  for (auto& [id, entry] : runners_) {
    entry.runner->OnTick(t);
    Collect(id, *entry.runner);
    if (entry.runner->Preparing()) ++preparing;
  }
  // In turn, so that none is forgotten.
  auto next = runners_.upper_bound(prepared_last_);
  for (size_t i = 0; i < runners_.size() && preparing < kPreparingMost; ++i, ++next) {
    if (next == runners_.end()) next = runners_.begin();
    if (!next->second.runner->PreparationDue(t.now)) continue;
    next->second.runner->Prepare(t);
    Collect(next->first, *next->second.runner);
    prepared_last_ = next->first;
    ++preparing;
  }
  OpenWriterIfWanted(t);
}

std::map<JobId, JobView> ServiceState::TakeViews(MonotonicTime now) {
  std::map<JobId, JobView> views;
  for (auto& [id, entry] : runners_) {
    if (entry.runner->TakeChanged(now)) views[id] = entry.runner->View();
  }
  return views;
}

}  // namespace coho
