#include "operator/report/tasks.h"

#include <algorithm>
#include <array>
#include <map>

namespace coho {
namespace {

bool IsAway(const Observed& observed, WorkerId worker) {
  const auto pod = observed.pods.find(worker);
  if (pod == observed.pods.end() || !pod->second.running) return true;
  const auto known = observed.coordination->workers.find(worker);
  if (known == observed.coordination->workers.end()) return false;
  return known->second.standing == WorkerStanding::kSilent ||
         known->second.standing == WorkerStanding::kLost;
}

const TaskReport* FindReport(const JobView& view, WorkerId worker, TaskId task) {
  const auto known = view.workers.find(worker);
  if (known == view.workers.end() || known->second.standing != WorkerStanding::kAlive ||
      !known->second.report) {
    return nullptr;
  }
  const std::vector<TaskReport>& reports = known->second.report->tasks;
  const auto report = std::find_if(reports.begin(), reports.end(),
                                   [&](const TaskReport& r) { return r.task == task; });
  return report == reports.end() ? nullptr : &*report;
}

TaskCondition ConditionOf(const TaskReport& report) {
  switch (report.state) {
    case TaskState::kRunning:
      return TaskCondition::kRunning;
    case TaskState::kRestoring:
      return TaskCondition::kRestoring;
    case TaskState::kClosed:
    case TaskState::kStarting:
    case TaskState::kStandby:
    case TaskState::kClosing:
    case TaskState::kFailed:
      return TaskCondition::kWaiting;
  }
  return TaskCondition::kWaiting;
}

TaskSummary SummarizeOwned(const Observed& observed, TaskId task, WorkerId owner) {
  TaskSummary summary{.id = task, .condition = TaskCondition::kWaiting, .owner = owner};
  if (const auto pod = observed.pods.find(owner); pod != observed.pods.end())
    summary.node = pod->second.node;
  summary.owner_away = IsAway(observed, owner);
  if (summary.owner_away) return summary;
  if (const TaskReport* report = FindReport(*observed.coordination, owner, task)) {
    summary.report = *report;
    summary.condition = ConditionOf(*report);
  }
  return summary;
}

}  // namespace

TaskOverview SummarizeTasks(const Observed& observed) {
  TaskOverview overview;
  if (!observed.coordination || !observed.coordination->model) return overview;
  std::map<TaskId, WorkerId> owners;
  for (const auto& [worker, part] : observed.coordination->assignment.workers) {
    for (const TaskId task : part.active) owners[task] = worker;
  }
  const int32_t count = observed.coordination->model->tasks;
  int64_t lag = 0;
  bool lag_known = count > 0;
  for (TaskId task(0); task.value() < count; task = task.Next()) {
    const auto owner = owners.find(task);
    TaskSummary summary{.id = task};
    if (owner != owners.end()) summary = SummarizeOwned(observed, task, owner->second);
    overview.running += summary.condition == TaskCondition::kRunning;
    overview.restoring += summary.condition == TaskCondition::kRestoring;
    overview.unassigned += summary.condition == TaskCondition::kUnassigned;
    lag_known = lag_known && summary.report && summary.report->lag >= 0;
    if (lag_known && __builtin_add_overflow(lag, summary.report->lag, &lag)) lag = INT64_MAX;
    overview.tasks.push_back(std::move(summary));
  }
  if (lag_known) overview.lag = lag;
  return overview;
}

int RestorePercent(int64_t restored, int64_t total) {
  if (total <= 0 || restored <= 0) return 0;
  if (restored >= total) return 100;
  return static_cast<int>(static_cast<double>(restored) / static_cast<double>(total) * 10) * 10;
}

std::string LagText(int64_t lag) {
  if (lag < 0) return "unknown";
  if (lag == 0) return "0";
  constexpr std::array<const char*, 13> kSteps = {"10",   "100", "1k",  "10k",  "100k", "1M", "10M",
                                                  "100M", "1G",  "10G", "100G", "1T",   "10T"};
  int64_t limit = 10;
  for (const char* step : kSteps) {
    if (lag < limit) return std::string("<") + step;
    limit *= 10;
  }
  return ">10T";
}

}  // namespace coho
