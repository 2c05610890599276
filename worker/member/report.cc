#include "worker/member/report.h"

#include <algorithm>
#include <map>

namespace coho {
namespace {

// The same with every figure taken out.
WorkerReport StatesOnly(WorkerReport report) {
  for (TaskReport& task : report.tasks) {
    task = {.task = task.task, .state = task.state, .restore_source = task.restore_source};
  }
  for (TaskReport& task : report.on_disk) task = {.task = task.task, .state = task.state};
  return report;
}

}  // namespace

WorkerReport MakeReport(const WorkerIdentity& identity,
                        const std::vector<std::string>& transactional_ids,
                        const std::vector<LoopStatus>& loops,
                        const std::vector<EngineFactory::OnDisk>& on_disk,
                        const std::string& problem) {
  WorkerReport report{.node = identity.node,
                      .zone = identity.zone,
                      .pod = identity.pod,
                      .volume = identity.volume,
                      .disk_id = identity.disk_id,
                      .version = identity.version,
                      .transactional_ids = transactional_ids,
                      .problem = problem};
  std::map<TaskId, TaskReport> tasks;
  for (const LoopStatus& loop : loops) {
    for (const TaskStatus& task : loop.tasks) {
      TaskReport& out = tasks[task.report.task] = task.report;
      for (const StoreStatus& store : task.stores) {
        out.stores.push_back(
            {store.name, store.changelog_position, store.bytes, store.commit_time_ms});
      }
    }
  }
  std::map<TaskId, TaskReport> others;
  for (const EngineFactory::OnDisk& engine : on_disk) {
    if (tasks.contains(engine.task)) continue;
    TaskReport& other = others[engine.task];
    other.task = engine.task;
    other.state_bytes += engine.bytes;
    other.changelog_position += engine.position;
    other.stores.push_back({engine.store, engine.position, engine.bytes, engine.marker_time_ms});
  }
  for (const auto& [id, task] : tasks) report.tasks.push_back(task);
  for (const auto& [id, task] : others) report.on_disk.push_back(task);
  return report;
}

bool TrimReport(WorkerReport* report) {
  report->partial = true;
  if (!report->on_disk.empty()) {
    std::stable_sort(
        report->on_disk.begin(), report->on_disk.end(),
        [](const TaskReport& a, const TaskReport& b) { return a.state_bytes > b.state_bytes; });
    report->on_disk.resize(report->on_disk.size() / 2);
    std::sort(report->on_disk.begin(), report->on_disk.end(),
              [](const TaskReport& a, const TaskReport& b) { return a.task < b.task; });
    return true;
  }
  bool trimmed = false;
  for (TaskReport& task : report->tasks) {
    trimmed = trimmed || !task.stores.empty() || task.lag != 0;
    task = {.task = task.task, .state = task.state, .restore_source = task.restore_source};
  }
  return trimmed;
}

std::optional<ReportChange> CompareReports(const WorkerReport& before, const WorkerReport& after) {
  if (before == after) return std::nullopt;
  return StatesOnly(before) == StatesOnly(after) ? ReportChange::kFigures : ReportChange::kStates;
}

}  // namespace coho
