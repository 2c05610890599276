#include "common/coordination/wording.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

namespace coho {

std::string SayBytes(int64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f %s", value, kUnits[unit]);
  return text.data();
}

std::string SayDuration(Duration duration) {
  const int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (ms < 1000) return std::to_string(ms) + "ms";
  const int64_t seconds = ms / 1000;
  if (seconds < 60) return std::to_string(seconds) + "s";
  std::string text = std::to_string(seconds / 60) + "m";
  if (seconds % 60 != 0) text += std::to_string(seconds % 60) + "s";
  return text;
}

std::string SayCount(size_t n, std::string_view noun) {
  return std::to_string(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

std::string SayTasks(const std::vector<TaskId>& tasks) {
  static constexpr size_t kShown = 8;
  std::string text = tasks.size() == 1 ? "task " : "tasks ";
  for (size_t i = 0; i < std::min(tasks.size(), kShown); ++i) {
    if (i > 0) text += ", ";
    text += ToString(tasks[i]);
  }
  if (tasks.size() > kShown) text += " and " + std::to_string(tasks.size() - kShown) + " more";
  return text;
}

}  // namespace coho
