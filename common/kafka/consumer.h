// A Kafka consumer by explicit assignment: no group membership, no rebalances. Records are views
// into librdkafka's buffers: they live until the RecordBatch that holds them is destroyed or
// refilled.
//
// Thread rule: one thread at a time per Consumer (its run loop). Errors as Status.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/kafka/config.h"
#include "common/kafka/record.h"

namespace coho::kafka {

// Records of one poll. Reuse one per loop. Owns the messages, and keeps librdkafka's client alive
// as long as it holds any.
class RecordBatch {
 public:
  explicit RecordBatch(size_t capacity);
  ~RecordBatch();
  RecordBatch(const RecordBatch&) = delete;
  RecordBatch& operator=(const RecordBatch&) = delete;
  [[nodiscard]] size_t size() const { return records_.size(); }
  [[nodiscard]] size_t capacity() const { return messages_.size(); }
  [[nodiscard]] const Record& operator[](size_t i) const { return records_[i]; }
  [[nodiscard]] std::span<const Record> records() const { return records_; }
  void Clear();

 private:
  friend class Consumer;
  std::shared_ptr<void> client_;  // also owned by the Consumer that filled the batch
  std::vector<void*>
      messages_;  // rd_kafka_message_t*; a place to fill, valid in Consumer::Poll only
  std::vector<Record> records_;
};

struct ConsumerOptions {
  std::string group_id;  // for committed offsets and transactions; no membership
  bool read_committed = true;
  bool end_of_partition = true;  // deliver is_end_of_partition records
  // Bytes that librdkafka may hold for this consumer.
  int64_t queued_bytes_max = 64 << 20;
  // A partition that cannot be read any more is taken out and kept for TakeLost, instead of ending
  // Poll for all.
  bool lose_partitions = false;
};

class Consumer {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Consumer>> Create(const ClientConfig& config,
                                                                const ConsumerOptions& options);
  ~Consumer();
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  static constexpr int64_t kBegin = -2;  // earliest
  static constexpr int64_t kEnd = -1;    // latest

  // Adds partitions at these next offsets (or kBegin, kEnd); partitions already assigned are an
  // error.
  [[nodiscard]] Status Assign(const std::map<TopicPartition, int64_t>& positions);
  // Removes them; records of theirs that are already in a RecordBatch stay readable, no new ones
  // come.
  [[nodiscard]] Status Unassign(const std::vector<TopicPartition>& partitions);
  [[nodiscard]] Status Seek(const TopicPartition& partition, int64_t offset);

  // Waits up to `timeout` for the first record, then takes what is there. Where retention was
  // faster than the reader, it goes on with the first record that exists. Broker disconnects are
  // logged inside; the Status is only for what the loop must know (kUnauthenticated, kNotFound,
  // kFenced, kInternal fatal, kCorruption: records that are damaged, or an offset beyond the end).
  [[nodiscard]] Status Poll(Duration timeout, RecordBatch* batch);

  // Committed next offsets of the group; absent where none. Waits out pending transactions
  // ("stable" offsets).
  [[nodiscard]] Result<std::map<TopicPartition, int64_t>> Committed(
      const std::vector<TopicPartition>& partitions, Duration timeout);
  // Commits next offsets without transaction. Synchronous.
  [[nodiscard]] Status Commit(const std::map<TopicPartition, int64_t>& offsets);
  // The same, waiting for the answer no longer than `wait`; zero: not at all, and how it ends is
  // not told.
  [[nodiscard]] Status CommitWithin(const std::map<TopicPartition, int64_t>& offsets,
                                    Duration wait);
  // Asks the broker. With read_committed the end is the last stable offset.
  [[nodiscard]] Result<std::map<TopicPartition, OffsetRange>> QueryRanges(
      const std::vector<TopicPartition>& partitions, Duration timeout);
  [[nodiscard]] Result<OffsetRange> QueryRange(const TopicPartition& partition, Duration timeout);
  // The same without waiting: Ask, then Take until it has the answer. A new question drops the one
  // before.
  [[nodiscard]] Status AskRanges(const std::vector<TopicPartition>& partitions, Duration timeout);
  [[nodiscard]] std::optional<Result<std::map<TopicPartition, OffsetRange>>> TakeRanges();
  // Each for itself: a partition that has no answer does not keep it from the others.
  [[nodiscard]] std::optional<std::map<TopicPartition, Result<OffsetRange>>> TakeEachRange();
  // The ids of those of these topics that exist, empty where Kafka does not tell; again Ask, then
  // Take.
  [[nodiscard]] Status AskTopicIds(const std::vector<std::string>& topics, Duration timeout);
  [[nodiscard]] std::optional<Result<std::map<std::string, std::string>>> TakeTopicIds();
  // Records that a topic's retention deleted before they were read here; it went on with the first
  // that exists.
  [[nodiscard]] uint64_t records_lost() const;
  // High watermarks, whatever the isolation, of those partitions whose leaders answer.
  [[nodiscard]] Result<std::map<TopicPartition, int64_t>> QueryHighWatermarks(
      const std::vector<TopicPartition>& partitions, Duration timeout);
  // Offset of the first record that is not older than `time`; nullopt: there is none.
  [[nodiscard]] Result<std::optional<int64_t>> QueryOffsetAt(const TopicPartition& partition,
                                                             WallTime time, Duration timeout);
  // Reads all committed records of a partition that is not assigned, from its begin to its end, at
  // least to the high watermark of now, with every transaction below it decided: a commit is
  // acknowledged before its markers are written. No key is missing because it was written anew
  // meanwhile. Unassigns it again. REQUIRES: end_of_partition, nothing else assigned.
  [[nodiscard]] Status ReadToEnd(const TopicPartition& partition, Duration timeout,
                                 const std::function<Status(const Record&)>& take);
  // From the last fetch, no request; nullopt before the first one.
  [[nodiscard]] std::optional<OffsetRange> CachedRange(const TopicPartition& partition) const;

  // Partitions taken out since the last call, and why: only with lose_partitions.
  [[nodiscard]] std::map<TopicPartition, Status> TakeLost();

  [[nodiscard]] void* native() const;  // rd_kafka_t; for common/kafka only

 private:
  Consumer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coho::kafka
