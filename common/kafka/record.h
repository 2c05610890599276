// The values that travel between a program and Kafka, without any client: records as they are read,
// messages as they are sent.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace coho::kafka {

struct Header {
  std::string_view name;
  std::string_view value;
};

// A record that does not lie in librdkafka's buffer: what tests and simulations read. Nothing is
// copied.
struct RecordParts {
  std::string_view topic;
  int32_t partition = 0;
  int64_t offset = 0;
  int64_t timestamp_ms = 0;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;  // nullopt: tombstone
  std::span<const Header> headers = {};
  bool is_end_of_partition = false;
  const void* topic_handle = nullptr;  // nullptr: the topic's characters identify it
};

// One record as it lies in its reader's buffer. Cheap to copy; does not own.
class Record {
 public:
  explicit Record(const void* message);  // rd_kafka_message_t
  // `parts` outlives the record.
  explicit Record(const RecordParts& parts);
  [[nodiscard]] std::string_view key() const { return {key_, key_size_}; }
  [[nodiscard]] bool has_key() const { return key_ != nullptr; }
  [[nodiscard]] std::string_view value() const { return {value_, value_size_}; }
  [[nodiscard]] bool is_tombstone() const { return value_ == nullptr; }  // null value
  [[nodiscard]] std::string_view topic() const;
  // Identity of the topic inside its consumer, stable while it is assigned: compare pointers
  // instead of names.
  [[nodiscard]] const void* topic_handle() const { return topic_; }
  [[nodiscard]] int32_t partition() const { return partition_; }
  [[nodiscard]] int64_t offset() const { return offset_; }
  [[nodiscard]] int64_t timestamp_ms() const;
  [[nodiscard]] std::vector<Header> headers() const;
  // The partition's end was reached: offset() is the next offset to be written (past control
  // records). No key, no value.
  [[nodiscard]] bool is_end_of_partition() const { return is_end_; }

 private:
  friend class RecordBatch;
  const void* message_ = nullptr;
  const RecordParts* parts_ = nullptr;  // instead of message_
  const char* key_ = nullptr;
  const char* value_ = nullptr;
  const void* topic_;
  int64_t offset_;
  uint32_t key_size_ = 0;
  uint32_t value_size_ = 0;
  int32_t partition_;
  bool is_end_;
};

struct OffsetRange {
  int64_t begin = 0;  // first offset that exists
  int64_t end = 0;    // next offset to be written (read_committed: the last stable offset)
};

// What is sent. Key and value are copied by the send.
struct Message {
  std::string_view key;
  std::string_view value;
  bool has_key = true;
  bool has_value = true;     // false: tombstone
  int64_t timestamp_ms = 0;  // 0: now
  std::span<const Header> headers = {};
};

// To the partition that Kafka's own clients choose: murmur2 of the key; no key: random.
inline constexpr int32_t kPartitionByKey = -1;

// Where a record that was sent with a DeliverySlot ended up. `last_offset` is the highest offset
// acknowledged so far of those sent with this slot (-1: none). One slot per changelog partition.
// Must outlive the producer's flush.
struct DeliverySlot {
  int64_t last_offset = -1;
  bool failed = false;  // one of them was given up
};

}  // namespace coho::kafka
