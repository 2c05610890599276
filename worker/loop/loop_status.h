// What a run loop shows of itself to the rest of the process: a snapshot that the loop publishes a
// few times a second, read for heartbeats, /v1/tasks and /metrics. Values.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/model/assignment.h"
#include "worker/loop/task_runtime.h"

namespace coho {

struct PartitionStatus {
  TopicPartition partition;
  int64_t next = 0;
  int64_t committed = -1;
  int64_t end = -1;
};

struct StoreStatus {
  std::string name;
  int64_t bytes = 0;
  int64_t overlay_bytes = 0;
  int64_t dirty_bytes = 0;
  int64_t changelog_position = 0;
  int64_t commit_time_ms = 0;  // of the marker
};

struct TaskStatus {
  TaskReport report;
  int64_t restore_bytes = 0;
  std::vector<PartitionStatus> inputs;
  std::vector<StoreStatus> stores;
};

// Seconds that commits took, in cumulative-free buckets; the last one has no upper bound.
struct CommitTimes {
  static constexpr std::array<double, 12> kUpperBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                          0.1,   0.25,   0.5,   1,    2.5,   10};
  std::array<uint64_t, kUpperBounds.size() + 1> counts{};
  double sum = 0;
  void Add(double seconds);
};

struct LoopStatus {
  std::vector<TaskStatus> tasks;            // of now, sorted
  std::map<TaskId, TaskCounters> counters;  // of every task it ever ran
  CommitTimes commits;
  uint64_t commit_aborts = 0;
  uint64_t fenced = 0;
  uint64_t records_lost = 0;      // deleted by retention before they were processed
  uint64_t restores_planned = 0;  // records that finished restores had to replay
  bool initialised = false;       // its producer is
  uint64_t states_version = 0;    // grows when a task's state changes
};

}  // namespace coho
