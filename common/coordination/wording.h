// How the coordinator speaks to people: parts of sentences in events and reasons. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"

namespace coho {

[[nodiscard]] std::string SayBytes(int64_t bytes);         // "512 B", "12.3 MiB"
[[nodiscard]] std::string SayDuration(Duration duration);  // "850ms", "6s", "5m", "1m30s"
[[nodiscard]] std::string SayCount(size_t n, std::string_view noun);  // "1 task", "3 tasks"
[[nodiscard]] std::string SayTasks(
    const std::vector<TaskId>& tasks);  // "task 3", "tasks 0, 1, 2 and 5 more"

}  // namespace coho
