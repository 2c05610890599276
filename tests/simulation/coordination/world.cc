#include "tests/simulation/coordination/world.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include "common/coordination/checker.h"

namespace coho::simulation {

using std::chrono::milliseconds;
using std::chrono::seconds;

World::World(uint64_t seed, Bug planted) : dice(seed), bug(planted) {
  model.tasks = static_cast<int32_t>(dice.Between(1, 8));
  model.inputs["in"].partitions = model.tasks;
  options.workers = static_cast<int32_t>(dice.Between(1, std::min(model.tasks, 4)));
  options.homecoming_timeout = seconds(dice.Between(0, 15));
  options.first_assignment_wait = seconds(3);
}

int64_t World::generations() const { return kafka.states.back().assignment.generation.value(); }

void World::Trace(const std::string& line) {
  if (tell)
    std::cout << std::chrono::duration_cast<milliseconds>(now.time_since_epoch()).count()
              << " ms: " << line << '\n';
  for (const char c : line + "@" + std::to_string(now.time_since_epoch().count())) {
    hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  }
}

void World::Violate(const std::string& what) {
  if (violation_.empty()) violation_ = what;
}

void World::CommitRecords(const std::vector<TopicRecord>& records, const Driver& by) {
  CoordinatorState next = kafka.states.back();
  for (const TopicRecord& record : records) {
    if (const Status status = ApplyCoordinatorRecord(record, &next); !status.ok())
      Violate(status.ToString());
  }
  const Assignment& before = kafka.states.back().assignment;
  const bool new_generation = next.assignment != before;
  if (new_generation) {
    for (const std::string& violation : CheckStep(before, next.assignment)) Violate(violation);
    Trace("generation " + ToString(next.assignment.generation) + " " + next.assignment.reason);
  }
  for (const std::string& violation : CheckAssignment(model, next.assignment)) Violate(violation);
  // Nothing is taken from a worker that is expected home, unless another one has fewer tasks.
  for (const auto& [id, record] : before.workers) {
    const auto after = next.assignment.workers.find(id);
    const size_t left = after == next.assignment.workers.end() ? 0 : after->second.active.size();
    if (left >= record.active.size() || id.value() >= by.workers()) continue;
    if (by.lost().contains(id)) continue;
    size_t fewest = record.active.size();
    for (int32_t i = 0; i < by.workers(); ++i) {
      const auto other = before.workers.find(WorkerId(i));
      fewest = std::min(fewest, other == before.workers.end() ? 0 : other->second.active.size());
    }
    if (fewest == record.active.size())
      Violate("unrelated tasks moved away from worker " + ToString(id));
  }
  kafka.states.push_back(std::move(next));
}

void World::Send(Heartbeat beat) {
  if (!faults) {
    kafka.heartbeats.push_back(std::move(beat));
    return;
  }
  if (dice.Percent(10)) return;  // lost
  if (dice.Percent(5))
    late_.push_back({now + milliseconds(dice.Between(100, 9000)), beat});  // doubled, much later
  if (dice.Percent(20)) {
    late_.push_back({now + milliseconds(dice.Between(100, 4000)), std::move(beat)});
  } else {
    kafka.heartbeats.push_back(std::move(beat));
  }
}

void World::StartProcess(WorkerId worker) {
  const std::string incarnation = "w" + ToString(worker) + "#" + std::to_string(++incarnations_);
  Trace("start " + incarnation);
  processes.push_back(
      std::make_unique<Process>(worker, incarnation, static_cast<int32_t>(dice.Between(1, 3))));
}

void World::StartMissing(int64_t chance) {
  for (int32_t i = 0; i < options.workers; ++i) {
    const bool runs = std::any_of(processes.begin(), processes.end(), [&](const auto& process) {
      return process->alive && !process->paused && process->worker == WorkerId(i);
    });
    if (!runs && dice.Percent(chance)) StartProcess(WorkerId(i));
  }
}

void World::Fault() {
  const int64_t kind = dice.Between(0, 99);
  if (kind < 40) {
    if (processes.empty()) return;
    Process& process = *processes[static_cast<size_t>(
        dice.Between(0, static_cast<int64_t>(processes.size()) - 1))];
    if (kind < 10) {
      process.alive = false;
      Trace("kill " + process.incarnation);
    } else if (kind < 15) {
      if (process.alive && !process.paused) process.Stop(this);
    } else if (kind < 27) {
      process.paused = true;
    } else {
      process.paused = false;
    }
  } else if (kind < 50) {
    drivers.back()->paused = !drivers.back()->paused;
  } else if (kind < 60) {
    if (dice.Percent(50)) drivers.clear();  // crash; else the older one goes on and is fenced
    drivers.push_back(std::make_unique<Driver>(this));
  } else if (kind < 66) {
    options.workers = static_cast<int32_t>(dice.Between(1, std::min(model.tasks, 4)));
    Trace("scale " + std::to_string(options.workers));
  }
}

void World::StepAll() {
  now += milliseconds(dice.Between(20, 400));
  std::erase_if(late_, [&](Late& late) {
    if (late.at > now) return false;
    kafka.heartbeats.push_back(std::move(late.beat));
    return true;
  });
  if (faults) {
    if (dice.Percent(25)) Fault();
    StartMissing(8);
  } else {
    StartMissing(100);
  }
  for (size_t i = 0; i < processes.size(); ++i) {
    if (processes[i]->alive && !processes[i]->paused && dice.Percent(70)) processes[i]->Step(this);
    CheckOwners();
  }
  for (size_t i = 0; i < drivers.size(); ++i) {
    if (!drivers[i]->paused && !drivers[i]->dead && dice.Percent(70)) drivers[i]->Step(this);
    CheckOwners();
  }
  if (drivers.empty() || drivers.back()->dead) drivers.push_back(std::make_unique<Driver>(this));
  // As the operator does: emptied workers are stopped.
  const std::set<WorkerId> removable = drivers.back()->coordinator().removable();
  for (const auto& process : processes) {
    if (process->alive && process->worker.value() >= options.workers &&
        removable.contains(process->worker) && dice.Percent(10)) {
      process->Stop(this);
    }
  }
  std::erase_if(processes, [](const auto& process) { return !process->alive; });
}

void World::CheckOwners() {
  for (int32_t i = 0; i < model.tasks; ++i) {
    const Process* owner = nullptr;
    for (const auto& process : processes) {
      if (!process->CanCommit(*this, TaskId(i))) continue;
      if (owner != nullptr) {
        Violate("task " + std::to_string(i) + " can be written by " + owner->incarnation +
                " and by " + process->incarnation);
      }
      owner = process.get();
    }
  }
}

// Faults stop: what is paused goes on, of several processes of a worker the latest stays, one coordinator leads.
void World::CalmDown() {
  faults = false;
  late_.clear();  // else a goodbye from long ago may move tasks while we look
  std::map<WorkerId, Process*> latest;
  for (const auto& process : processes) {
    process->paused = false;
    if (const auto older = latest.find(process->worker); older != latest.end())
      older->second->alive = false;
    latest[process->worker] = process.get();
  }
  drivers.clear();
  drivers.push_back(std::make_unique<Driver>(this));
}

bool World::AtRest() const {
  const Coordinator& coordinator = drivers.back()->coordinator();
  if (!coordinator.settled()) return false;
  for (int32_t i = 0; i < options.workers; ++i) {
    const auto worker = coordinator.workers().find(WorkerId(i));
    if (worker == coordinator.workers().end() || worker->second.standing != WorkerStanding::kAlive)
      return false;
    if (!worker->second.report) return false;
  }
  int32_t running = 0;
  size_t fewest = 100;
  size_t most = 0;
  for (const auto& [id, record] : coordinator.assignment().workers) {
    if (id.value() >= options.workers && !coordinator.removable().contains(id)) return false;
    if (id.value() >= options.workers) continue;
    fewest = std::min(fewest, record.active.size());
    most = std::max(most, record.active.size());
    for (const TaskId task : record.active) {
      for (const auto& process : processes) {
        if (process->worker == id && process->CanCommit(*this, task)) ++running;
      }
    }
  }
  return running == model.tasks && most <= fewest + 1;
}

void World::CheckRest() {
  const auto owners = [this] {
    std::map<TaskId, WorkerId> found;
    for (const auto& [id, record] : kafka.states.back().assignment.workers) {
      for (const TaskId task : record.active) found[task] = id;
    }
    return found;
  };
  const auto before = owners();
  for (int i = 0; i < 40 && violation_.empty(); ++i) StepAll();
  if (owners() != before) Violate("tasks moved after everything had come to rest");
}

std::string World::Run() {
  drivers.push_back(std::make_unique<Driver>(this));
  const int64_t steps = dice.Between(50, 250);
  for (int64_t i = 0; i < steps && violation_.empty(); ++i) StepAll();
  CalmDown();
  constexpr int kRounds = 500;  // about 100 seconds of virtual time
  int round = 0;
  while (round < kRounds && violation_.empty() && !AtRest()) {
    StepAll();
    ++round;
  }
  if (round == kRounds) {
    Violate("not at rest " + std::to_string(kRounds) +
            " rounds after the faults stopped, at generation " + std::to_string(generations()));
  }
  if (violation_.empty()) CheckRest();
  return violation_;
}

}  // namespace coho::simulation
