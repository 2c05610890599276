#include "worker/loop/memory_budget.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

namespace coho {
namespace {

constexpr int64_t kMiB = 1 << 20;

TEST_CASE("MemoryBudgetFor: all caps together stay below the limit") {
  std::mt19937 random(4);
  for (int i = 0; i < 2000; ++i) {
    const MemoryShares shares{.limit_bytes = (128 + static_cast<int64_t>(random() % 8000)) * kMiB,
                              .run_loops = 1 + static_cast<int32_t>(random() % 4),
                              .stores = static_cast<int32_t>(random() % 3)};
    CAPTURE(i);
    CAPTURE(shares.limit_bytes);
    const MemoryBudget budget = MemoryBudgetFor(shares);
    const int64_t sum = budget.block_cache_bytes + budget.memtable_bytes + budget.overlay_bytes +
                        shares.run_loops * (budget.consumer_queue_bytes_per_loop +
                                            budget.producer_queue_bytes_per_loop);
    CHECK(sum < shares.limit_bytes);
    CHECK(budget.consumer_queue_bytes_per_loop >= 4 * kMiB);
  }
}

TEST_CASE("MemoryBudgetFor: more memory never means a smaller share") {
  MemoryBudget before;
  for (int64_t mib = 64; mib <= 4096; mib += 64) {
    CAPTURE(mib);
    const MemoryBudget now =
        MemoryBudgetFor({.limit_bytes = mib * kMiB, .run_loops = 2, .stores = 1});
    CHECK(now.block_cache_bytes >= before.block_cache_bytes);
    CHECK(now.overlay_bytes >= before.overlay_bytes);
    CHECK(now.consumer_queue_bytes_per_loop >= before.consumer_queue_bytes_per_loop);
    before = now;
  }
}

class FakeCgroups {
 public:
  FakeCgroups()
      : root_(std::filesystem::temp_directory_path() /
              ("coho-cgroup-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(root_);
  }
  ~FakeCgroups() { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::optional<int64_t> Limit() {
    return CgroupMemoryLimit(root_.string() + "/fs", root_.string() + "/self");
  }

 private:
  std::filesystem::path root_;
};

TEST_CASE("CgroupMemoryLimit: version 2, the smallest on the way up counts") {
  FakeCgroups cgroups;
  cgroups.Write("self", "0::/a/b\n");
  CHECK(cgroups.Limit() == std::nullopt);
  cgroups.Write("fs/a/b/memory.max", "max\n");
  CHECK(cgroups.Limit() == std::nullopt);
  cgroups.Write("fs/a/memory.max", "1073741824\n");
  CHECK(cgroups.Limit() == 1073741824);
  cgroups.Write("fs/a/b/memory.max", "536870912\n");
  CHECK(cgroups.Limit() == 536870912);
}

TEST_CASE("CgroupMemoryLimit: version 1, and the huge number that means none") {
  FakeCgroups cgroups;
  cgroups.Write("self", "5:cpu:/x\n4:memory:/x\n0::/\n");
  cgroups.Write("fs/memory/x/memory.limit_in_bytes", "9223372036854771712\n");
  CHECK(cgroups.Limit() == std::nullopt);
  cgroups.Write("fs/memory/memory.limit_in_bytes", "268435456\n");
  CHECK(cgroups.Limit() == 268435456);
}

}  // namespace
}  // namespace coho
