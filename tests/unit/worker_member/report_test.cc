#include "worker/member/report.h"

#include <doctest/doctest.h>

namespace coho {
namespace {

const WorkerIdentity kIdentity = {.id = WorkerId(1),
                                  .node = "n1",
                                  .zone = "z",
                                  .pod = "p",
                                  .volume = "v",
                                  .disk_id = "d",
                                  .version = "1"};

LoopStatus LoopWith(int32_t task, TaskState state, int64_t lag) {
  LoopStatus loop;
  loop.tasks.push_back({.report = {.task = TaskId(task), .state = state, .lag = lag}});
  return loop;
}

TEST_CASE(
    "MakeReport: tasks of all loops in order; stores on disk of tasks that do not run here, "
    "summed") {
  const WorkerReport report =
      MakeReport(kIdentity, {"id"},
                 {LoopWith(5, TaskState::kRunning, 0), LoopWith(2, TaskState::kRestoring, -1)},
                 {{"a", TaskId(5), 10}, {"a", TaskId(7), 20, 100, 1000}, {"b", TaskId(7), 3}}, "");
  REQUIRE(report.tasks.size() == 2);
  CHECK(report.tasks[0].task == TaskId(2));
  CHECK(report.tasks[1].task == TaskId(5));
  REQUIRE(report.on_disk.size() == 1);
  CHECK(report.on_disk[0].task == TaskId(7));
  CHECK(report.on_disk[0].state_bytes == 23);
  CHECK(report.on_disk[0].state == TaskState::kClosed);
  CHECK(report.on_disk[0].changelog_position == 100);
  CHECK(report.on_disk[0].stores == std::vector<StoreCopy>{{"a", 100, 20, 1000}, {"b", 0, 3, 0}});
  CHECK(report.node == "n1");
  CHECK(report.disk_id == "d");
}

TEST_CASE("CompareReports: tells states from figures") {
  const auto make = [](TaskState state, int64_t lag, const std::string& problem) {
    return MakeReport(kIdentity, {"id"}, {LoopWith(5, state, lag)}, {}, problem);
  };
  const WorkerReport before = make(TaskState::kRunning, 4, "");
  CHECK(CompareReports(before, before) == std::nullopt);
  CHECK(CompareReports(before, make(TaskState::kRunning, 0, "")) == ReportChange::kFigures);
  CHECK(CompareReports(before, make(TaskState::kClosing, 4, "")) == ReportChange::kStates);
  CHECK(CompareReports(before, make(TaskState::kRunning, 4, "broken")) == ReportChange::kStates);
  CHECK(CompareReports(before, MakeReport(kIdentity, {"id"}, {}, {}, "")) == ReportChange::kStates);
}

}  // namespace
}  // namespace coho
