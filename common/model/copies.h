// Where state lies: every copy of every task's stores, by worker and disk, and the view of it that
// people and pods are shown, one place per task. Values; no IO here.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/status.h"

namespace coho {

struct StoreCopy {
  std::string store;
  int64_t position = 0;  // next changelog offset to apply; 0 for a store without changelog
  int64_t bytes = 0;
  int64_t marker_time_ms = 0;  // of the commit that the copy ends with; 0: unknown
  friend bool operator==(const StoreCopy&, const StoreCopy&) = default;
};

struct TaskCopy {
  std::vector<StoreCopy> stores;           // sorted by name
  [[nodiscard]] int64_t position() const;  // sum over stores
  [[nodiscard]] int64_t bytes() const;
  friend bool operator==(const TaskCopy&, const TaskCopy&) = default;
};

// Coordinator topic, key "state/<worker>": replaced whole, so what is absent is gone. Never written
// in the transaction of a generation.
struct WorkerCopies {
  std::string disk_id;
  std::string node;    // Kubernetes node name; host name in standalone mode
  std::string zone;    // topology.kubernetes.io/zone; may be empty
  std::string volume;  // PersistentVolume or state directory
  int64_t seen_at_ms = 0;
  std::map<TaskId, TaskCopy> tasks;
  friend bool operator==(const WorkerCopies&, const WorkerCopies&) = default;
};
using Copies = std::map<WorkerId, WorkerCopies>;

// Where a task's best copy lies.
struct TaskLocality {
  WorkerId worker;
  std::string node;
  std::string zone;
  std::string volume;
  int64_t changelog_position = 0;  // sum over stores
  int64_t bytes = 0;
  int64_t seen_at_ms = 0;
  friend bool operator==(const TaskLocality&, const TaskLocality&) = default;
};
using Locality = std::map<TaskId, TaskLocality>;

struct Assignment;
// Of each task the copy that is furthest; of equal ones its owner's, then the one with the latest
// marker, then that of the lowest worker.
[[nodiscard]] Locality LocalityOf(const Copies& copies, const Assignment& assignment);

}  // namespace coho
