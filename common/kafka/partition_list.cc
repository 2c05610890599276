#include "common/kafka/partition_list.h"

#include <algorithm>

#include "common/kafka/errors.h"
#include "common/kafka/owned.h"

namespace coho::kafka {
PartitionList ToList(const std::vector<TopicPartition>& partitions) {
  PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const TopicPartition& at : partitions) {
    rd_kafka_topic_partition_list_add(list.get(), at.topic.c_str(), at.partition);
  }
  return list;
}

PartitionList ToList(const std::map<TopicPartition, int64_t>& offsets) {
  PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())));
  for (const auto& [at, offset] : offsets) {
    rd_kafka_topic_partition_list_add(list.get(), at.topic.c_str(), at.partition)->offset = offset;
  }
  return list;
}

Result<int64_t> ListOffset(rd_kafka_t* client, const OffsetQuery& query, int timeout_ms) {
  const std::string context = "asking for offsets of topic " + query.partition.topic +
                              " partition " + std::to_string(query.partition.partition);
  const Owned<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy> options(
      rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_LISTOFFSETS));
  char reason[256] = "";
  if (rd_kafka_AdminOptions_set_request_timeout(options.get(), std::max(1, timeout_ms), reason,
                                                sizeof(reason)) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Internal(context + ": " + reason);
  }
  COHO_RETURN_IF_ERROR(TakeError(
      rd_kafka_AdminOptions_set_isolation_level(
          options.get(), query.read_committed ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
                                              : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED),
      context));
  const PartitionList list =
      ToList(std::map<TopicPartition, int64_t>{{query.partition, query.what}});
  const Owned<rd_kafka_queue_t, rd_kafka_queue_destroy> queue(rd_kafka_queue_new(client));
  rd_kafka_ListOffsets(client, list.get(), options.get(), queue.get());
  // librdkafka keeps the time; its own answer says more than ours would.
  const Owned<rd_kafka_event_t, rd_kafka_event_destroy> event(
      rd_kafka_queue_poll(queue.get(), timeout_ms + 1000));
  if (event == nullptr) return DeadlineExceeded(context + ": no answer");
  if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return ToStatus(rd_kafka_event_error(event.get()), context);
  }
  const rd_kafka_ListOffsets_result_t* result = rd_kafka_event_ListOffsets_result(event.get());
  size_t count = 0;
  const rd_kafka_ListOffsetsResultInfo_t** infos =
      rd_kafka_ListOffsets_result_infos(result, &count);
  if (count != 1)
    return Internal(context + ": the answer has " + std::to_string(count) + " partitions");
  const rd_kafka_topic_partition_t* at = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[0]);
  COHO_RETURN_IF_ERROR(ToStatus(at->err, context));
  return at->offset;
}

}  // namespace coho::kafka
