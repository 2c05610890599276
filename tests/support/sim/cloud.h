// What simulated processes share: Kafka, the network to it, the disks. Kafka's clients and the
// stores' engines of the simulation find it here, since shipped code makes them by itself.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "tests/support/sim/disk.h"
#include "tests/support/sim/kafka.h"
#include "tests/support/sim/scheduler.h"

namespace coho::sim {

// Who can reach what, and what becomes of requests.
struct Network {
  MonotonicTime kafka_away_until{};
  std::map<const Process*, MonotonicTime> cut_until;
  std::map<const Process*, MonotonicTime> muted_until;          // its heartbeats do not arrive
  std::map<const Process*, MonotonicTime> throttled_until;      // by a quota: reads nothing
  std::map<std::string, MonotonicTime> coordinator_away_until;  // of a transactional id or group
  int64_t lost_before_per_mille = 0;                            // a request never arrives
  int64_t lost_after_per_mille = 0;                             // its answer does not
  int64_t latency_max_us = 4000;
  int64_t slow_fetch_percent = 0;
  // Records of producers without transactions (heartbeats): later, or twice.
  int64_t late_percent = 0;
  int64_t late_max_ms = 4000;
  int64_t doubled_percent = 0;
};

struct Cloud {
  explicit Cloud(uint64_t seed) : scheduler(seed), kafka(&scheduler) { current = this; }
  ~Cloud() { current = nullptr; }
  Cloud(const Cloud&) = delete;
  Cloud& operator=(const Cloud&) = delete;

  [[nodiscard]] bool Reaches(const Process* process, const std::string& coordinator = {}) const;
  // Each line becomes part of the trace's hash; `tell` prints it.
  void Trace(const std::string& line);

  Scheduler scheduler;
  Kafka kafka;
  Network network;
  Disks disks;
  std::map<const Process*, MonotonicTime> stands_until;  // user code
  bool tell = false;
  uint64_t hash = 1469598103934665603ULL;
  std::function<void(const std::string& process, const std::string& line)> on_log;

  static Cloud* current;
};

}  // namespace coho::sim
