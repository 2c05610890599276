// The smallest program that does the same input and output as a job of ours with exactly-once, and nothing else: the floor that
// the engine is measured against. Per thread one consumer by assignment and one transactional producer. `count` keeps an unbounded
// hash map, sends one changelog record per changed key and commit, and writes the changed values to RocksDB as one sorted batch every
// 10 seconds. It restores nothing, checks nothing and survives nothing.
#include <absl/container/flat_hash_map.h>
#include <rocksdb/db.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "common/base/check.h"
#include "common/kafka/admin.h"
#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"

namespace {

using std::chrono::steady_clock;

struct Options {
  std::string brokers = "127.0.0.1:19092", input, output, changelog, work = "pass-through",
              directory;
  int64_t records = 5'000'000;
  int commit_ms = 100, threads = 2, partitions = 8;
};

struct Count {
  uint64_t value = 0;
  bool changed = false, dirty = false;
};

void Must(const coho::Status& status) { COHO_CHECK(status.ok(), status.ToString().c_str()); }

void Run(const Options& options, int thread, std::atomic<int64_t>* processed) {
  const coho::kafka::ClientConfig config{.bootstrap_servers = options.brokers,
                                         .client_id = "bench-floor"};
  const std::string group = options.output + "-floor";
  auto consumer = coho::kafka::Consumer::Create(config, {.group_id = group}).value();
  auto producer = coho::kafka::Producer::Create(
                      config, {.transactional_id = group + "-" + std::to_string(thread)})
                      .value();
  Must(producer->InitTransactions(std::chrono::seconds(30)));
  const auto out = producer->OpenTopic(options.output).value();
  const bool counting = options.work == "count";
  coho::kafka::Producer::Topic changelog;
  rocksdb::DB* db = nullptr;
  if (counting) {
    changelog = producer->OpenTopic(options.changelog).value();
    rocksdb::Options db_options;
    db_options.create_if_missing = true;
    COHO_CHECK(
        rocksdb::DB::Open(db_options, options.directory + "/" + std::to_string(thread), &db).ok(),
        "open");
  }
  std::map<coho::TopicPartition, int64_t> positions;
  for (int p = thread; p < options.partitions; p += options.threads)
    positions[{options.input, p}] = coho::kafka::Consumer::kBegin;
  Must(consumer->Assign(positions));
  positions.clear();

  // One map per thread: a key's partition, and so its changelog partition, is always the same.
  absl::flat_hash_map<std::string, std::pair<Count, int32_t>> counts;
  std::vector<std::string> changed;
  coho::kafka::RecordBatch batch(1000);
  coho::kafka::DeliverySlot slot;
  std::vector<int64_t> next(static_cast<size_t>(options.partitions), -1);
  auto committed_at = steady_clock::now(), written_at = committed_at;
  bool open = false;
  std::vector<std::string> dirty_keys;
  while (processed->load(std::memory_order_relaxed) < options.records || open) {
    Must(consumer->Poll(std::chrono::milliseconds(10), &batch));
    int64_t in_batch = 0;
    for (size_t i = 0; i < batch.size(); ++i) {
      const auto record = batch[i];
      if (record.is_end_of_partition()) continue;
      if (!open) Must(producer->BeginTransaction());
      open = true;
      ++in_batch;
      next[static_cast<size_t>(record.partition())] = record.offset() + 1;
      if (!counting) {
        Must(producer->Send(out, coho::kafka::Producer::kByKey,
                            {.key = record.key(), .value = record.value()}));
        continue;
      }
      // Debian's absl has a string_view of its own.
      auto it = counts.find(absl::string_view(record.key().data(), record.key().size()));
      if (it == counts.end()) it = counts.try_emplace(std::string(record.key())).first;
      Count& count = it->second.first;
      it->second.second = record.partition();
      ++count.value;
      if (!count.changed) changed.push_back(it->first);
      if (!count.dirty) dirty_keys.push_back(it->first);
      count.changed = count.dirty = true;
      const uint64_t big = __builtin_bswap64(count.value);
      Must(producer->Send(
          out, coho::kafka::Producer::kByKey,
          {.key = record.key(), .value = {reinterpret_cast<const char*>(&big), sizeof big}}));
    }
    processed->fetch_add(in_batch, std::memory_order_relaxed);
    const auto now = steady_clock::now();
    if (open && (now - committed_at >= std::chrono::milliseconds(options.commit_ms) ||
                 processed->load() >= options.records)) {
      for (const std::string& key : changed) {
        auto& [count, partition] = counts.find(key)->second;
        count.changed = false;
        const uint64_t big = __builtin_bswap64(count.value);
        Must(producer->Send(
            changelog, partition,
            {.key = key, .value = {reinterpret_cast<const char*>(&big), sizeof big}}, &slot));
      }
      changed.clear();
      for (size_t p = 0; p < next.size(); ++p) {
        if (next[p] >= 0) positions[{options.input, static_cast<int32_t>(p)}] = next[p];
      }
      Must(producer->SendOffsets(group, positions, std::chrono::seconds(30)));
      Must(producer->CommitTransaction(std::chrono::seconds(30)));
      open = false;
      committed_at = now;
    }
    if (counting && !open && !dirty_keys.empty() && now - written_at >= std::chrono::seconds(10)) {
      std::sort(dirty_keys.begin(), dirty_keys.end());
      rocksdb::WriteBatch writes;
      for (const std::string& key : dirty_keys) {
        Count& count = counts.find(key)->second.first;
        count.dirty = false;
        writes.Put(key, {reinterpret_cast<const char*>(&count.value), sizeof count.value});
      }
      dirty_keys.clear();
      rocksdb::WriteOptions no_log;
      no_log.disableWAL = true;
      COHO_CHECK(db->Write(no_log, &writes).ok(), "write");
      written_at = now;
    }
  }
  delete db;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("The floor: the same input and output without an engine");
  app.add_option("--brokers", options.brokers);
  app.add_option("--input", options.input)->required();
  app.add_option("--output", options.output)->required();
  app.add_option("--changelog", options.changelog);
  app.add_option("--work", options.work)->check(CLI::IsMember({"pass-through", "count"}));
  app.add_option("--directory", options.directory);
  app.add_option("--records", options.records);
  app.add_option("--commit-ms", options.commit_ms);
  CLI11_PARSE(app, argc, argv);

  const auto start = steady_clock::now();
  std::atomic<int64_t> processed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < options.threads; ++t)
    threads.emplace_back([&, t] { Run(options, t, &processed); });
  for (auto& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(steady_clock::now() - start).count();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  const double millions = static_cast<double>(processed.load()) / 1e6;
  std::printf("%.0f %.2f %ld\n", millions * 1e6 / seconds, cpu / millions, usage.ru_maxrss / 1024);
  return 0;
}
