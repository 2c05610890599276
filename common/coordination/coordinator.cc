#include "common/coordination/coordinator.h"

#include <algorithm>
#include <utility>

#include "common/coordination/wording.h"

namespace coho {
namespace {

constexpr size_t kIncarnationsRemembered = 8;

std::string Name(WorkerId id) { return "worker " + ToString(id); }

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options, JobModel model, CoordinatorState stored,
                         MonotonicTime now)
    : options_(options),
      model_(stored.model ? *stored.model : std::move(model)),
      model_recorded_(stored.model.has_value()),
      assignment_(std::move(stored.assignment)),
      inventory_(std::move(stored.copies)),
      started_(now),
      ledger_(assignment_, model_.tasks) {
  for (const auto& [id, record] : assignment_.workers) {
    workers_[id].last_heard = now;
    for (const TaskId task : record.active) owners_[task] = id;
  }
}

CoordinatorActions Coordinator::Start(WallTime wall) {
  CoordinatorActions actions;
  Decide(started_, wall, &actions);
  return actions;
}

CoordinatorActions Coordinator::SetOptions(const CoordinatorOptions& options, MonotonicTime now,
                                           WallTime wall) {
  CoordinatorActions actions;
  if (options == options_) return actions;
  options_ = options;
  replan_ = true;
  UpdateStandings(now, &actions);
  Decide(now, wall, &actions);
  return actions;
}

// A new process of the worker: what the older one said of itself no longer counts (what it proved still does).
void Coordinator::TakeIncarnation(const Heartbeat& beat) {
  CoordinatorWorker& worker = workers_[beat.worker];
  Memory& memory = memory_[beat.worker];
  if (!worker.incarnation.empty()) {
    if (memory.superseded.size() >= kIncarnationsRemembered)
      memory.superseded.erase(memory.superseded.begin());
    memory.superseded.insert(worker.incarnation);
  }
  memory.superseded.erase(beat.incarnation);
  memory.sequence = -1;
  worker.incarnation = beat.incarnation;
  worker.acknowledged = Generation();
  worker.report.reset();
  replan_ = true;
}

CoordinatorActions Coordinator::OnHeartbeat(const Heartbeat& beat, bool historical,
                                            MonotonicTime now, WallTime wall) {
  CoordinatorActions actions;
  if (beat.worker.value() < 0) return actions;
  const auto [entry, is_new] = workers_.try_emplace(beat.worker);
  CoordinatorWorker& worker = entry->second;
  Memory& memory = memory_[beat.worker];
  if (is_new) worker.last_heard = historical ? started_ : now;
  if (beat.incarnation != worker.incarnation) {
    // Two processes of one worker: the one that appeared last counts, unless it has fallen silent.
    const bool older = memory.superseded.contains(beat.incarnation);
    if (older && (historical || worker.standing == WorkerStanding::kAlive)) return actions;
    TakeIncarnation(beat);
  } else if (beat.sequence <= memory.sequence) {
    return actions;  // delivered twice or late
  }
  memory.sequence = beat.sequence;
  if (worker.phase != beat.phase) replan_ = true;
  worker.phase = beat.phase;

  if (beat.report) {
    if (!worker.report || worker.report->transactional_ids != beat.report->transactional_ids)
      replan_ = true;
    worker.report = beat.report;
    const auto record = assignment_.workers.find(beat.worker);
    std::set<TaskId> owned;
    if (record != assignment_.workers.end())
      owned.insert(record->second.active.begin(), record->second.active.end());
    inventory_.Observe(beat.worker, *beat.report, owned, wall);
  }
  // A generation that does not exist yet is from a coordinator topic that was deleted: it proves nothing about this one.
  const Generation newest = write_ ? write_->after.generation : assignment_.generation;
  if (beat.acknowledged <= newest && beat.acknowledged >= worker.acknowledged) {
    if (beat.acknowledged > worker.acknowledged) replan_ = true;
    worker.acknowledged = beat.acknowledged;
    if (worker.report)
      ledger_.Prove(beat.worker, worker.report->transactional_ids, beat.acknowledged);
  }

  if (!historical) {
    worker.last_heard = now;
    if (beat.phase == WorkerPhase::kGone) {
      if (worker.standing == WorkerStanding::kAlive ||
          worker.standing == WorkerStanding::kUnknown) {
        FallSilent(beat.worker, false, EventReason::kWorkerStopped, "said goodbye", now, &actions);
      }
    } else if (worker.standing != WorkerStanding::kAlive) {
      if (worker.standing == WorkerStanding::kSilent || worker.standing == WorkerStanding::kLost) {
        actions.push_back(EmitEvent{false, EventReason::kWorkerReturned,
                                    Name(beat.worker) + " is back after " +
                                        SayDuration(now - memory.silent_since) + " with " +
                                        SayCount(TasksOn(beat.worker), "task")});
      }
      worker.standing = WorkerStanding::kAlive;
      replan_ = true;
    }
    if (!first_member_ && PartOf(beat.worker) == Part::kMember) first_member_ = now;
  }
  UpdateStandings(now, &actions);
  Decide(now, wall, &actions);
  return actions;
}

CoordinatorActions Coordinator::OnPodFacts(const std::map<WorkerId, PodFact>& facts,
                                           MonotonicTime now, WallTime wall) {
  CoordinatorActions actions;
  for (const auto& [id, fact] : facts) {
    if (id.value() < 0) continue;
    Memory& memory = memory_[id];
    // Only the change tells something: heartbeats may be ahead of facts that are told again and again.
    const bool stopped = !fact.running && (!memory.pod || memory.pod->running);
    if (!memory.pod || memory.pod->exists != fact.exists) replan_ = true;
    memory.pod = fact;
    const auto worker = workers_.find(id);
    if (stopped && worker != workers_.end() && worker->second.standing == WorkerStanding::kAlive) {
      const char* why = fact.node_lost
                            ? "lost its node"
                            : (fact.exists ? "has no running container" : "lost its pod");
      FallSilent(id, true, EventReason::kWorkerSilent, why, now, &actions);
    }
  }
  UpdateStandings(now, &actions);
  Decide(now, wall, &actions);
  return actions;
}

CoordinatorActions Coordinator::OnTick(MonotonicTime now, WallTime wall) {
  CoordinatorActions actions;
  hold_ = false;
  if (wants_more_) replan_ = true;
  UpdateStandings(now, &actions);
  Decide(now, wall, &actions);
  return actions;
}

CoordinatorActions Coordinator::OnWritten(Generation generation, bool ok, MonotonicTime now,
                                          WallTime wall) {
  CoordinatorActions actions;
  if (!write_ || write_->after.generation != generation) return actions;
  Write write = std::move(*write_);
  write_.reset();
  if (!ok) hold_ = true;
  if (write.copies) {
    inventory_.Written(ok, now);
  } else {
    replan_ = true;
    if (ok) Commit(std::move(write), &actions);
  }
  Decide(now, wall, &actions);
  return actions;
}

CoordinatorActions Coordinator::OnFenced(WorkerId worker, bool ok, MonotonicTime now,
                                         WallTime wall) {
  CoordinatorActions actions;
  const auto fence = fences_.find(worker);
  if (fence == fences_.end()) return actions;
  if (ok) {
    ledger_.Prove(worker, fence->second.ids, fence->second.through);
    actions.push_back(EmitEvent{false, EventReason::kWorkerFenced,
                                Name(worker) + " was fenced (" +
                                    SayCount(fence->second.ids.size(), "transactional id") +
                                    "): it can write nothing of what it lost"});
    replan_ = true;
  } else {
    hold_ = true;
  }
  fences_.erase(fence);
  Decide(now, wall, &actions);
  return actions;
}

void Coordinator::FallSilent(WorkerId id, bool warning, EventReason reason, const std::string& why,
                             MonotonicTime now, CoordinatorActions* actions) {
  workers_[id].standing = WorkerStanding::kSilent;
  memory_[id].silent_since = now;
  replan_ = true;
  std::string message = Name(id) + " " + why;
  if (const size_t tasks = TasksOn(id); tasks > 0) {
    message += "; its " + SayCount(tasks, "task") + " (" + SayBytes(BytesOn(id)) + " of state) " +
               (tasks == 1 ? "waits" : "wait") + " up to " +
               SayDuration(options_.homecoming_timeout) + " for it";
  }
  actions->push_back(EmitEvent{warning && TasksOn(id) > 0, reason, std::move(message)});
}

void Coordinator::UpdateStandings(MonotonicTime now, CoordinatorActions* actions) {
  for (auto& [id, worker] : workers_) {
    const bool heard_once =
        worker.standing == WorkerStanding::kAlive || worker.standing == WorkerStanding::kUnknown;
    if (heard_once && now - worker.last_heard > options_.session_timeout) {
      FallSilent(id, true, EventReason::kWorkerSilent,
                 "has not been heard for " + SayDuration(now - worker.last_heard), now, actions);
    }
    const Duration silent = now - memory_[id].silent_since;
    if (worker.standing == WorkerStanding::kSilent && silent >= options_.homecoming_timeout) {
      worker.standing = WorkerStanding::kLost;
      replan_ = true;
      if (const size_t tasks = TasksOn(id); tasks > 0) {
        actions->push_back(EmitEvent{true, EventReason::kWorkerLost,
                                     Name(id) + " did not come home within " + SayDuration(silent) +
                                         "; its " + SayCount(tasks, "task") +
                                         " go to other workers, which restore " +
                                         SayBytes(BytesOn(id))});
      }
    }
  }
  // Of a lost worker without record nothing is worth remembering.
  std::erase_if(workers_, [&](const auto& entry) {
    return entry.second.standing == WorkerStanding::kLost &&
           !assignment_.workers.contains(entry.first) &&
           !(write_ && write_->after.workers.contains(entry.first));
  });
}

size_t Coordinator::TasksOn(WorkerId id) const {
  const auto record = assignment_.workers.find(id);
  return record == assignment_.workers.end() ? 0 : record->second.active.size();
}

int64_t Coordinator::BytesOn(WorkerId id) const {
  const auto record = assignment_.workers.find(id);
  if (record == assignment_.workers.end()) return 0;
  int64_t bytes = 0;
  for (const TaskId task : record->second.active) bytes += inventory_.BytesOf(task);
  return bytes;
}

const Assignment& Coordinator::assignment() const { return assignment_; }
const JobModel& Coordinator::model() const { return model_; }
const Copies& Coordinator::copies() const { return inventory_.copies(); }
Locality Coordinator::locality() const { return LocalityOf(inventory_.copies(), assignment_); }
const std::map<WorkerId, CoordinatorWorker>& Coordinator::workers() const { return workers_; }

bool Coordinator::Released(WorkerId id, const WorkerAssignment& record) const {
  return record.active.empty() && ledger_.Unproven(id, record, record.generation).empty();
}

std::set<WorkerId> Coordinator::removable() const {
  std::set<WorkerId> removable;
  const auto consider = [&](WorkerId id) {
    if (id.value() < options_.workers) return;
    if (write_ && write_->after.workers.contains(id) &&
        !write_->after.workers.at(id).active.empty())
      return;
    const auto record = assignment_.workers.find(id);
    if (record == assignment_.workers.end() || Released(id, record->second)) removable.insert(id);
  };
  for (const auto& [id, record] : assignment_.workers) consider(id);
  for (const auto& [id, worker] : workers_) consider(id);
  for (const auto& [id, memory] : memory_) {
    if (memory.pod && memory.pod->exists) consider(id);
  }
  return removable;
}

bool Coordinator::settled() const {
  const bool generation_under_way = write_ && write_->after.generation != assignment_.generation;
  return !wants_more_ && !replan_ && !generation_under_way && ledger_.Awaited().empty() &&
         owners_.size() == static_cast<size_t>(model_.tasks);
}

}  // namespace coho
