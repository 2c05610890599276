#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "worker/admin/tasks_page.h"
#include "worker/admin/worker_metrics.h"

namespace coho {
namespace {

WorkerStatus TwoLoops() {
  WorkerStatus status{.member = {.phase = WorkerPhase::kRunning,
                                 .generation = Generation(3),
                                 .acknowledged = Generation(3),
                                 .caught_up = true,
                                 .given = {TaskId(0), TaskId(1)},
                                 .heartbeats = 9},
                      .loops = {LoopStatus{}, LoopStatus{}}};
  TaskStatus task{.report = {.task = TaskId(1),
                             .state = TaskState::kRunning,
                             .restore_source = RestoreSource::kLocal,
                             .lag = 6}};
  task.inputs = {{.partition = {"in", 1}, .next = 4, .committed = 2, .end = 10}};
  task.stores = {{.name = "counts",
                  .bytes = 100,
                  .overlay_bytes = 50,
                  .dirty_bytes = 20,
                  .changelog_position = 7}};
  status.loops[0].tasks = {task};
  task.report.task = TaskId(0);
  task.inputs[0].end = -1;
  status.loops[1].tasks = {task};
  status.loops[0].counters[TaskId(1)] = {.processed = 5, .sent = 4, .skipped = 1};
  status.loops[1].counters[TaskId(1)] = {.processed = 2};
  status.loops[1].commits.Add(0.02);
  return status;
}

double ValueOf(const std::vector<prometheus::MetricFamily>& families, const std::string& name,
               const std::map<std::string, std::string>& labels) {
  for (const auto& family : families) {
    if (family.name != name) continue;
    for (const auto& metric : family.metric) {
      std::map<std::string, std::string> found;
      for (const auto& label : metric.label) found[label.name] = label.value;
      if (found == labels) {
        return family.type == prometheus::MetricType::Counter ? metric.counter.value
                                                              : metric.gauge.value;
      }
    }
  }
  return -1;
}

TEST_CASE("TasksPage: tasks of all loops, in order") {
  const auto page = nlohmann::json::parse(TasksPage(WorkerId(2), TwoLoops()));
  CHECK(page["worker"] == 2);
  CHECK(page["generation"] == 3);
  CHECK(page["ready"] == true);
  REQUIRE(page["tasks"].size() == 2);
  CHECK(page["tasks"][0]["task"] == 0);
  CHECK(page["tasks"][0]["runLoop"] == 1);
  CHECK(page["tasks"][0]["inputs"][0]["lag"] == -1);
  const auto& task = page["tasks"][1];
  CHECK(task["state"] == "Running");
  CHECK(task["processed"] == 5);
  CHECK(task["restore"]["source"] == "Local");
  CHECK(task["inputs"][0]["lag"] == 6);
  CHECK(task["stores"][0]["dirtyBytes"] == 20);
}

TEST_CASE("WorkerMetrics: sums over loops; every family has a help text and appears once") {
  RestoreTotals totals;
  totals.records = 11;
  const WorkerMetrics metrics({.version = "1.2.3", .status = TwoLoops, .restore_totals = &totals});
  const auto families = metrics.Collect();
  std::set<std::string> names;
  for (const auto& family : families) {
    CAPTURE(family.name);
    CHECK(names.insert(family.name).second);
    CHECK_FALSE(family.help.empty());
    const bool total =
        family.name.size() > 6 && family.name.substr(family.name.size() - 6) == "_total";
    CHECK(total == (family.type == prometheus::MetricType::Counter));
  }
  CHECK(ValueOf(families, "coho_processed_records_total", {{"task", "1"}}) == 7);
  CHECK(ValueOf(families, "coho_skipped_records_total", {{"task", "1"}}) == 1);
  CHECK(ValueOf(families, "coho_task_lag_records", {{"task", "1"}}) == 6);
  CHECK(ValueOf(families, "coho_task_state", {{"task", "0"}, {"state", "Running"}}) == 1);
  CHECK(ValueOf(families, "coho_task_state", {{"task", "0"}, {"state", "Restoring"}}) == 0);
  CHECK(ValueOf(families, "coho_store_bytes", {{"task", "0"}, {"store", "counts"}}) == 100);
  CHECK(ValueOf(families, "coho_overlay_bytes", {}) == 100);
  CHECK(ValueOf(families, "coho_restore_records_total", {}) == 11);
  CHECK(ValueOf(families, "coho_commits_total", {}) == 1);
  CHECK(ValueOf(families, "coho_heartbeats_total", {}) == 9);
  CHECK(ValueOf(families, "coho_build_info", {{"version", "1.2.3"}}) == 1);
}

}  // namespace
}  // namespace coho
