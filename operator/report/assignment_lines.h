// The assignment as people read it in `kubectl describe`: a line per task up to 32 tasks, a line
// per worker above that; never more than 32 lines. Pure.
//
//   task 0 -> worker 1 on node2, active, local state, lag 0
//   worker 3 on node1: tasks 30-39, 6 active, 4 restoring 60%, lag <1k
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/report/tasks.h"

namespace coho {

inline constexpr size_t kMaxAssignmentLines = 32;

// `everything`: where the full assignment is, for the last line when there are too many workers.
[[nodiscard]] std::vector<std::string> AssignmentLines(const TaskOverview& overview,
                                                       std::string_view everything);

// The line without its lag, which changes all the time.
[[nodiscard]] std::string_view WithoutLag(std::string_view line);

// "0-3,7,9-12", shortened with "..." where it would be longer than `longest`.
[[nodiscard]] std::string RangesText(const std::vector<TaskId>& sorted, size_t longest);

}  // namespace coho
