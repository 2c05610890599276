// The smallest program that does the same input and output as a job of ours with exactly-once, and
// nothing else, on librdkafka and RocksDB as they are: the floor that the engine is measured
// against. Per thread one consumer by assignment and one transactional producer. `count` keeps an
// unbounded hash map, sends one changelog record per changed key and commit, and writes the changed
// values to RocksDB as one sorted batch every flush interval. It restores nothing, checks nothing
// and survives nothing.
#include <absl/container/flat_hash_map.h>
#include <rocksdb/db.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/plain_kafka.h"

namespace coho::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct Options {
  std::string brokers = "127.0.0.1:19092", input, output, changelog, work = "pass-through",
              directory;
  int64_t records = 5'000'000;
  int commit_ms = 100, flush_ms = 10'000, threads = 2, partitions = 8;
};

struct Count {
  uint64_t value = 0;
  int32_t partition = 0;
  bool changed = false, dirty = false;
};

class Thread {
 public:
  Thread(const Options& options, int number, std::atomic<int64_t>* processed)
      : options_(options),
        counting_(options.work == "count"),
        processed_(*processed),
        consumer_(MakeReader(options.brokers,
                             {{"queued.min.messages", "200000"}, {"fetch.wait.max.ms", "100"}})),
        producer_(MakeClient(RD_KAFKA_PRODUCER, {{"bootstrap.servers", options.brokers},
                                                 {"transactional.id", options.output + "-floor-" +
                                                                          std::to_string(number)},
                                                 {"linger.ms", "5"},
                                                 {"compression.codec", "lz4"},
                                                 {"partitioner", "murmur2_random"},
                                                 {"queue.buffering.max.messages", "1000000"}})) {
    Must(rd_kafka_init_transactions(producer_.get(), 30'000), "init transactions");
    output_ = OpenTopic(options.output);
    if (counting_) {
      changelog_ = OpenTopic(options.changelog);
      OpenStore(options.directory + "/" + std::to_string(number));
    }
    std::vector<int> mine;
    for (int p = number; p < options.partitions; p += options.threads) mine.push_back(p);
    next_.resize(static_cast<size_t>(options.partitions), -1);
    Assign(consumer_.get(), options.input, mine, RD_KAFKA_OFFSET_BEGINNING);
    queue_ = rd_kafka_queue_get_consumer(consumer_.get());
  }

  ~Thread() {
    rd_kafka_queue_destroy(queue_);
    rd_kafka_topic_destroy(output_);
    if (changelog_ != nullptr) rd_kafka_topic_destroy(changelog_);
    rd_kafka_consumer_close(consumer_.get());
  }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  void Run() {
    auto committed_at = steady_clock::now();
    auto written_at = committed_at;
    std::vector<rd_kafka_message_t*> batch(1000);
    while (processed_.load(std::memory_order_relaxed) < options_.records || open_) {
      const ssize_t n = rd_kafka_consume_batch_queue(queue_, 10, batch.data(), batch.size());
      if (n < 0) Die("consume");
      int64_t taken = 0;
      for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
        if (batch[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
          Process(*batch[i]);
          ++taken;
        }
        rd_kafka_message_destroy(batch[i]);
      }
      processed_.fetch_add(taken, std::memory_order_relaxed);
      rd_kafka_poll(producer_.get(), 0);
      const auto now = steady_clock::now();
      if (open_ && (now - committed_at >= milliseconds(options_.commit_ms) ||
                    processed_.load() >= options_.records)) {
        Commit();
        committed_at = now;
      }
      if (!open_ && !dirty_keys_.empty() && now - written_at >= milliseconds(options_.flush_ms)) {
        WriteBack();
        written_at = now;
      }
    }
  }

 private:
  rd_kafka_topic_t* OpenTopic(const std::string& name) {
    return rd_kafka_topic_new(producer_.get(), name.c_str(), nullptr);
  }

  void OpenStore(const std::string& path) {
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::DB* db = nullptr;
    if (!rocksdb::DB::Open(options, path, &db).ok()) Die("cannot open " + path);
    db_.reset(db);
  }

  void Send(rd_kafka_topic_t* topic, int32_t partition, std::string_view key,
            std::string_view value) {
    // The library copies; full queues drain.
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, const_cast<char*>(value.data()),
                            value.size(), key.data(), key.size(), nullptr) != 0) {
      Must(rd_kafka_last_error() == RD_KAFKA_RESP_ERR__QUEUE_FULL ? RD_KAFKA_RESP_ERR_NO_ERROR
                                                                  : rd_kafka_last_error(),
           "produce");
      rd_kafka_poll(producer_.get(), 10);
    }
  }

  void Process(const rd_kafka_message_t& record) {
    if (!open_) Must(rd_kafka_begin_transaction(producer_.get()), "begin");
    open_ = true;
    next_[static_cast<size_t>(record.partition)] = record.offset + 1;
    const std::string_view key = KeyOf(record);
    if (!counting_) return Send(output_, RD_KAFKA_PARTITION_UA, key, ValueOf(record));
    // Debian's absl has a string_view of its own.
    auto it = counts_.find(absl::string_view(key.data(), key.size()));
    if (it == counts_.end()) it = counts_.try_emplace(std::string(key)).first;
    Count& count = it->second;
    count.partition = record.partition;
    ++count.value;
    if (!count.changed) changed_.push_back(it->first);
    if (!count.dirty) dirty_keys_.push_back(it->first);
    count.changed = count.dirty = true;
    SendCount(output_, RD_KAFKA_PARTITION_UA, key, count.value);
  }

  void SendCount(rd_kafka_topic_t* topic, int32_t partition, std::string_view key, uint64_t value) {
    const uint64_t big = __builtin_bswap64(value);
    Send(topic, partition, key, {reinterpret_cast<const char*>(&big), sizeof big});
  }

  void Commit() {
    for (const std::string& key : changed_) {
      Count& count = counts_.find(key)->second;
      count.changed = false;
      SendCount(changelog_, count.partition, key, count.value);
    }
    changed_.clear();
    const PartitionList positions(rd_kafka_topic_partition_list_new(8));
    for (size_t p = 0; p < next_.size(); ++p) {
      if (next_[p] >= 0)
        rd_kafka_topic_partition_list_add(positions.get(), options_.input.c_str(),
                                          static_cast<int32_t>(p))
            ->offset = next_[p];
    }
    rd_kafka_consumer_group_metadata_t* group = rd_kafka_consumer_group_metadata(consumer_.get());
    Must(rd_kafka_send_offsets_to_transaction(producer_.get(), positions.get(), group, 30'000),
         "send offsets");
    rd_kafka_consumer_group_metadata_destroy(group);
    Must(rd_kafka_commit_transaction(producer_.get(), 30'000), "commit");
    open_ = false;
  }

  void WriteBack() {
    std::sort(dirty_keys_.begin(), dirty_keys_.end());
    rocksdb::WriteBatch writes;
    for (const std::string& key : dirty_keys_) {
      Count& count = counts_.find(key)->second;
      count.dirty = false;
      writes.Put(key, {reinterpret_cast<const char*>(&count.value), sizeof count.value});
    }
    dirty_keys_.clear();
    rocksdb::WriteOptions no_log;
    no_log.disableWAL = true;
    if (!db_->Write(no_log, &writes).ok()) Die("write");
  }

  const Options& options_;
  const bool counting_;
  std::atomic<int64_t>& processed_;
  const Client consumer_;
  const Client producer_;
  rd_kafka_queue_t* queue_ = nullptr;
  rd_kafka_topic_t* output_ = nullptr;
  rd_kafka_topic_t* changelog_ = nullptr;
  std::unique_ptr<rocksdb::DB> db_;
  // A key's partition, and so its changelog partition, is always the same.
  absl::flat_hash_map<std::string, Count> counts_;
  std::vector<std::string> changed_;
  std::vector<std::string> dirty_keys_;
  std::vector<int64_t> next_;
  bool open_ = false;
};

}  // namespace
}  // namespace coho::bench

int main(int argc, char** argv) {
  using coho::bench::Thread;
  coho::bench::Options options;
  CLI::App app("The floor: the same input and output without an engine");
  app.add_option("--brokers", options.brokers);
  app.add_option("--input", options.input)->required();
  app.add_option("--output", options.output)->required();
  app.add_option("--changelog", options.changelog);
  app.add_option("--work", options.work)->check(CLI::IsMember({"pass-through", "count"}));
  app.add_option("--directory", options.directory);
  app.add_option("--records", options.records);
  app.add_option("--commit-ms", options.commit_ms);
  app.add_option("--flush-ms", options.flush_ms);
  app.add_option("--partitions", options.partitions);
  CLI11_PARSE(app, argc, argv);

  std::atomic<int64_t> processed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < options.threads; ++t)
    threads.emplace_back([&, t] { Thread(options, t, &processed).Run(); });
  for (auto& thread : threads) thread.join();
  return 0;
}
