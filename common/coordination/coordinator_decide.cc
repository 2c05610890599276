// From what the coordinator knows to what it writes and whom it fences. See coordinator.h.
#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/mutant.h"
#include "common/coordination/checker.h"
#include "common/coordination/coordinator.h"
#include "common/coordination/planner.h"
#include "common/coordination/restore_costs.h"
#include "common/coordination/wording.h"

namespace coho {
namespace {

constexpr size_t kMovesToldOneByOne = 8;
constexpr size_t kReplacedRemembered = 8;
// No process has this incarnation.
const std::string kNobody = "-";

std::string Name(WorkerId id) { return "worker " + ToString(id); }

void Replace(const std::string& incarnation, WorkerAssignment* record) {
  record->replaced.push_back(incarnation);
  if (record->replaced.size() > kReplacedRemembered)
    record->replaced.erase(record->replaced.begin());
}

}  // namespace

// The next generation while it is being made.
struct Coordinator::Draft {
  Assignment after;
  bool changed = false;
  std::map<TaskId, WorkerId> owners;
  std::vector<TaskId> granted;
  std::vector<TaskId> revoked;
  std::set<std::string> causes;
  CoordinatorActions events;
  std::map<TaskId, Move> moving;
  bool wants_more = false;

  // The record of `id` changes in this generation.
  WorkerAssignment& Touch(WorkerId id) {
    changed = true;
    WorkerAssignment& record = after.workers[id];
    record.generation = after.generation;
    return record;
  }
};

//   kMember   alive and able: may own, give and take
//   kKeeps    silent but expected home, draining, or not heard since our start: keeps what it has,
//   gets nothing kLeaves   lost, or beyond the desired count: gives all
//   kOutside  owns nothing and may not own
Coordinator::Part Coordinator::PartOf(WorkerId id) const {
  const bool recorded = assignment_.workers.contains(id);
  const Part unless_recorded = recorded ? Part::kKeeps : Part::kOutside;
  if (id.value() >= options_.workers) return recorded ? Part::kLeaves : Part::kOutside;
  const auto entry = workers_.find(id);
  if (entry == workers_.end()) return unless_recorded;
  const CoordinatorWorker& worker = entry->second;
  if (worker.standing == WorkerStanding::kLost) return recorded ? Part::kLeaves : Part::kOutside;
  const bool able = worker.phase == WorkerPhase::kStarting || worker.phase == WorkerPhase::kRunning;
  const bool known = worker.report && !worker.report->transactional_ids.empty();
  const auto memory = memory_.find(id);
  const bool proves_itself = memory != memory_.end() && memory->second.lost_crashing;
  return worker.standing == WorkerStanding::kAlive && able && known && !proves_itself
             ? Part::kMember
             : unless_recorded;
}

bool Coordinator::MayPlan() const {
  int32_t members = 0;
  for (const auto& [id, worker] : workers_) {
    if (PartOf(id) == Part::kMember) ++members;
    // After a restart: the workers get the time to say that they live, so that nothing moves
    // because of us (R3).
    if (worker.standing == WorkerStanding::kUnknown && assignment_.workers.contains(id))
      return false;
  }
  if (members == 0) return false;
  return gathered_ || members >= options_.workers ||
         (gathering_since_ && hearing_.now() - *gathering_since_ >= options_.first_assignment_wait);
}

void Coordinator::Decide(MonotonicTime now, WallTime wall, CoordinatorActions* actions) {
  ledger_.Settle(assignment_);
  if (!options_.transactions) {
    ReleaseByLease();
  } else if (!hold_) {
    RequestFences(actions);
  }
  if (write_ || hold_) return;

  if (!replan_ && model_recorded_) {
    if (inventory_.Due(now)) WriteCopies(actions);
    return;
  }
  Draft draft;
  draft.after = assignment_;
  // Workers hear of a model only with the generation that follows it: one that waits for an input
  // to be pinned would wait for ever.
  const bool model_alone = !model_recorded_ && assignment_.generation != Generation();
  if (replan_ || model_alone) {
    replan_ = false;
    draft.after.generation = assignment_.generation.Next();
    draft.after.life = life_;
    draft.owners = owners_;
    draft.moving = moving_;
    NameProcesses(&draft);
    // A process that has to go first leaves nothing to plan with.
    if (!draft.revoked.empty()) {
      draft.wants_more = true;
    } else if (!MayPlan()) {
      draft.wants_more = draft.wants_more || TasksLackMember();
    } else {
      gathered_ = true;
      MoveTasks(&draft);
    }
    wants_more_ = draft.wants_more;
    RecordIds(&draft);
    DropAbsent(&draft);
    if (model_alone && !COHO_MUTANT("model-without-generation")) draft.changed = true;
  }
  if (!draft.changed) {
    draft.after = assignment_;
    if (model_recorded_) {
      if (inventory_.Due(now)) WriteCopies(actions);
      return;
    }
  }
  if (!Finish(&draft, wall, actions)) wants_more_ = true;
}

void Coordinator::WriteCopies(CoordinatorActions* actions) {
  write_ = Write{.after = assignment_, .copies = true, .events = {}, .moving = {}};
  actions->push_back(WriteRecords{inventory_.Write(), assignment_.generation});
}

// Without a plan: something waits for a worker that may own tasks.
bool Coordinator::TasksLackMember() const {
  if (owners_.size() < static_cast<size_t>(model_.tasks)) return true;
  return std::any_of(assignment_.workers.begin(), assignment_.workers.end(),
                     [this](const auto& entry) {
                       return !entry.second.active.empty() && PartOf(entry.first) == Part::kLeaves;
                     });
}

// Without transactions: what a worker lost is released when its present process has closed it and
// all its others are over, or when all of them are. Only what was heard after the revocation was
// committed counts: a process that renewed its lease before read to the end before, too.
void Coordinator::ReleaseByLease() {
  if (hearing_.through() < committed_at_) return;
  for (const auto& [id, record] : assignment_.workers) {
    const Generation through = record.generation;
    const std::vector<std::string> ids = ledger_.Unproven(id, record, through);
    if (ids.empty()) continue;
    const auto worker = workers_.find(id);
    const bool closed = worker != workers_.end() && worker->second.acknowledged >= through &&
                        worker->second.incarnation == record.incarnation;
    if (!OthersOver(id, closed ? record.incarnation : kNobody)) continue;
    COHO_SOMETIMES("a lease was waited out");
    ledger_.Prove(id, ids, closed ? through : assignment_.generation);
    replan_ = true;
  }
  ledger_.Settle(assignment_);
}

// A fence is asked for only when the generation that revokes is committed: assignment_ is, and the
// ledger holds nothing newer.
void Coordinator::RequestFences(CoordinatorActions* actions) {
  std::map<WorkerId, Generation> awaited = ledger_.Awaited();
  for (const auto& [id, record] :
       assignment_.workers) {  // emptied: what it may still believe has to end, too
    if (id.value() >= options_.workers && record.active.empty()) {
      awaited[id] = std::max(awaited[id], record.generation);
    }
  }
  for (const auto& [id, through] : awaited) {
    if (fences_.contains(id)) continue;
    const auto record = assignment_.workers.find(id);
    if (record == assignment_.workers.end()) continue;
    std::vector<std::string> ids = ledger_.Unproven(id, record->second, through);
    const auto worker = workers_.find(id);
    if (worker != workers_.end()) {
      if (worker->second.standing == WorkerStanding::kUnknown) continue;
      if (worker->second.standing == WorkerStanding::kAlive) {
        // It will acknowledge for its own ids. Those of an older process that it does not use, it
        // cannot speak for.
        if (!worker->second.report) continue;
        const auto& own = worker->second.report->transactional_ids;
        std::erase_if(ids, [&](const std::string& one) {
          return std::find(own.begin(), own.end(), one) != own.end();
        });
      }
    }
    if (ids.empty()) continue;
    fences_[id] = Fence{ids, assignment_.generation};
    actions->push_back(FenceWorker{id, std::move(ids)});
  }
}

// The record names the process that speaks for the worker. Without transactions the name is the
// right to run the tasks, so they are taken back first while another process may still have them.
void Coordinator::NameProcesses(Draft* draft) const {
  for (const auto& [id, worker] : workers_) {
    const auto recorded = assignment_.workers.find(id);
    if (recorded == assignment_.workers.end() || worker.incarnation.empty() ||
        worker.standing != WorkerStanding::kAlive)
      continue;
    if (recorded->second.incarnation == worker.incarnation) {
      if (!options_.transactions) ReplaceOthers(id, draft);
      continue;
    }
    // Heard while the generation that replaces it was written.
    const std::vector<std::string>& replaced = recorded->second.replaced;
    if (std::find(replaced.begin(), replaced.end(), worker.incarnation) != replaced.end() &&
        !COHO_MUTANT("older-incarnation-speaks"))
      continue;
    // Who follows the named one has read its name: an older one would have ended by that. What a
    // dead one said may arrive when its own name is not among the replaced any more.
    if (!recorded->second.incarnation.empty() &&
        worker.acknowledged < recorded->second.generation &&
        !COHO_MUTANT("named-without-having-read") && !COHO_MUTANT("older-incarnation-speaks"))
      continue;
    const bool others_over = options_.transactions || recorded->second.incarnation.empty() ||
                             OthersOver(id, worker.incarnation) ||
                             OwnerIsGone(id, recorded->second.incarnation, worker.incarnation);
    if (!others_over) {
      const std::map<std::string, Process>& processes = memory_.at(id).processes;
      const auto mine = processes.find(worker.incarnation);
      const std::string& own = worker.incarnation;
      const bool rival = mine != processes.end() &&
                         std::any_of(processes.begin(), processes.end(), [&](const auto& entry) {
                           return entry.first != own && !LeaseOver(entry.second) &&
                                  entry.second.heard_at > mine->second.first_heard_at;
                         });
      if (!rival) {
        draft->wants_more = true;  // until the lease of the one before is over
        continue;
      }
      COHO_SOMETIMES("two processes ran as one worker without transactions");
    }
    WorkerAssignment& record = draft->Touch(id);
    if (!record.incarnation.empty()) Replace(record.incarnation, &record);
    record.incarnation = worker.incarnation;
    draft->causes.insert(Name(id) + " has a new process");
    if (others_over) continue;
    for (const TaskId task : record.active) {
      draft->owners.erase(task);
      draft->revoked.push_back(task);
    }
    record.active.clear();
  }
}

// Without transactions nobody fences a process that came at the same time as the named one: it
// would wait for ever, and its lease hold back what the named one is to get.
void Coordinator::ReplaceOthers(WorkerId id, Draft* draft) const {
  const WorkerAssignment& named = assignment_.workers.at(id);
  for (const auto& [incarnation, process] : memory_.at(id).processes) {
    if (incarnation.empty() || incarnation == named.incarnation || LeaseOver(process) ||
        std::find(named.replaced.begin(), named.replaced.end(), incarnation) !=
            named.replaced.end())
      continue;
    COHO_SOMETIMES("a process that came together with the named one was replaced");
    Replace(incarnation, &draft->Touch(id));
    draft->causes.insert(Name(id) + " has one process too many");
  }
}

void Coordinator::MoveTasks(Draft* draft) const {
  PlannerInput input;
  std::map<TaskId, PlannerTask> costs = RestoreCosts(inventory_.copies());
  for (const auto& [id, worker] : workers_) {
    if (PartOf(id) == Part::kMember) input.workers.push_back(id);
  }
  for (int32_t i = 0; i < model_.tasks; ++i) {
    const TaskId task(i);
    const auto owner = owners_.find(task);
    if (owner != owners_.end()) {
      if (PartOf(owner->second) == Part::kKeeps) continue;
      input.current[task] = owner->second;
    } else if (const auto move = draft->moving.find(task); move != draft->moving.end()) {
      input.intended[task] = move->second.to;  // what was begun is carried through
    }
    PlannerTask& planned = costs[task];
    planned.id = task;
    input.tasks.push_back(std::move(planned));
  }

  const AssignmentPlan plan = PlanAssignment(input);
  std::map<TaskId, const TaskMove*> moves;
  for (const TaskMove& move : plan.moves) moves[move.task] = &move;
  std::set<WorkerId> changed;
  for (const auto& [task, to] : plan.active) {
    const auto owner = owners_.find(task);
    if (owner != owners_.end() && owner->second == to) {
      draft->moving.erase(task);
      continue;
    }
    Move& move = draft->moving[task];
    move.to = to;
    if (const auto planned = moves.find(task); planned != moves.end())
      move.bytes = planned->second->cost.bytes;
    if (owner != owners_.end()) {
      move.from = owner->second;
      const bool beyond = owner->second.value() >= options_.workers;
      const Part part = PartOf(owner->second);
      move.cause = part != Part::kLeaves
                       ? "balance"
                       : Name(owner->second) + (beyond ? " is to be removed" : " is lost");
      draft->owners.erase(task);
      draft->revoked.push_back(task);
      changed.insert(owner->second);
    } else if (ledger_.MayGrant(task, to)) {
      if (move.cause.empty())
        move.cause = assignment_.generation == Generation(0) ? "first assignment" : "had no owner";
      draft->owners[task] = to;
      draft->granted.push_back(task);
      changed.insert(to);
    } else {
      draft->wants_more = true;
      continue;
    }
    draft->causes.insert(move.cause);
  }
  std::map<WorkerId, std::vector<TaskId>> active;
  for (const auto& [task, owner] : draft->owners) active[owner].push_back(task);
  for (const WorkerId id : changed) draft->Touch(id).active = active[id];
}

// R1: the ids of a worker are on record before, or together with, its first grant, and stay there.
void Coordinator::RecordIds(Draft* draft) const {
  for (const auto& [id, worker] : workers_) {
    const auto record = draft->after.workers.find(id);
    const bool recorded = record != draft->after.workers.end();
    if (!worker.report || worker.standing != WorkerStanding::kAlive) continue;
    if (!recorded && (PartOf(id) != Part::kMember || draft->after.workers.empty())) continue;
    std::vector<std::string> ids =
        recorded ? record->second.transactional_ids : std::vector<std::string>{};
    ids.insert(ids.end(), worker.report->transactional_ids.begin(),
               worker.report->transactional_ids.end());
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    if (recorded && ids == record->second.transactional_ids) continue;
    const bool had_ids = recorded && !record->second.transactional_ids.empty();
    if (draft->granted.empty())
      draft->causes.insert(Name(id) + (had_ids ? " uses new transactional ids" : " joined"));
    WorkerAssignment& touched = draft->Touch(id);
    touched.transactional_ids = std::move(ids);
    if (touched.incarnation.empty()) touched.incarnation = worker.incarnation;
  }
}

void Coordinator::DropAbsent(Draft* draft) const {
  for (const auto& [id, record] : assignment_.workers) {
    if (id.value() < options_.workers || !Released(id, record) || fences_.contains(id)) continue;
    const auto worker = workers_.find(id);
    const auto memory = memory_.find(id);
    const bool no_pod =
        memory != memory_.end() && memory->second.pod && !memory->second.pod->exists;
    const bool alive =
        worker != workers_.end() && worker->second.standing == WorkerStanding::kAlive;
    const bool lost = worker == workers_.end() || worker->second.standing == WorkerStanding::kLost;
    if (alive || !(no_pod || lost)) continue;
    draft->after.workers.erase(id);
    draft->changed = true;
    draft->causes.insert(Name(id) + " is gone");
  }
}

void Coordinator::Describe(Draft* draft) const {
  std::string& reason = draft->after.reason;
  reason.clear();
  for (const std::string& cause : draft->causes) {
    if (!reason.empty()) reason += ", ";
    reason += cause;
    if (reason.size() > 200) {
      reason += " and more";
      break;
    }
  }
  const size_t revoked = draft->revoked.size();
  const size_t granted = draft->granted.size();
  std::string counts;
  if (revoked > 0) counts = SayCount(revoked, "task") + " revoked";
  if (granted > 0) counts += (counts.empty() ? "" : ", ") + SayCount(granted, "task") + " granted";
  if (!counts.empty()) reason += ": " + counts;
  draft->events.push_back(
      EmitEvent{false, EventReason::kAssignmentChanged,
                "generation " + ToString(draft->after.generation) + ": " + reason});

  std::vector<TaskId> moved;
  int64_t bytes = 0;
  for (const TaskId task : draft->granted) {
    const Move& move = draft->moving.at(task);
    if (!move.from || *move.from == move.to) continue;
    moved.push_back(task);
    bytes += move.bytes;
  }
  if (moved.size() > kMovesToldOneByOne) {
    draft->events.push_back(
        EmitEvent{false, EventReason::kTaskMoved,
                  SayTasks(moved) + " moved, " + SayBytes(bytes) + " to restore"});
    return;
  }
  for (const TaskId task : moved) {
    const Move& move = draft->moving.at(task);
    draft->events.push_back(EmitEvent{false, EventReason::kTaskMoved,
                                      "task " + ToString(task) + " moved from " + Name(*move.from) +
                                          " to " + Name(move.to) + " (" + move.cause + "), " +
                                          SayBytes(move.bytes) + " to restore"});
  }
}

// True: the write is under way. False: it would break an invariant, so it is not made, and people
// are told.
bool Coordinator::Finish(Draft* draft, WallTime wall, CoordinatorActions* actions) {
  std::vector<TopicRecord> records;
  if (!model_recorded_) records.push_back(EncodeModel(model_));
  if (draft->changed) {
    Describe(draft);
    std::vector<std::string> violations = CheckAssignment(model_, draft->after);
    for (std::string& violation : CheckStep(assignment_, draft->after))
      violations.push_back(std::move(violation));
    if (!violations.empty()) {
      hold_ = true;
      if (std::exchange(violation_, violations.front()) != violations.front()) {
        actions->push_back(
            EmitEvent{true, EventReason::kInvariantBroken,
                      "generation " + ToString(draft->after.generation) +
                          " was not written, the job goes on with the last one: " + violation_});
      }
      return false;
    }
    std::vector<TopicRecord> changes = EncodeAssignmentChange(assignment_, draft->after, wall);
    records.insert(records.end(), std::make_move_iterator(changes.begin()),
                   std::make_move_iterator(changes.end()));
  }
  write_ =
      Write{std::move(draft->after), false, std::move(draft->events), std::move(draft->moving)};
  actions->push_back(WriteRecords{std::move(records), write_->after.generation});
  return true;
}

void Coordinator::Commit(Write write, CoordinatorActions* actions) {
  moving_ = std::move(write.moving);
  std::map<TaskId, WorkerId> owners;
  for (const auto& [id, record] : write.after.workers) {
    for (const TaskId task : record.active) owners[task] = id;
  }
  for (const auto& [task, owner] : owners_) {
    const auto next = owners.find(task);
    if (next == owners.end()) {
      ledger_.Revoked(task, owner, write.after.generation);
    } else {
      COHO_CHECK(next->second == owner, "generation " + ToString(write.after.generation) +
                                            " gives task " + ToString(task) + " of worker " +
                                            ToString(owner) + " to worker " +
                                            ToString(next->second) + " before it was released");
    }
  }
  for (const auto& [task, owner] : owners) {
    if (owners_.contains(task)) continue;
    ledger_.Granted(task, owner);
    moving_.erase(task);
  }
  owners_ = std::move(owners);
  assignment_ = std::move(write.after);
  model_recorded_ = true;
  for (CoordinatorAction& event : write.events) actions->push_back(std::move(event));
}

}  // namespace coho
