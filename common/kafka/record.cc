// What a record is whoever made it; the rest, which knows librdkafka's messages, is in consumer.cc.
#include "common/kafka/record.h"

namespace coho::kafka {

Record::Record(const RecordParts& parts)
    : parts_(&parts),
      topic_(parts.topic_handle == nullptr ? parts.topic.data() : parts.topic_handle),
      offset_(parts.offset),
      partition_(parts.partition),
      is_end_(parts.is_end_of_partition) {
  // Null and empty are different things to Kafka.
  if (parts.key) {
    key_ = parts.key->data() == nullptr ? "" : parts.key->data();
    key_size_ = static_cast<uint32_t>(parts.key->size());
  }
  if (parts.value) {
    value_ = parts.value->data() == nullptr ? "" : parts.value->data();
    value_size_ = static_cast<uint32_t>(parts.value->size());
  }
}

}  // namespace coho::kafka
