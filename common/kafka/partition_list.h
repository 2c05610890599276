// Lists of partitions and offsets as librdkafka wants them. Include only from .cc files of
// common/kafka.
#pragma once

#include <librdkafka/rdkafka.h>

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/kafka/consumer.h"
#include "common/kafka/owned.h"

namespace coho::kafka {

using PartitionList = Owned<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;

[[nodiscard]] PartitionList ToList(const std::vector<TopicPartition>& partitions);
[[nodiscard]] PartitionList ToList(const std::map<TopicPartition, int64_t>& offsets);

[[nodiscard]] inline std::span<const rd_kafka_topic_partition_t> Elements(
    const PartitionList& list) {
  return {list->elems, static_cast<size_t>(list->cnt)};
}

// A question for first offsets and ends that is under way.
class PendingRanges {
 public:
  [[nodiscard]] static Result<std::unique_ptr<PendingRanges>> Ask(
      rd_kafka_t* client, const std::vector<TopicPartition>& partitions, bool read_committed,
      int timeout_ms);
  ~PendingRanges();
  // nullopt: not answered within the wait. REQUIRES: not called after it gave an answer.
  [[nodiscard]] std::optional<Result<std::map<TopicPartition, OffsetRange>>> Take(int wait_ms);
  // The same, each partition for itself.
  [[nodiscard]] std::optional<std::map<TopicPartition, Result<OffsetRange>>> TakeEach(int wait_ms);

 private:
  PendingRanges();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// First offsets and ends of partitions, asked of their leaders in one go; with `read_committed` the
// end is the last stable offset.
[[nodiscard]] Result<std::map<TopicPartition, OffsetRange>> ListRanges(
    rd_kafka_t* client, const std::vector<TopicPartition>& partitions, bool read_committed,
    int timeout_ms);

// High watermarks. Partitions whose leader does not answer or does not know them are absent.
[[nodiscard]] Result<std::map<TopicPartition, int64_t>> ListHighWatermarks(
    rd_kafka_t* client, const std::vector<TopicPartition>& partitions, int timeout_ms);

}  // namespace coho::kafka
