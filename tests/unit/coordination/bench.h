// A coordinator in a test, and the workers that it decides about.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/coordination/coordinator.h"

namespace coho {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A coordinator, what it wants done, and workers that obey at once unless a test says otherwise.
class Bench {
 public:
  Bench(int32_t tasks, int32_t workers) {
    model.tasks = tasks;
    options.workers = workers;
    options.homecoming_timeout = seconds(60);
    Restart();
  }
  void Restart() {
    to_do.clear();
    coordinator.emplace(options, model, stored, now);
    Take(coordinator->Start(Wall()));
    Work();
  }
  [[nodiscard]] WallTime Wall() const { return WallTime(now.time_since_epoch()); }
  void Take(CoordinatorActions actions) {
    to_do.insert(to_do.end(), actions.begin(), actions.end());
  }

  // Performs everything that is to be done.
  void Work() {
    while (!to_do.empty()) {
      const CoordinatorAction action = to_do.front();
      to_do.erase(to_do.begin());
      if (const auto* write = std::get_if<WriteRecords>(&action)) {
        if (fail_writes) {
          ++failed_writes;
          Take(coordinator->OnWritten(write->generation, false, now, Wall()));
          continue;
        }
        for (const TopicRecord& record : write->records)
          REQUIRE(ApplyCoordinatorRecord(record, &stored).ok());
        Take(coordinator->OnWritten(write->generation, true, now, Wall()));
      } else if (const auto* fence = std::get_if<FenceWorker>(&action)) {
        fenced.push_back(*fence);
        Take(coordinator->OnFenced(fence->worker, !fail_fences, now, Wall()));
      } else {
        events.push_back(std::get<EmitEvent>(action));
      }
    }
  }
  void Beat(int32_t worker, int64_t acknowledged, WorkerPhase phase = WorkerPhase::kRunning,
            bool historical = false) {
    Heartbeat beat{.worker = WorkerId(worker),
                   .incarnation = incarnation,
                   .sequence = ++sequence,
                   .phase = phase,
                   .life = life,
                   .acknowledged = coho::Generation(acknowledged),
                   .proven = {}};
    beat.session = session;
    WorkerReport report{.node = "node" + std::to_string(worker),
                        .volume = "disk" + std::to_string(worker)};
    for (const char* id : {"-0", "-1"})
      report.transactional_ids.push_back("w" + std::to_string(worker).append(id));
    if (one_loop) report.transactional_ids.pop_back();
    for (const TaskId task : Tasks(worker))
      report.tasks.push_back({.task = task,
                              .state = TaskState::kRunning,
                              .state_bytes = 1024,
                              .stores = {{"s", position, 1024, 0}}});
    report.disk_id = disks[worker];
    for (const auto& [task, at] : closed[worker])
      report.on_disk.push_back({.task = task, .stores = {{"s", at, 1024, 0}}});
    for (const std::string& id : report.transactional_ids) {
      if (!unproven.contains(id)) beat.proven[id] = coho::Generation(acknowledged);
    }
    beat.report = report;
    Take(coordinator->OnHeartbeat(beat, historical, now, Wall()));
    Work();
  }
  void BeatAll(const std::vector<int32_t>& workers) {
    for (const int32_t worker : workers) Beat(worker, Generation());
  }
  void SetWorkers(int32_t workers) {
    options.workers = workers;
    Take(coordinator->SetOptions(options, now, Wall()));
    Work();
  }
  [[nodiscard]] int64_t Generation() const { return coordinator->assignment().generation.value(); }
  [[nodiscard]] std::vector<TaskId> Tasks(int32_t worker) const {
    const auto& workers = coordinator->assignment().workers;
    return workers.contains(WorkerId(worker)) ? workers.at(WorkerId(worker)).active
                                              : std::vector<TaskId>();
  }
  [[nodiscard]] bool Told(const std::string& reason) const {
    return std::any_of(events.begin(), events.end(),
                       [&](const EmitEvent& event) { return NameOf(event.reason) == reason; });
  }

  // Time passes, and the heartbeats topic is read to its end every half second.
  void Pass(Duration time, const std::vector<int32_t>& beating = {}) {
    for (const MonotonicTime end = now + time; now < end;) {
      now += milliseconds(500);
      BeatAll(beating);
      Take(coordinator->OnHeardThrough(now, now, Wall()));
      Take(coordinator->OnTick(now, Wall()));
      Work();
    }
  }
  [[nodiscard]] WorkerStanding Standing(int32_t worker) const {
    return coordinator->workers().at(WorkerId(worker)).standing;
  }

  std::string life;
  std::set<std::string> unproven;  // ids on which no transaction was committed
  JobModel model;
  CoordinatorOptions options;
  CoordinatorState stored;
  MonotonicTime now{seconds(1000)};
  std::optional<Coordinator> coordinator;
  std::vector<CoordinatorAction> to_do;
  std::vector<EmitEvent> events;
  std::vector<FenceWorker> fenced;
  std::string incarnation = "first";
  Duration session{};  // that the workers were started with
  int64_t sequence = 0;
  int64_t position = 10;                                // in the changelogs of what runs
  std::map<int32_t, std::string> disks;                 // their ids
  std::map<int32_t, std::map<TaskId, int64_t>> closed;  // copies that a worker does not run
  int failed_writes = 0;
  bool fail_writes = false;
  bool fail_fences = false;
  bool one_loop = false;
};

}  // namespace coho
