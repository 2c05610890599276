#include "operator/report/assignment_lines.h"

#include <algorithm>
#include <map>
#include <utility>

namespace coho {
namespace {

constexpr std::string_view kLag = ", lag ";
constexpr size_t kLongestRanges = 60;

std::string WorkerAndNode(WorkerId worker, const std::string& node) {
  std::string text = "worker " + ToString(worker);
  if (!node.empty()) text += " on " + node;
  return text;
}

std::string StateText(const TaskReport& report) {
  switch (report.restore_source) {
    case RestoreSource::kNone:
      return "";
    case RestoreSource::kLocal:
      return ", local state";
    case RestoreSource::kReplay:
      return ", replayed " + std::to_string(report.restored_records) + " records";
    case RestoreSource::kWiped:
      return ", restored anew from " + std::to_string(report.restored_records) + " records";
  }
  return "";
}

std::string TaskLine(const TaskSummary& task) {
  std::string line = "task " + ToString(task.id) + " -> ";
  switch (task.condition) {
    case TaskCondition::kUnassigned:
      return line + "no worker yet";
    case TaskCondition::kWaiting:
      line += WorkerAndNode(task.owner, task.node);
      if (task.owner_away) return line + ", waiting for the worker";
      return line +
             (task.report && task.report->state == TaskState::kFailed ? ", failed" : ", starting");
    case TaskCondition::kRestoring:
      return line + WorkerAndNode(task.owner, task.node) + ", restoring " +
             std::to_string(
                 RestorePercent(task.report->restored_records, task.report->restore_total)) +
             "%";
    case TaskCondition::kRunning:
      return line + WorkerAndNode(task.owner, task.node) + ", active" + StateText(*task.report) +
             std::string(kLag) + LagText(task.report->lag);
  }
  return line;
}

struct WorkerTasks {
  std::string node;
  bool away = false;
  std::vector<TaskId> tasks;
  size_t running = 0;
  size_t restoring = 0;
  int64_t restored = 0;
  int64_t restore_total = 0;
  int64_t lag = 0;  // -1: unknown
};

void Add(const TaskSummary& task, WorkerTasks* worker) {
  worker->node = task.node;
  worker->away = task.owner_away;
  worker->tasks.push_back(task.id);
  worker->running += task.condition == TaskCondition::kRunning;
  if (task.condition == TaskCondition::kRestoring) {
    ++worker->restoring;
    worker->restored += task.report->restored_records;
    worker->restore_total += task.report->restore_total;
  }
  if (!task.report || task.report->lag < 0) worker->lag = -1;
  if (worker->lag >= 0 && __builtin_add_overflow(worker->lag, task.report->lag, &worker->lag))
    worker->lag = INT64_MAX;
}

std::string WorkerLine(WorkerId id, const WorkerTasks& worker) {
  std::string line =
      WorkerAndNode(id, worker.node) + ": tasks " + RangesText(worker.tasks, kLongestRanges);
  if (worker.away) return line + ", waiting for the worker";
  line += ", " + std::to_string(worker.running) + " active";
  if (worker.restoring > 0) {
    line += ", " + std::to_string(worker.restoring) + " restoring " +
            std::to_string(RestorePercent(worker.restored, worker.restore_total)) + "%";
  }
  return line + std::string(kLag) + LagText(worker.lag);
}

}  // namespace

std::string RangesText(const std::vector<TaskId>& sorted, size_t longest) {
  std::string text;
  for (size_t i = 0; i < sorted.size();) {
    size_t last = i;
    while (last + 1 < sorted.size() && sorted[last + 1] == sorted[last].Next()) ++last;
    std::string range = (i == 0 ? "" : ",") + ToString(sorted[i]);
    if (last > i) range += "-" + ToString(sorted[last]);
    if (text.size() + range.size() > longest) return text + ",...";
    text += range;
    i = last + 1;
  }
  return text;
}

std::vector<std::string> AssignmentLines(const TaskOverview& overview,
                                         std::string_view everything) {
  std::vector<std::string> lines;
  if (overview.tasks.size() <= kMaxAssignmentLines) {
    for (const TaskSummary& task : overview.tasks) lines.push_back(TaskLine(task));
    return lines;
  }
  std::map<WorkerId, WorkerTasks> workers;
  std::vector<TaskId> unassigned;
  for (const TaskSummary& task : overview.tasks) {
    if (task.condition == TaskCondition::kUnassigned) {
      unassigned.push_back(task.id);
    } else {
      Add(task, &workers[task.owner]);
    }
  }
  std::vector<std::pair<WorkerId, const WorkerTasks*>> order;
  for (const auto& [id, worker] : workers) order.emplace_back(id, &worker);
  std::stable_partition(order.begin(), order.end(), [](const auto& entry) {
    return entry.second->running < entry.second->tasks.size();
  });
  if (!unassigned.empty())
    lines.push_back("no worker yet: tasks " + RangesText(unassigned, kLongestRanges));
  for (const auto& [id, worker] : order) lines.push_back(WorkerLine(id, *worker));
  if (lines.size() > kMaxAssignmentLines) {
    const size_t more = lines.size() - (kMaxAssignmentLines - 1);
    lines.resize(kMaxAssignmentLines - 1);
    lines.push_back("and " + std::to_string(more) +
                    " more workers; all tasks: " + std::string(everything));
  }
  return lines;
}

std::string_view WithoutLag(std::string_view line) { return line.substr(0, line.rfind(kLag)); }

}  // namespace coho
