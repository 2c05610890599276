#include <utility>

#include "tests/simulation/coordination/world.h"

namespace coho::simulation {

Driver::Driver(World* world) : options_(world->options) {
  const size_t read_early =
      world->kafka.states.size() - 1 - (world->kafka.states.size() > 1 ? 1 : 0);
  epoch_ = ++world->kafka.coordinator_epoch;
  const size_t end = world->kafka.states.size() - 1;
  const size_t position =
      world->bug == Bug::kDriverReadsBeforeInit && world->dice.Percent(50) ? read_early : end;
  coordinator_ = std::make_unique<Coordinator>(world->options, world->model,
                                               world->kafka.states[position], world->now);
  world->Trace("coordinator " + std::to_string(epoch_));
  Take(world, coordinator_->Start(world->wall()));
  heartbeats_read_ = world->kafka.heartbeats.size();
  const size_t kept = 200;  // the topic's retention
  for (size_t i = heartbeats_read_ > kept ? heartbeats_read_ - kept : 0; i < heartbeats_read_;
       ++i) {
    Take(world,
         coordinator_->OnHeartbeat(world->kafka.heartbeats[i], true, world->now, world->wall()));
  }
}

void Driver::Take(World* world, CoordinatorActions actions) {
  for (CoordinatorAction& action : actions) {
    if (const auto* event = std::get_if<EmitEvent>(&action))
      world->Trace(std::string(NameOf(event->reason)) + ": " + event->message);
    if (std::holds_alternative<WriteRecords>(action)) {
      decided_for_ = options_.workers;
      decided_without_.clear();
      for (const auto& [id, worker] : coordinator_->workers()) {
        if (worker.standing == WorkerStanding::kLost) decided_without_.insert(id);
      }
    }
    if (!std::holds_alternative<EmitEvent>(action)) {
      to_do_.push_back(std::move(action));
    } else if (std::get<EmitEvent>(action).reason == EventReason::kInvariantBroken) {
      to_do_.push_back(std::move(action));
    }
  }
}

void Driver::Step(World* world) {
  if (!late_writes_.empty() && world->dice.Percent(2)) {
    for (const WriteRecords& write : late_writes_) {
      if (epoch_ == world->kafka.coordinator_epoch) world->CommitRecords(write.records, *this);
    }
    late_writes_.clear();
  }
  if (written_ && world->dice.Percent(60)) {
    const auto [generation, ok] = *written_;
    written_.reset();
    Take(world, coordinator_->OnWritten(generation, ok, world->now, world->wall()));
  }
  Perform(world);
  const size_t end = world->kafka.heartbeats.size();
  for (int64_t n = world->dice.Between(0, 6); n > 0 && heartbeats_read_ < end; --n) {
    Take(world, coordinator_->OnHeartbeat(world->kafka.heartbeats[heartbeats_read_++], false,
                                          world->now, world->wall()));
  }
  if (world->dice.Percent(5)) {
    std::map<WorkerId, PodFact> facts;
    for (const auto& process : world->processes) {
      PodFact& fact = facts[process->worker];
      fact.exists = true;
      fact.running = fact.running || process->alive;
    }
    Take(world, coordinator_->OnPodFacts(facts, world->now, world->wall()));
  }
  if (coordinator_ && world->dice.Percent(50)) {
    options_ = world->options;
    Take(world, coordinator_->SetOptions(options_, world->now, world->wall()));
    Take(world, coordinator_->OnTick(world->now, world->wall()));
  }
}

void Driver::Perform(World* world) {
  while (!to_do_.empty() && !dead && world->dice.Percent(70)) {
    const CoordinatorAction action = std::move(to_do_.front());
    to_do_.erase(to_do_.begin());
    if (const auto* event = std::get_if<EmitEvent>(&action)) {
      world->Violate(event->message);
    } else if (const auto* write = std::get_if<WriteRecords>(&action)) {
      WriteNow(world, *write);
    } else {
      const auto& fence = std::get<FenceWorker>(action);
      bool ok = true;
      for (const std::string& id : fence.transactional_ids) {
        ok = ok && !(world->faults && world->dice.Percent(10));
        if (ok && world->bug != Bug::kFenceSkipped) ++world->kafka.epochs[id];
      }
      world->Trace("fence worker " + ToString(fence.worker) + (ok ? "" : " failed"));
      Take(world, coordinator_->OnFenced(fence.worker, ok, world->now, world->wall()));
    }
  }
}

void Driver::WriteNow(World* world, const WriteRecords& write) {
  if (epoch_ != world->kafka.coordinator_epoch) {
    dead = true;  // fenced: another coordinator took over
    world->Trace("coordinator fenced " + std::to_string(epoch_));
    return;
  }
  if (world->faults && world->dice.Percent(10)) {
    written_ = std::pair(write.generation, false);
    return;
  }
  if (world->bug == Bug::kFenceBeforeCommit) {
    late_writes_.push_back(write);
  } else {
    world->CommitRecords(write.records, *this);
  }
  if (world->faults && world->dice.Percent(5))
    dead = true;  // crashes before it learns that it was committed
  written_ = std::pair(write.generation, true);
}

}  // namespace coho::simulation
