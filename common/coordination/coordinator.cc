#include "common/coordination/coordinator.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "common/base/check.h"
#include "common/base/mutant.h"
#include "common/coordination/wording.h"

namespace coho {
namespace {

constexpr Duration kProvesItself = std::chrono::minutes(1);
// A full report goes along with some heartbeat.
constexpr Duration kAllSaidWithin = std::chrono::seconds(30);

std::string Name(WorkerId id) { return "worker " + ToString(id); }

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options, JobModel model, CoordinatorState stored,
                         MonotonicTime now)
    : options_(options),
      model_(stored.model ? *stored.model : std::move(model)),
      model_recorded_(stored.model.has_value()),
      assignment_(std::move(stored.assignment)),
      inventory_(std::move(stored.copies)),
      life_(stored.claim ? stored.claim->life : assignment_.life),
      started_(now),
      hearing_(now),
      committed_at_(now),
      gathered_(assignment_.generation > Generation()),
      ledger_(assignment_, model_.tasks, options_.transactions) {
  COHO_CHECK(model_.tasks > 0, "a job has tasks, not " + std::to_string(model_.tasks));
  for (const auto& [id, record] : assignment_.workers) {
    workers_[id].last_heard = now;
    Memory& memory = memory_[id];
    memory.heard_at = memory.silent_since = now;
    memory.ran_at = now;
    // Any process of it may live.
    memory.processes[record.incarnation] = memory.processes[""] = {now, now, false, false};
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
  UpdateStandings(&actions);
  Decide(now, wall, &actions);
  return actions;
}

bool Coordinator::IsOwnId(WorkerId id, const std::string& transactional_id) const {
  if (options_.topic_prefix.empty() || COHO_MUTANT("foreign-ids-recorded")) return true;
  const std::string begin = options_.topic_prefix + "-worker-" + ToString(id) + "-loop-";
  const std::string_view number =
      std::string_view(transactional_id).substr(std::min(begin.size(), transactional_id.size()));
  return transactional_id.starts_with(begin) && !number.empty() && number.size() <= 4 &&
         std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// What was said of another life of the topic proves nothing about this one, nor does a generation
// that does not exist yet.
void Coordinator::NoteProofs(const Heartbeat& beat) {
  if (beat.life != life_) {
    COHO_SOMETIMES("a heartbeat of another life was heard");
    return;
  }
  const Generation newest = write_ ? write_->after.generation : assignment_.generation;
  if (beat.acknowledged > newest) return;
  CoordinatorWorker& worker = workers_[beat.worker];
  const auto record = assignment_.workers.find(beat.worker);
  const bool awaited =
      ledger_.Awaited().contains(beat.worker) ||
      (record != assignment_.workers.end() &&
       (record->second.active.empty() || record->second.incarnation != beat.incarnation));
  if (beat.acknowledged > worker.acknowledged) {
    worker.acknowledged = beat.acknowledged;
    if (awaited) replan_ = true;
  }
  if (!options_.transactions) return;
  for (const auto& [id, generation] : beat.proven) {
    if (generation > newest || !IsOwnId(beat.worker, id)) continue;
    ledger_.Prove(beat.worker, {id}, generation);
    if (awaited) replan_ = true;
  }
}

void Coordinator::TakeReport(const Heartbeat& beat, WallTime wall) {
  CoordinatorWorker& worker = workers_[beat.worker];
  memory_[beat.worker].reported = beat.sequence;
  WorkerReport report = *beat.report;
  std::erase_if(report.transactional_ids,
                [&](const std::string& id) { return !IsOwnId(beat.worker, id); });
  if (!worker.report || worker.report->transactional_ids != report.transactional_ids)
    replan_ = true;
  const auto record = assignment_.workers.find(beat.worker);
  std::set<TaskId> owned;
  if (record != assignment_.workers.end())
    owned.insert(record->second.active.begin(), record->second.active.end());
  std::erase_if(report.on_disk, [&](const TaskReport& task) {
    return task.task.value() < 0 || task.task.value() >= model_.tasks;
  });
  inventory_.Observe(beat.worker, report, owned, wall);
  worker.report = std::move(report);
}

CoordinatorActions Coordinator::OnHeartbeat(const Heartbeat& beat, bool historical,
                                            MonotonicTime now, WallTime wall) {
  CoordinatorActions actions;
  if (beat.worker.value() < 0) return actions;
  NoteProcess(beat, historical);
  NoteSession(beat);
  if (IsReplaced(beat, historical)) {
    COHO_SOMETIMES("a replaced process was heard");
    Decide(now, wall, &actions);
    return actions;
  }
  const auto [entry, is_new] = workers_.try_emplace(beat.worker);
  CoordinatorWorker& worker = entry->second;
  Memory& memory = memory_[beat.worker];
  if (is_new) {
    worker.last_heard = historical ? started_ : now;
    memory.heard_at = memory.silent_since = hearing_.now();
  }
  if (beat.incarnation != worker.incarnation) {
    TakeIncarnation(beat);
  } else if (beat.sequence <= memory.sequence) {  // delivered twice or late
    if (!beat.report || beat.sequence <= memory.reported) return actions;
    // The next report comes in half a minute: until then it would be no member.
    COHO_SOMETIMES("a report was overtaken by a later heartbeat");
    TakeReport(beat, wall);
    NoteProofs(beat);
    Decide(now, wall, &actions);
    return actions;
  }
  memory.sequence = beat.sequence;
  memory.session = beat.session;
  if (worker.phase != beat.phase) replan_ = true;
  worker.phase = beat.phase;
  if (beat.report) TakeReport(beat, wall);
  NoteProofs(beat);

  if (!historical) {
    worker.last_heard = now;
    memory.heard_at = hearing_.now();
    memory.heard_lately = true;
    if (beat.phase == WorkerPhase::kGone) {
      if (worker.standing == WorkerStanding::kAlive ||
          worker.standing == WorkerStanding::kUnknown) {
        FallSilent(beat.worker, false, EventReason::kWorkerStopped, "said goodbye", &actions);
      }
    } else {
      NoteAlive(beat, &actions);
    }
  }
  UpdateStandings(&actions);
  Decide(now, wall, &actions);
  return actions;
}

void Coordinator::NoteAlive(const Heartbeat& beat, CoordinatorActions* actions) {
  CoordinatorWorker& worker = workers_[beat.worker];
  Memory& memory = memory_[beat.worker];
  const auto runs = [](const TaskReport& task) { return task.state == TaskState::kRunning; };
  if (TasksOn(beat.worker) == 0 ||
      (worker.report &&
       std::any_of(worker.report->tasks.begin(), worker.report->tasks.end(), runs))) {
    memory.ran = true;
    memory.ran_at = hearing_.now();
  }
  if (worker.standing != WorkerStanding::kAlive) {
    const bool was_away =
        worker.standing == WorkerStanding::kSilent || worker.standing == WorkerStanding::kLost;
    if (was_away) {
      actions->push_back(EmitEvent{false, EventReason::kWorkerReturned,
                                   Name(beat.worker) + " is back after " +
                                       SayDuration(hearing_.now() - memory.silent_since) +
                                       " with " + SayCount(TasksOn(beat.worker), "task")});
    }
    worker.standing = WorkerStanding::kAlive;
    memory.alive_since = hearing_.now();
    replan_ = true;
    if (all_silent_since_) EndCommonSilence(beat.worker);
  }
  if (!gathering_since_ && PartOf(beat.worker) == Part::kMember) gathering_since_ = hearing_.now();
}

// All had fallen silent, as in a power cut: whoever is back first must not get what is the others',
// who come next.
void Coordinator::EndCommonSilence(WorkerId back) {
  const MonotonicTime began = *std::exchange(all_silent_since_, std::nullopt);
  if (COHO_MUTANT("first-one-back-gets-all")) return;
  COHO_SOMETIMES("all workers were silent, then one came back");
  for (auto& [id, worker] : workers_) {
    Memory& memory = memory_[id];
    const bool away =
        worker.standing == WorkerStanding::kSilent || worker.standing == WorkerStanding::kLost;
    if (id == back || !away || began - memory.silent_since > 2 * options_.session_timeout) continue;
    worker.standing = WorkerStanding::kSilent;
    memory.silent_since = hearing_.now();
  }
  gathering_since_.reset();
  gathered_ = false;
}

CoordinatorActions Coordinator::OnPodFacts(const std::map<WorkerId, PodFact>& facts,
                                           MonotonicTime now, WallTime wall) {
  CoordinatorActions actions;
  for (const auto& [id, fact] : facts) {
    if (id.value() < 0) continue;
    Memory& memory = memory_[id];
    // Only the change tells something: heartbeats may be ahead of facts that are told again and
    // again.
    const bool stopped = !fact.running && (!memory.pod || memory.pod->running);
    if (!memory.pod || memory.pod->exists != fact.exists) replan_ = true;
    memory.pod = fact;
    const auto worker = workers_.find(id);
    if (stopped && worker != workers_.end() && worker->second.standing == WorkerStanding::kAlive) {
      const char* why = fact.node_lost
                            ? "lost its node"
                            : (fact.exists ? "has no running container" : "lost its pod");
      FallSilent(id, true, EventReason::kWorkerSilent, why, &actions);
    }
  }
  UpdateStandings(&actions);
  Decide(now, wall, &actions);
  return actions;
}

void Coordinator::Hear(MonotonicTime through) {
  const bool all_along = hearing_.HeardThrough(through);
  if (!all_along) COHO_SOMETIMES("nobody could be heard for a while");
  const MonotonicTime now = hearing_.now();
  for (auto& [id, memory] : memory_) {
    // After a time in which nobody could be heard everybody gets a full session.
    if (std::exchange(memory.heard_lately, false) || !all_along) memory.heard_at = now;
    for (auto& [incarnation, process] : memory.processes) {
      if (std::exchange(process.heard_lately, false) || !all_along) process.heard_at = now;
    }
  }
}

CoordinatorActions Coordinator::OnHeardThrough(MonotonicTime through, MonotonicTime now,
                                               WallTime wall) {
  CoordinatorActions actions;
  Hear(through);
  UpdateStandings(&actions);
  Decide(now, wall, &actions);
  return actions;
}

void Coordinator::OnDeaf() { hearing_.Deaf(); }

CoordinatorActions Coordinator::OnTick(MonotonicTime now, WallTime wall) {
  CoordinatorActions actions;
  hold_ = false;
  if (wants_more_) replan_ = true;
  UpdateStandings(&actions);
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
    committed_at_ = now;
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
                             CoordinatorActions* actions) {
  Memory& memory = memory_[id];
  workers_[id].standing = WorkerStanding::kSilent;
  // One that comes back again and again and never gets its tasks to run is not home in between.
  memory.silent_since = hearing_.now();
  if (!memory.ran && memory.ran_at) memory.silent_since = *memory.ran_at;
  const bool nobody_left = std::none_of(workers_.begin(), workers_.end(), [](const auto& entry) {
    return entry.second.standing == WorkerStanding::kAlive ||
           entry.second.standing == WorkerStanding::kUnknown;
  });
  if (nobody_left) all_silent_since_ = hearing_.now();
  replan_ = true;
  std::string message = Name(id) + " " + why;
  if (const size_t tasks = TasksOn(id); tasks > 0) {
    message += "; its " + SayCount(tasks, "task") + " (" + SayBytes(BytesOn(id)) + " of state) " +
               (tasks == 1 ? "waits" : "wait") + " up to " +
               SayDuration(options_.homecoming_timeout) + " for it";
  }
  actions->push_back(EmitEvent{warning && TasksOn(id) > 0, reason, std::move(message)});
}

void Coordinator::UpdateStandings(CoordinatorActions* actions) {
  const MonotonicTime now = hearing_.now();
  for (auto& [id, worker] : workers_) {
    const bool heard_once =
        worker.standing == WorkerStanding::kAlive || worker.standing == WorkerStanding::kUnknown;
    Memory& memory = memory_[id];
    if (heard_once && !memory.heard_lately &&
        now - memory.heard_at > std::max(options_.session_timeout, memory.session)) {
      FallSilent(id, true, EventReason::kWorkerSilent,
                 "has not been heard for " + SayDuration(now - memory.heard_at), actions);
    }
    if (worker.standing == WorkerStanding::kAlive && memory.lost_crashing &&
        now - memory.alive_since >= kProvesItself) {
      COHO_SOMETIMES("a worker that was lost crashing proved itself");
      memory.lost_crashing = false;
      replan_ = true;
    }
    const Duration silent = now - memory.silent_since;
    if (worker.standing == WorkerStanding::kSilent && silent >= options_.homecoming_timeout) {
      worker.standing = WorkerStanding::kLost;
      memory.lost_crashing = !memory.ran;
      replan_ = true;
      if (const size_t tasks = TasksOn(id); tasks > 0) {
        actions->push_back(EmitEvent{true, EventReason::kWorkerLost,
                                     Name(id) + " did not come home within " + SayDuration(silent) +
                                         "; its " + SayCount(tasks, "task") +
                                         " go to other workers, which restore up to " +
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

bool Coordinator::listening() const {
  if (hearing_.now() - started_ > options_.session_timeout + kAllSaidWithin) return false;
  return std::any_of(assignment_.workers.begin(), assignment_.workers.end(),
                     [&](const auto& entry) {
                       const auto worker = workers_.find(entry.first);
                       if (entry.second.active.empty() || worker == workers_.end()) return false;
                       const WorkerStanding standing = worker->second.standing;
                       return standing == WorkerStanding::kUnknown ||
                              (standing == WorkerStanding::kAlive && !worker->second.report);
                     });
}

bool Coordinator::settled() const {
  const bool generation_under_way = write_ && write_->after.generation != assignment_.generation;
  return !wants_more_ && !replan_ && !generation_under_way && ledger_.Awaited().empty() &&
         owners_.size() == static_cast<size_t>(model_.tasks);
}

}  // namespace coho
