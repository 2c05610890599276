#include "common/kafka/log_filter.h"

#include <chrono>

namespace coho::kafka {
namespace {

constexpr Duration kAgain = std::chrono::minutes(1);
constexpr size_t kMost = 256;  // wordings that are remembered; beyond, all are forgotten

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

// "[thrd:main]: coho-x-worker-0#producer-4: 10.0.0.1:9092/1: Connect to … failed: … (after 3ms …)"
std::string_view CoreOfLogLine(std::string_view text) {
  if (text.substr(0, 6) == "[thrd:") {
    if (const size_t end = text.find("]: "); end != std::string_view::npos)
      text.remove_prefix(end + 3);
  }
  const size_t first_word = text.substr(0, text.find(' ')).find('#');
  if (first_word != std::string_view::npos) {
    if (const size_t end = text.find(": "); end != std::string_view::npos)
      text.remove_prefix(end + 2);
  }
  return text.substr(0, text.find(" (after "));
}

bool LogFilter::Says(std::string_view facility, std::string_view text, MonotonicTime now) {
  // Properties of producers are given to consumers, too, and the other way round.
  if (facility == "CONFWARN") return false;
  // Not yet: the coordinator of a transaction or a group moves, or loads.
  if (text.size() >= 8 && text.substr(text.size() - 8) == "retrying") return false;
  // The lines about each broker say why.
  if (Has(text, "brokers are down")) return false;
  const std::string_view core = CoreOfLogLine(text);
  const std::lock_guard lock(mutex_);
  if (said_.size() >= kMost) said_.clear();
  const auto [it, first] = said_.emplace(core, now);
  if (!first && now - it->second < kAgain) return false;
  it->second = now;
  return true;
}

}  // namespace coho::kafka
