#include "worker/member/member_state.h"

#include <algorithm>
#include <utility>

namespace coho {

MemberState::MemberState(MemberOptions options, MonotonicTime now)
    : options_(std::move(options)), next_beat_(now) {
  for (int32_t loop = 0; loop < options_.loops; ++loop) not_ready_.insert(loop);
}

std::set<TaskId> MemberState::given() const {
  if (!mine_) return {};
  return {mine_->active.begin(), mine_->active.end()};
}

bool MemberState::closing() const {
  return std::any_of(holdings_.begin(), holdings_.end(),
                     [](const auto& h) { return h.second.held == Held::kClosing; });
}

int32_t MemberState::EmptiestLoop() const {
  std::vector<int32_t> tasks(static_cast<size_t>(std::max(1, options_.loops)), 0);
  for (const auto& [task, holding] : holdings_) ++tasks[static_cast<size_t>(holding.loop)];
  return static_cast<int32_t>(std::min_element(tasks.begin(), tasks.end()) - tasks.begin());
}

void MemberState::Reconcile(MemberActions* actions) {
  const std::set<TaskId> mine = given();
  // Giving up is always right, also while the topic is read again.
  for (auto& [task, holding] : holdings_) {
    if (holding.held == Held::kClosing || mine.contains(task)) continue;
    holding.held = Held::kClosing;
    actions->push_back(RevokeTask{.loop = holding.loop, .task = task, .grant = holding.grant});
  }
  if (!caught_up_ || phase_ != WorkerPhase::kRunning || !ids_recorded_) return;
  FenceIds fence;
  for (const std::string& id : mine_->transactional_ids) {
    const auto& used = options_.transactional_ids;
    if (std::find(used.begin(), used.end(), id) != used.end()) continue;
    if (fenced_ids_.insert(id).second) fence.ids.push_back(id);
  }
  if (!fence.ids.empty()) actions->push_back(std::move(fence));
  for (const TaskId task : mine) {
    if (holdings_.contains(task))
      continue;  // one that is closing is granted anew when it is closed
    const int32_t loop = EmptiestLoop();
    holdings_[task] = {.loop = loop, .grant = ++grants_};
    actions->push_back(GrantTask{.loop = loop, .task = task, .grant = grants_});
  }
}

void MemberState::Acknowledge(MonotonicTime now, MemberActions* actions) {
  if (!caught_up_ || closing() || acknowledged_ >= generation_) return;
  acknowledged_ = generation_;
  Beat(now, ReportDue(now), actions);
}

bool MemberState::ReportDue(MonotonicTime now) const {
  if (!reported_at_) return true;
  const Duration since = now - *reported_at_;
  return since >= options_.report_interval ||
         (states_changed_ && since >= options_.states_interval) ||
         (figures_changed_ && since >= options_.figures_interval);
}

void MemberState::Beat(MonotonicTime now, bool with_report, MemberActions* actions) {
  actions->push_back(SendHeartbeat{.sequence = ++sequence_,
                                   .phase = phase_,
                                   .acknowledged = acknowledged_,
                                   .with_report = with_report});
  next_beat_ = now + options_.heartbeat_interval;
  if (with_report) {
    reported_at_ = now;
    states_changed_ = figures_changed_ = false;
  }
}

MonotonicTime MemberState::next_tick() const {
  if (!reported_at_ || !states_changed_) return next_beat_;
  return std::min(next_beat_, *reported_at_ + options_.states_interval);
}

MemberActions MemberState::OnLoopReady(int32_t loop, MonotonicTime /*now*/) {
  if (not_ready_.erase(loop) == 0 || !not_ready_.empty()) return {};
  return {ReadToEnd{.number = ++read_number_}};
}

MemberActions MemberState::OnAssignment(Generation generation,
                                        const std::optional<WorkerAssignment>& mine,
                                        MonotonicTime now) {
  MemberActions actions;
  if (generation <= generation_ || phase_ == WorkerPhase::kGone) return actions;
  generation_ = generation;
  mine_ = mine;
  ids_recorded_ = mine && std::all_of(options_.transactional_ids.begin(),
                                      options_.transactional_ids.end(), [&](const std::string& id) {
                                        return std::find(mine->transactional_ids.begin(),
                                                         mine->transactional_ids.end(),
                                                         id) != mine->transactional_ids.end();
                                      });
  if (phase_ == WorkerPhase::kDraining) return actions;  // everything is being closed anyway
  Reconcile(&actions);
  Acknowledge(now, &actions);
  return actions;
}

MemberActions MemberState::OnCaughtUp(int64_t number, MonotonicTime now) {
  MemberActions actions;
  if (read_number_ == 0 || number != read_number_ || caught_up_ || phase_ == WorkerPhase::kGone)
    return actions;
  caught_up_ = true;
  if (phase_ == WorkerPhase::kStarting) {
    phase_ = WorkerPhase::kRunning;
    acknowledged_ = generation_;  // nothing has run here yet
    Beat(now, true, &actions);
  }
  Reconcile(&actions);
  Acknowledge(now, &actions);
  return actions;
}

MemberActions MemberState::OnTaskClosed(TaskId task, int64_t grant, MonotonicTime now) {
  MemberActions actions;
  const auto found = holdings_.find(task);
  if (found == holdings_.end() || found->second.grant != grant) return actions;
  holdings_.erase(found);
  states_changed_ = true;
  if (phase_ != WorkerPhase::kRunning) return actions;
  Acknowledge(now, &actions);
  Reconcile(&actions);
  return actions;
}

MemberActions MemberState::OnLoopFenced(int32_t loop, MonotonicTime now) {
  MemberActions actions;
  states_changed_ = true;
  if (phase_ != WorkerPhase::kRunning) {
    fenced_at_the_end_ = true;
    return actions;
  }
  if (not_ready_.contains(loop)) return actions;  // it has been told to join again already
  std::vector<MonotonicTime>& fences = fences_[loop];
  std::erase_if(fences, [&](MonotonicTime t) { return now - t > options_.fences_within; });
  fences.push_back(now);
  if (static_cast<int>(fences.size()) >= options_.fences_most) {
    actions.push_back(Surrender{});
    return actions;
  }
  // Reading that is under way began before the loop's next producer is initialised: its answer counts for nothing.
  // All loops join again: another process of this worker may have given a task of one loop to another.
  holdings_.clear();
  fenced_ids_.clear();
  caught_up_ = false;
  ++read_number_;
  for (int32_t other = 0; other < options_.loops; ++other) {
    not_ready_.insert(other);
    actions.push_back(RejoinLoop{.loop = other});
  }
  Beat(now, ReportDue(now), &actions);
  return actions;
}

MemberActions MemberState::OnReportChanged(ReportChange change, MonotonicTime now) {
  (change == ReportChange::kStates ? states_changed_ : figures_changed_) = true;
  return OnTick(now);
}

MemberActions MemberState::OnTick(MonotonicTime now) {
  MemberActions actions;
  if (phase_ != WorkerPhase::kGone && now >= next_tick()) Beat(now, ReportDue(now), &actions);
  return actions;
}

MemberActions MemberState::OnStop(MonotonicTime now) {
  MemberActions actions;
  if (phase_ == WorkerPhase::kDraining || phase_ == WorkerPhase::kGone) return actions;
  phase_ = WorkerPhase::kDraining;
  for (auto& [task, holding] : holdings_) holding.held = Held::kClosing;
  Beat(now, true, &actions);
  actions.push_back(DrainLoops{});
  return actions;
}

MemberActions MemberState::OnLoopsStopped(MonotonicTime now) {
  MemberActions actions;
  if (phase_ == WorkerPhase::kGone) return actions;
  holdings_.clear();
  phase_ = WorkerPhase::kGone;
  // What was fenced at the end has a successor, which has to acknowledge for itself.
  if (!fenced_at_the_end_) acknowledged_ = std::max(acknowledged_, generation_);
  Beat(now, true, &actions);
  return actions;
}

}  // namespace coho
