#include "tests/support/sim/cloud.h"

#include <cstdio>

namespace coho::sim {

Cloud* Cloud::current = nullptr;

bool Cloud::Reaches(const Process* process, const std::string& coordinator) const {
  const MonotonicTime now = scheduler.now();
  if (network.kafka_away_until > now) return false;
  if (const auto cut = network.cut_until.find(process);
      cut != network.cut_until.end() && cut->second > now)
    return false;
  if (coordinator.empty()) return true;
  const auto away = network.coordinator_away_until.find(coordinator);
  return away == network.coordinator_away_until.end() || away->second <= now;
}

void Cloud::Trace(const std::string& line) {
  const int64_t us = scheduler.now().time_since_epoch() / std::chrono::microseconds(1) -
                     int64_t{3'600'000'000'000};
  for (const char c : line) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  hash = (hash ^ static_cast<uint64_t>(us)) * 1099511628211ULL;
  if (!tell) return;
  const Process* process = Scheduler::CurrentProcess();
  std::printf("%10.3f %-10s %s\n", static_cast<double>(us) / 1e6,
              process == nullptr ? "-" : process->name.c_str(), line.c_str());
}

}  // namespace coho::sim
