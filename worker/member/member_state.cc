#include "worker/member/member_state.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/mutant.h"

namespace coho {
namespace {

constexpr Duration kFenceAgainFirst = std::chrono::milliseconds(200);
constexpr Duration kFenceAgainLongest = std::chrono::seconds(10);

bool Contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

}  // namespace

MemberState::MemberState(MemberOptions options, MonotonicTime now)
    : options_(std::move(options)),
      foreign_backoff_(kFenceAgainFirst, kFenceAgainLongest),
      next_beat_(now) {
  COHO_CHECK(options_.loops >= 1, "a worker has a run loop");
  COHO_CHECK(options_.transactional_ids.size() == static_cast<size_t>(options_.loops),
             "a run loop has a transactional id");
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

bool MemberState::busy() const { return closing() || !asked_to_prove_.empty() || !loops_ready(); }

bool MemberState::IsReplaced() const {
  if (!mine_ || mine_->incarnation == options_.incarnation) return false;
  // The record remembers only some.
  const bool another_came_after = was_named_ && !mine_->incarnation.empty();
  return another_came_after || Contains(mine_->replaced, options_.incarnation);
}

bool MemberState::IsMyTurn() const {
  return options_.transactions || (mine_ && mine_->incarnation == options_.incarnation);
}

std::string MemberState::waiting_for() const {
  if (!loops_ready()) return "producers to be initialised";
  if (!caught_up_) return "the coordinator topic to be read to its end";
  if (!mine_ || !ids_recorded_) return "an assignment that names this worker";
  if (!IsMyTurn()) return "the coordinator to let go of an earlier process of this worker";
  if (!missing_in_model_.empty()) return "the coordinator to pin " + missing_in_model_;
  return "";
}

int32_t MemberState::EmptiestLoop() const {
  std::vector<int32_t> tasks(static_cast<size_t>(options_.loops), 0);
  for (const auto& [task, holding] : holdings_) ++tasks[static_cast<size_t>(holding.loop)];
  return static_cast<int32_t>(std::min_element(tasks.begin(), tasks.end()) - tasks.begin());
}

// Brings what is held to what is given; then says so, and has it proved.
void MemberState::Reconcile(MonotonicTime now, MemberActions* actions) {
  if (phase_ != WorkerPhase::kRunning) return;
  const std::set<TaskId> mine = given();
  // Giving up is always right, also while the topic is read again.
  for (auto& [task, holding] : holdings_) {
    if (holding.held == Held::kClosing || (mine.contains(task) && IsMyTurn())) continue;
    holding.held = Held::kClosing;
    actions->push_back(RevokeTask{.loop = holding.loop, .task = task, .grant = holding.grant});
  }
  if (!caught_up_) return;
  GrantMine(actions);
  Acknowledge(now, actions);
}

void MemberState::GrantMine(MemberActions* actions) {
  if (!named() || !missing_in_model_.empty()) return;
  // Without transactions there is nothing to fence: the lease of an older process was waited out.
  if (foreign_ids_.empty() || !options_.transactions) foreign_ = Foreign::kFenced;
  if (foreign_ == Foreign::kNone) {
    foreign_ = Foreign::kAsked;
    actions->push_back(FenceForeignIds{.ids = foreign_ids_});
  }
  if (foreign_ != Foreign::kFenced) return;
  for (const TaskId task : given()) {
    // One that is closing is granted anew when it is closed.
    if (holdings_.contains(task)) continue;
    const int32_t loop = EmptiestLoop();
    holdings_[task] = {.loop = loop, .grant = ++grants_};
    actions->push_back(GrantTask{.loop = loop, .task = task, .grant = grants_});
  }
}

void MemberState::Acknowledge(MonotonicTime now, MemberActions* actions) {
  if (closing()) return;
  if (acknowledged_ < generation_) {
    acknowledged_ = generation_;
    Beat(now, ReportDue(now), actions);
  }
  AskForProofs(actions);
}

// REQUIRES: what this generation takes away is closed.
void MemberState::AskForProofs(MemberActions* actions) {
  if (!options_.transactions || to_prove_ == Generation()) return;
  for (int32_t loop = 0; loop < options_.loops; ++loop) {
    const std::string& id = options_.transactional_ids[static_cast<size_t>(loop)];
    if (COHO_MUTANT("ack-without-proof")) proven_[id] = std::max(proven_[id], generation_);
    const auto proven = proven_.find(id);
    if (proven != proven_.end() && proven->second >= to_prove_) continue;
    const auto asked = asked_to_prove_.find(loop);
    if (asked != asked_to_prove_.end() && asked->second >= to_prove_) continue;
    asked_to_prove_[loop] = generation_;
    actions->push_back(ProveLoop{.loop = loop, .generation = generation_});
  }
}

MemberActions MemberState::OnLoopProved(int32_t loop, Generation generation, MonotonicTime now) {
  MemberActions actions;
  const auto asked = asked_to_prove_.find(loop);
  // What was asked before the loop joined again is not waited for any more.
  if (asked == asked_to_prove_.end() || generation > asked->second) return actions;
  if (generation == asked->second) asked_to_prove_.erase(asked);
  const auto prove = [&](int32_t one) {
    Generation& proven = proven_[options_.transactional_ids[static_cast<size_t>(one)]];
    proven = std::max(proven, generation);
  };
  prove(loop);
  if (COHO_MUTANT("proof-of-one-id-counts-for-all")) {
    for (int32_t other = 0; other < options_.loops; ++other) prove(other);
  }
  if (phase_ == WorkerPhase::kGone || !asked_to_prove_.empty()) return actions;
  // Somebody may wait for exactly this.
  Beat(now, ReportDue(now), &actions);
  return actions;
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
                                   .life = life_,
                                   .acknowledged = acknowledged_,
                                   .proven = proven_,
                                   .with_report = with_report});
  next_beat_ = now + options_.heartbeat_interval;
  if (with_report) {
    reported_at_ = now;
    states_changed_ = figures_changed_ = false;
  }
}

MonotonicTime MemberState::next_tick() const {
  MonotonicTime next = next_beat_;
  if (reported_at_ && states_changed_)
    next = std::min(next, *reported_at_ + options_.states_interval);
  if (foreign_ == Foreign::kFailed) next = std::min(next, foreign_again_at_);
  return next;
}

// One that became ready just before it hears that it shall join again is about to begin anew.
MemberActions MemberState::OnLoopReady(int32_t loop, int64_t join, MonotonicTime /*now*/) {
  if (join != join_ || not_ready_.erase(loop) == 0 || !not_ready_.empty()) return {};
  return {ReadToEnd{.number = ++read_number_}};
}

MemberActions MemberState::OnAssignment(const MemberAssignment& assignment, MonotonicTime now) {
  MemberActions actions;
  if (phase_ == WorkerPhase::kGone) return actions;
  const bool other_life = assignment.life != life_ && generation_ != Generation();
  if (!other_life && assignment.generation < generation_) return actions;
  // A generation that is read again from the begin counts, whatever was known of it: that may have
  // been made of records whose tombstones were gone before they were read.
  const bool followed = caught_up_ || COHO_MUTANT("known-generation-kept-at-rejoin");
  if (!other_life && assignment.generation == generation_ && followed) return actions;
  if (other_life) {
    // The topic began anew: numbers of the earlier life mean nothing in this one.
    COHO_SOMETIMES("a worker outlived its coordinator topic");
    acknowledged_ = to_prove_ = Generation();
    proven_.clear();
    asked_to_prove_.clear();
    was_named_ = false;
  }
  const bool had_part = mine_.has_value();
  life_ = assignment.life;
  generation_ = assignment.generation;
  mine_ = assignment.mine;
  missing_in_model_ = assignment.missing_in_model;
  was_named_ = was_named_ || (mine_ && mine_->incarnation == options_.incarnation);
  if (mine_) {
    to_prove_ = mine_->generation;
  } else if (had_part) {
    to_prove_ = generation_;
  }
  ids_recorded_ =
      mine_ &&
      std::all_of(options_.transactional_ids.begin(), options_.transactional_ids.end(),
                  [&](const std::string& id) { return Contains(mine_->transactional_ids, id); });
  std::vector<std::string> foreign;
  if (mine_) {
    for (const std::string& id : mine_->transactional_ids) {
      if (!Contains(options_.transactional_ids, id)) foreign.push_back(id);
    }
  }
  if (foreign != foreign_ids_) {
    foreign_ids_ = std::move(foreign);
    foreign_ = Foreign::kNone;
  }
  if (phase_ == WorkerPhase::kDraining) return actions;  // everything is being closed anyway
  if (IsReplaced() && (caught_up_ || looking_)) {
    COHO_SOMETIMES("a replaced process ended by itself");
    actions.push_back(Surrender{": process " + mine_->incarnation +
                                " took over, and this one may not go on beside it"});
    return actions;
  }
  if (other_life && caught_up_) {
    Rejoin(&actions);
    return actions;
  }
  Reconcile(now, &actions);
  return actions;
}

MemberActions MemberState::OnCaughtUp(int64_t number, MonotonicTime now) {
  MemberActions actions;
  if (read_number_ == 0 || number != read_number_ || caught_up_ || phase_ == WorkerPhase::kGone)
    return actions;
  if (looking_) {
    if (phase_ != WorkerPhase::kDraining) Rejoin(&actions);
    return actions;
  }
  caught_up_ = true;
  if (phase_ == WorkerPhase::kStarting) {
    phase_ = WorkerPhase::kRunning;
    Beat(now, true, &actions);
  }
  if (IsReplaced()) {
    actions.push_back(Surrender{": process " + mine_->incarnation +
                                " took over, and this one may not go on beside it"});
    return actions;
  }
  Reconcile(now, &actions);
  return actions;
}

MemberActions MemberState::OnTaskClosed(TaskId task, int64_t grant, MonotonicTime now) {
  MemberActions actions;
  const auto found = holdings_.find(task);
  if (found == holdings_.end() || found->second.grant != grant) return actions;
  holdings_.erase(found);
  states_changed_ = true;
  Reconcile(now, &actions);
  return actions;
}

MemberActions MemberState::OnLoopFenced(int32_t loop, bool rival, int64_t join, MonotonicTime now) {
  MemberActions actions;
  states_changed_ = true;
  asked_to_prove_.erase(loop);
  std::erase_if(holdings_, [loop](const auto& h) { return h.second.loop == loop; });
  // It has been told to join again already, or will be, or ends. One that was fenced while it
  // joined has heard nothing yet, and waits.
  const bool ending = phase_ == WorkerPhase::kDraining || phase_ == WorkerPhase::kGone;
  if (ending || join != join_ || looking_) return actions;
  std::vector<MonotonicTime>& fences = fences_[loop];
  std::erase_if(fences, [&](MonotonicTime t) { return now - t > options_.fences_within; });
  if (rival && options_.transactions) fences.push_back(now);
  if (static_cast<int>(fences.size()) >= options_.fences_most) {
    COHO_SOMETIMES("a worker surrendered after fence upon fence");
    actions.push_back(Surrender{
        " (give each process a --worker-id of its own), or its transactions last longer than their "
        "time-out: Kafka fenced this one again and again"});
    return actions;
  }
  // A successor must not be fenced by whom it replaced: look first. Nothing is granted meanwhile.
  looking_ = true;
  caught_up_ = false;
  actions.push_back(ReadToEnd{.number = ++read_number_});
  Beat(now, ReportDue(now), &actions);
  return actions;
}

// All loops: another process of this worker may have given a task of one loop to another.
void MemberState::Rejoin(MemberActions* actions) {
  looking_ = false;
  caught_up_ = false;
  // Reading that is under way began before the producers are initialised: its answer counts for
  // nothing.
  ++read_number_;
  holdings_.clear();
  asked_to_prove_.clear();
  foreign_ = Foreign::kNone;
  ++join_;
  for (int32_t loop = 0; loop < options_.loops; ++loop) {
    not_ready_.insert(loop);
    actions->push_back(RejoinLoop{.loop = loop, .join = join_});
  }
}

MemberActions MemberState::OnForeignIdsFenced(bool ok, MonotonicTime now) {
  MemberActions actions;
  if (foreign_ != Foreign::kAsked) return actions;
  if (ok) {
    foreign_ = Foreign::kFenced;
    foreign_backoff_.Reset();
    Reconcile(now, &actions);
  } else {
    COHO_SOMETIMES("ids of an older process could not be fenced at once");
    foreign_ = Foreign::kFailed;
    foreign_again_at_ = now + foreign_backoff_.Next();
  }
  return actions;
}

MemberActions MemberState::OnReportChanged(ReportChange change, MonotonicTime now) {
  (change == ReportChange::kStates ? states_changed_ : figures_changed_) = true;
  return OnTick(now);
}

MemberActions MemberState::OnTick(MonotonicTime now) {
  MemberActions actions;
  if (foreign_ == Foreign::kFailed && now >= foreign_again_at_) {
    foreign_ = Foreign::kNone;
    Reconcile(now, &actions);
  }
  const bool due = now >= next_beat_ || (reported_at_ && states_changed_ &&
                                         now - *reported_at_ >= options_.states_interval);
  if (phase_ != WorkerPhase::kGone && due) Beat(now, ReportDue(now), &actions);
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
  asked_to_prove_.clear();
  phase_ = WorkerPhase::kGone;
  // A goodbye proves nothing beyond what was committed: what was fenced has a successor.
  if (COHO_MUTANT("goodbye-proves-all")) {
    for (const std::string& id : options_.transactional_ids) proven_[id] = generation_;
  }
  Beat(now, true, &actions);
  return actions;
}

}  // namespace coho
