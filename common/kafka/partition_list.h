// Lists of partitions and offsets as librdkafka wants them. Include only from .cc files of common/kafka.
#pragma once

#include <librdkafka/rdkafka.h>

#include <map>
#include <span>
#include <vector>

#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/kafka/owned.h"

namespace coho::kafka {

using PartitionList = Owned<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;

[[nodiscard]] PartitionList ToList(const std::vector<TopicPartition>& partitions);
[[nodiscard]] PartitionList ToList(const std::map<TopicPartition, int64_t>& offsets);

[[nodiscard]] inline std::span<const rd_kafka_topic_partition_t> Elements(
    const PartitionList& list) {
  return {list->elems, static_cast<size_t>(list->cnt)};
}

struct OffsetQuery {
  TopicPartition partition;
  rd_kafka_OffsetSpec_t what = RD_KAFKA_OFFSET_SPEC_LATEST;
  bool read_committed = true;  // the latest offset is then the last stable one
};
// Asks the partition's leader.
[[nodiscard]] Result<int64_t> ListOffset(rd_kafka_t* client, const OffsetQuery& query,
                                         int timeout_ms);

}  // namespace coho::kafka
