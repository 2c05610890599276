// One input record as a task sees it. Views into the consumer's buffer: valid until Process returns; copy what must live longer.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "common/base/ids.h"
#include "common/kafka/consumer.h"

namespace coho {

// A record that did not come from Kafka: what a test driver hands to a task. Nothing is copied.
struct LooseRecord {
  std::string_view topic;
  int32_t partition = 0;
  int64_t offset = 0;
  int64_t timestamp_ms = 0;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;  // nullopt: tombstone
  std::span<const kafka::Header> headers = {};
};

class Envelope {
 public:
  // `record` outlives the envelope.
  Envelope(const kafka::Record& record, TaskId task) : record_(&record), task_(task) {}
  Envelope(const LooseRecord& record, TaskId task) : loose_(&record), task_(task) {}

  // Bytes of key and value; empty where the record has none. Already checked against the serde declared for the input, so that
  // a `string` is valid UTF-8, an `int64` has 8 bytes, a `json` parses.
  [[nodiscard]] std::string_view key() const {
    return loose_ ? loose_->key.value_or("") : record_->key();
  }
  [[nodiscard]] std::string_view value() const {
    return loose_ ? loose_->value.value_or("") : record_->value();
  }
  [[nodiscard]] bool has_key() const {
    return loose_ ? loose_->key.has_value() : record_->has_key();
  }
  [[nodiscard]] bool is_tombstone() const {
    return loose_ ? !loose_->value : record_->is_tombstone();
  }
  // REQUIRES: the input's key or value serde is int64.
  [[nodiscard]] int64_t key_int64() const;
  [[nodiscard]] int64_t value_int64() const;

  [[nodiscard]] std::string_view topic() const { return loose_ ? loose_->topic : record_->topic(); }
  [[nodiscard]] int32_t partition() const {
    return loose_ ? loose_->partition : record_->partition();
  }
  [[nodiscard]] int64_t offset() const { return loose_ ? loose_->offset : record_->offset(); }
  [[nodiscard]] int64_t timestamp_ms() const {
    return loose_ ? loose_->timestamp_ms : record_->timestamp_ms();
  }
  // Value of the first header of that name.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
  [[nodiscard]] TaskId task() const { return task_; }
  // REQUIRES: made from a Kafka record.
  [[nodiscard]] const kafka::Record& record() const { return *record_; }

 private:
  const kafka::Record* record_ = nullptr;
  const LooseRecord* loose_ = nullptr;
  TaskId task_;
};

}  // namespace coho
