// How a worker's memory is divided: one budget per process, from the cgroup's limit.
// All figures are caps, nothing is allocated ahead. MemoryBudgetFor is pure; CgroupMemoryLimit
// reads the machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace coho {

struct MemoryShares {
  int64_t limit_bytes = 1 << 30;  // of the process
  int32_t run_loops = 1;
  int32_t stores = 0;  // per task
};

struct MemoryBudget {
  int64_t block_cache_bytes = 0;
  int64_t memtable_bytes = 0;
  int64_t overlay_bytes = 0;  // of all stores
  int64_t dirty_bytes_per_loop = 0;
  int64_t consumer_queue_bytes_per_loop = 0;
  int64_t producer_queue_bytes_per_loop = 0;
};

[[nodiscard]] MemoryBudget MemoryBudgetFor(const MemoryShares& shares);

// The process's limit from cgroup v2 or v1 below `root` (normally "/sys/fs/cgroup"); nullopt: none
// is set.
[[nodiscard]] std::optional<int64_t> CgroupMemoryLimit(
    const std::string& root = "/sys/fs/cgroup", const std::string& self = "/proc/self/cgroup");

}  // namespace coho
