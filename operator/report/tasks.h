// How the tasks of a job are, from the assignment, the workers' reports and their pods. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/model/assignment.h"
#include "operator/api/observed.h"

namespace coho {

// kWaiting: has an owner that does not run it (yet): starts, is away, or has not said what it does.
enum class TaskCondition { kUnassigned, kWaiting, kRestoring, kRunning };

struct TaskSummary {
  TaskId id;
  TaskCondition condition = TaskCondition::kUnassigned;
  WorkerId owner;    // valid unless kUnassigned
  std::string node;  // the owner's; empty: none
  bool owner_away =
      false;  // its pod does not run, or it has been silent for longer than its session
  std::optional<TaskReport> report;  // only while the owner is there
};

struct TaskOverview {
  std::vector<TaskSummary> tasks;  // by id; empty until the job's model is known
  int32_t running = 0;
  int32_t restoring = 0;
  int32_t unassigned = 0;
  int64_t lag = -1;  // sum over all tasks; -1: not known of every one
  [[nodiscard]] int32_t total() const { return static_cast<int32_t>(tasks.size()); }
};

[[nodiscard]] TaskOverview SummarizeTasks(const Observed& observed);

// Share of the restore that is done, in steps of ten percent; a restore with nothing to replay
// counts as begun.
[[nodiscard]] int RestorePercent(int64_t restored, int64_t total);

// Lag as people read it: "0", "<10", "<100", "<1k", ..., "unknown". Coarse, so that the status does
// not change with each record.
[[nodiscard]] std::string LagText(int64_t lag);

}  // namespace coho
