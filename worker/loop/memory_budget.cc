#include "worker/loop/memory_budget.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string_view>

namespace coho {
namespace {

constexpr int64_t kMiB = 1 << 20;

// Code, threads, librdkafka's and RocksDB's own structures.
constexpr int64_t kBaseBytes = 40 * kMiB;

std::optional<int64_t> ReadLimit(const std::string& path) {
  std::ifstream in(path);
  std::string text;
  if (!(in >> text)) return std::nullopt;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;  // "max"
  // cgroup v1 says "unlimited" as the largest number of pages.
  constexpr int64_t kUnlimited = int64_t{1} << 60;
  if (value <= 0 || value >= kUnlimited) return std::nullopt;
  return value;
}

std::optional<int64_t> Smaller(std::optional<int64_t> a, std::optional<int64_t> b) {
  if (!a) return b;
  if (!b) return a;
  return std::min(*a, *b);
}

// A limit may be set on the process's group or on any above it; in a container the group's path is
// not visible, and the mount's root is the container's own group.
std::optional<int64_t> SmallestOnPath(const std::string& mount, std::string group,
                                      const char* file) {
  std::optional<int64_t> limit = ReadLimit(mount + "/" + file);
  while (!group.empty() && group != "/") {
    limit = Smaller(limit, ReadLimit(mount + group + "/" + file));
    group.resize(group.find_last_of('/'));
  }
  return limit;
}

}  // namespace

MemoryBudget MemoryBudgetFor(const MemoryShares& shares) {
  const int64_t loops = std::max(1, shares.run_loops);
  // A quarter stays free for bursts: fetches that overshoot, compactions, iterators.
  const int64_t usable = std::max(32 * kMiB, shares.limit_bytes * 3 / 4 - kBaseBytes);
  // What a job without stores does not need goes to its queues.
  const bool stateful = shares.stores > 0;
  const int64_t queues = stateful ? usable * 3 / 10 : usable * 3 / 4;
  MemoryBudget out;
  if (stateful) {
    out.block_cache_bytes = usable * 2 / 10;
    out.memtable_bytes = usable * 2 / 10;
    out.overlay_bytes = usable * 3 / 10;
    out.dirty_bytes_per_loop = std::max(kMiB, out.overlay_bytes / loops);
  } else {
    out.block_cache_bytes = out.memtable_bytes = 8 * kMiB;
    out.overlay_bytes = out.dirty_bytes_per_loop = kMiB;
  }
  out.consumer_queue_bytes_per_loop = std::clamp(queues / 2 / loops, 4 * kMiB, 128 * kMiB);
  out.producer_queue_bytes_per_loop = std::clamp(queues / 2 / loops, 4 * kMiB, 128 * kMiB);
  return out;
}

std::optional<int64_t> CgroupMemoryLimit(const std::string& root, const std::string& self) {
  std::ifstream in(self);
  std::string line;
  std::optional<int64_t> limit;
  // Lines are "0::/path" (v2) or "4:memory:/path" (v1).
  while (std::getline(in, line)) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers =
        std::string_view(line).substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      limit = Smaller(limit, SmallestOnPath(root, group, "memory.max"));
    } else if (controllers == "memory") {
      limit = Smaller(limit, SmallestOnPath(root + "/memory", group, "memory.limit_in_bytes"));
    }
  }
  return limit;
}

}  // namespace coho
