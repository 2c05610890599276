// What the state of one task costs: counts keys in a TaskStore on RocksDB as the built-in task
// does, with commits and write-backs but without Kafka, and prints the CPU time of each part per
// record.
#include <sys/resource.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "worker/sdk/store.h"
#include "worker/store/task_store.h"

namespace coho {
namespace {

struct Flags {
  std::string keys = "zipf";
  uint32_t key_count = 1'000'000;
  uint32_t records = 5'000'000;
  uint32_t commit_every = 50'000;
  uint32_t flush_every = 5'000'000;
  int32_t tasks = 8;
  int64_t overlay_mib = 32;
  std::string directory = "/tmp/coho-bench-store";
};

// Of this thread alone: RocksDB's own threads are in the process's figure.
int64_t ThreadCpuNanos() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

std::vector<uint32_t> MakeKeys(const Flags& flags) {
  std::mt19937_64 random(42);
  std::vector<uint32_t> keys(flags.records);
  if (flags.keys == "uniform") {
    for (uint32_t& key : keys) key = static_cast<uint32_t>(random() % flags.key_count);
    return keys;
  }
  std::vector<double> sums(flags.key_count);
  double sum = 0;
  for (uint32_t i = 0; i < flags.key_count; ++i) sums[i] = sum += 1.0 / (i + 1);
  std::uniform_real_distribution<double> uniform(0, sum);
  for (uint32_t& key : keys) {
    const auto rank = std::lower_bound(sums.begin(), sums.end(), uniform(random)) - sums.begin();
    // Neighbours in rank are none in key order.
    key = static_cast<uint32_t>((static_cast<uint64_t>(rank) * 2'654'435'761U) % flags.key_count);
  }
  return keys;
}

struct Cost {
  int64_t process = 0;
  int64_t changes = 0;
  int64_t write_back = 0;
  int64_t changed = 0;
  int64_t write_backs = 0;
};

int Run(const Flags& flags) {
  std::filesystem::remove_all(flags.directory);
  auto factory = EngineFactory::Create({.directory = flags.directory});
  if (!factory.ok()) {
    std::fprintf(stderr, "%s\n", factory.status().ToString().c_str());
    return 1;
  }
  std::vector<std::unique_ptr<TaskStore>> stores;
  std::vector<KeyValueStore<std::string_view, int64_t>> counts(static_cast<size_t>(flags.tasks));
  for (int32_t task = 0; task < flags.tasks; ++task) {
    stores.push_back(std::make_unique<TaskStore>(
        TaskStore::Options{
            .spec = {.name = "s", .key = SerdeType::kString, .value = SerdeType::kInt64},
            .marker = {"bench.store", "changelog", task, 0, 0},
            .overlay_bytes_max = flags.overlay_mib << 20},
        (*factory)->Open("s", TaskId(task)).value()));
    if (!counts[static_cast<size_t>(task)].Bind(stores.back().get()).ok()) return 1;
  }
  const std::vector<uint32_t> keys = MakeKeys(flags);

  Cost cost;
  Status status;
  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  const auto began = std::chrono::steady_clock::now();
  for (size_t at = 0; at < keys.size() && status.ok();) {
    const size_t end = std::min(keys.size(), at + flags.commit_every);
    int64_t start = ThreadCpuNanos();
    char key[] = "user-0000000000";
    for (; at < end; ++at) {
      char* digit = key + sizeof key - 1;
      for (uint32_t rest = keys[at]; rest > 0; rest /= 10)
        *--digit = static_cast<char>('0' + rest % 10);
      std::fill(key + 5, digit, '0');
      const std::string_view name(key, sizeof key - 1);
      auto& store = counts[keys[at] % counts.size()];
      store.Put(name, store.Get(name).value_or(0) + 1);
    }
    cost.process += ThreadCpuNanos() - start;

    start = ThreadCpuNanos();
    for (auto& store : stores) {
      int64_t sent = 0;
      status = store->TakeChanges([&](std::string_view, std::optional<std::string_view>) {
        ++sent;
        return Status::Ok();
      });
      store->Committed(store->marker().position + sent, FromUnixMillis(1), {});
      cost.changed += sent;
    }
    cost.changes += ThreadCpuNanos() - start;

    start = ThreadCpuNanos();
    const bool flush = at / flags.flush_every != (at - flags.commit_every) / flags.flush_every;
    for (auto& store : stores) {
      if (!store->over_budget() && !flush) continue;
      status = store->WriteBack();
      if (status.ok() && flush) status = store->Flush();
      ++cost.write_backs;
    }
    cost.write_back += ThreadCpuNanos() - start;
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - began;
  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  const double cpu = seconds(after.ru_utime) - seconds(before.ru_utime) + seconds(after.ru_stime) -
                     seconds(before.ru_stime);
  const auto per_record = [&](int64_t nanos) { return static_cast<double>(nanos) / flags.records; };
  std::printf("%s keys=%u records=%u commit_every=%u tasks=%d overlay_mib=%ld\n",
              flags.keys.c_str(), flags.key_count, flags.records, flags.commit_every, flags.tasks,
              flags.overlay_mib);
  std::printf(
      "  get+put %.0f ns/record, changes %.0f (%.2f M keys), write-back %.0f (%ld of them)\n",
      per_record(cost.process), per_record(cost.changes), static_cast<double>(cost.changed) / 1e6,
      per_record(cost.write_back), cost.write_backs);
  std::printf("  process %.2f CPU s/M records, %.2f s wall, peak RSS %ld MiB\n",
              cpu / flags.records * 1e6, wall.count(), after.ru_maxrss >> 10);
  stores.clear();
  std::filesystem::remove_all(flags.directory);
  return 0;
}

}  // namespace
}  // namespace coho

int main(int argc, char** argv) {
  coho::Flags flags;
  CLI::App app("What the state of a task costs, without Kafka");
  app.add_option("--keys", flags.keys, "zipf or uniform")
      ->check(CLI::IsMember({"zipf", "uniform"}))
      ->capture_default_str();
  app.add_option("--key-count", flags.key_count)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--records", flags.records)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--commit-every", flags.commit_every, "records")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--flush-every", flags.flush_every, "records")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--tasks", flags.tasks)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--overlay-mib", flags.overlay_mib, "budget of one store")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--directory", flags.directory)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return coho::Run(flags);
}
