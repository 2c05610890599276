#include <algorithm>
#include <utility>

#include "tests/simulation/coordination/world.h"

namespace coho::simulation {

Process::Process(WorkerId id, std::string name, int32_t run_loops)
    : worker(id), incarnation(std::move(name)) {
  for (int32_t i = 0; i < run_loops; ++i)
    ids.push_back("w" + ToString(id) + "-loop-" + std::to_string(i));
}

const WorkerAssignment* Process::Record(const World& world) const {
  const auto& workers = world.kafka.states[position_].assignment.workers;
  const auto record = workers.find(worker);
  return record == workers.end() ? nullptr : &record->second;
}

std::set<TaskId> Process::Wanted(const World& world) const {
  const WorkerAssignment* record = Record(world);
  if (record == nullptr) return {};
  const auto& recorded = record->transactional_ids;
  const bool all_recorded = std::all_of(ids.begin(), ids.end(), [&](const std::string& id) {
    return std::find(recorded.begin(), recorded.end(), id) != recorded.end();
  });
  if (!all_recorded && world.bug != Bug::kUsesUnrecordedIds) return {};
  return {record->active.begin(), record->active.end()};
}

bool Process::AllCurrent(const World& world) const {
  return std::all_of(epochs.begin(), epochs.end(), [&](const auto& entry) {
    return world.kafka.epochs.at(entry.first) == entry.second;
  });
}

bool Process::CanCommit(const World& world, TaskId task) const {
  const auto entry = open.find(task);
  if (!alive || entry == open.end()) return false;
  return world.kafka.epochs.at(entry->second) == epochs.at(entry->second);
}

// Stops everything without another write, and begins again inside the same process.
void Process::Fenced(World* world) {
  world->Trace("fenced " + incarnation);
  open.clear();
  epochs.clear();
  stage_ = Stage::kInit;
}

void Process::Step(World* world) {
  switch (stage_) {
    case Stage::kInit: {
      if (world->bug == Bug::kReadBeforeInit && position_ == 0)
        position_ = world->kafka.states.size() - 1;
      if (world->faults && world->dice.Percent(30))
        break;  // Kafka first ends a transaction of the older process
      const std::string& id = ids[epochs.size()];
      epochs[id] = ++world->kafka.epochs[id];
      if (epochs.size() == ids.size()) stage_ = Stage::kRead;
      break;
    }
    case Stage::kRead:
      if (world->bug != Bug::kReadBeforeInit) position_ = world->kafka.states.size() - 1;
      stage_ = Stage::kForeign;
      break;
    case Stage::kForeign:
      if (const WorkerAssignment* record = Record(*world);
          record != nullptr && world->bug != Bug::kIgnoresForeignIds) {
        for (const std::string& id : record->transactional_ids) {
          if (std::find(ids.begin(), ids.end(), id) == ids.end()) ++world->kafka.epochs[id];
        }
      }
      if (world->bug != Bug::kAckUnverified && !AllCurrent(*world)) return Fenced(world);
      stage_ = Stage::kOpen;
      break;
    case Stage::kOpen:
      OpenTasks(world);
      stage_ = Stage::kFollow;
      break;
    case Stage::kFollow: {
      // A replaced process ends. Not where the order of fence and commit is broken: that must show
      // by itself, and hardly would.
      if (const WorkerAssignment* record = Record(*world);
          record != nullptr && world->bug != Bug::kFenceBeforeCommit &&
          std::find(record->replaced.begin(), record->replaced.end(),
                                         incarnation) != record->replaced.end()) {
        open.clear();
        alive = false;
        world->Trace("replaced " + incarnation);
        break;
      }
      if (!open.empty() &&
          world->dice.Percent(30)) {  // commits, and so learns whether it is fenced
        if (!AllCurrent(*world)) return Fenced(world);
      }
      const size_t end = world->kafka.states.size() - 1;
      if (position_ < end && world->dice.Percent(60)) {
        position_ = static_cast<size_t>(
            world->dice.Between(static_cast<int64_t>(position_) + 1, static_cast<int64_t>(end)));
        if (world->bug == Bug::kAckBeforeClose) {
          acknowledged_ = world->kafka.states[position_].assignment.generation;
        }
      } else if (world->bug != Bug::kAckBeforeClose || world->dice.Percent(10)) {
        Obey(world);
      }
      break;
    }
  }
  if (alive && world->now >= next_beat_) {
    Beat(world, stage_ == Stage::kFollow ? WorkerPhase::kRunning : WorkerPhase::kStarting);
  }
}

// Closes what the generation read last takes away. Before anything is opened or acknowledged, a commit on each producer has to
// succeed.
void Process::Obey(World* world) {
  const Generation generation = world->kafka.states[position_].assignment.generation;
  const WorkerAssignment* record = Record(*world);
  const Generation changed = record == nullptr ? Generation() : record->generation;
  if (changed == obeyed_) {
    acknowledged_ = std::max(acknowledged_, generation);
    return;
  }
  const std::set<TaskId> wanted = Wanted(*world);
  std::erase_if(open, [&](const auto& entry) { return !wanted.contains(entry.first); });
  stage_ = Stage::kForeign;
}

void Process::OpenTasks(World* world) {
  const WorkerAssignment* record = Record(*world);
  const std::set<TaskId> wanted = Wanted(*world);
  for (const TaskId task : wanted) {
    if (open.contains(task)) continue;
    open[task] = ids[static_cast<size_t>(task.value()) % ids.size()];
    world->Trace("open " + ToString(task) + " by " + incarnation);
  }
  obeyed_ = record == nullptr ? Generation() : record->generation;
  acknowledged_ = std::max(acknowledged_, world->kafka.states[position_].assignment.generation);
}

void Process::Beat(World* world, WorkerPhase phase) {
  next_beat_ = world->now + std::chrono::milliseconds(world->dice.Between(700, 1100));
  Heartbeat beat{.worker = worker,
                 .incarnation = incarnation,
                 .sequence = ++sequence_,
                 .phase = phase,
                 .acknowledged = acknowledged_,
                 .proven = {}};
  for (const std::string& id : ids) beat.proven[id] = acknowledged_;
  if (world->now >= next_report_ || phase == WorkerPhase::kGone) {
    next_report_ = world->now + std::chrono::seconds(3);
    WorkerReport report{.node = "node" + ToString(worker), .volume = "volume" + ToString(worker)};
    report.transactional_ids = ids;
    for (const auto& [task, id] : open) {
      report.tasks.push_back(
          {.task = task, .state = TaskState::kRunning, .state_bytes = 100 + task.value()});
    }
    beat.report = std::move(report);
  }
  world->Send(std::move(beat));
}

void Process::Stop(World* world) {
  if (stage_ == Stage::kFollow && AllCurrent(*world)) {
    open.clear();
    Beat(world, WorkerPhase::kGone);
  }
  alive = false;
  world->Trace("stop " + incarnation);
}

}  // namespace coho::simulation
