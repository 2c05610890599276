// Where a task sends its output. What is sent in ExactlyOnce becomes visible to read_committed
// readers with the next commit. Used only on the run loop's thread, inside Process, Window or Init.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "common/base/status.h"
#include "common/kafka/record.h"

namespace coho {

class Collector {
 public:
  virtual ~Collector() = default;

  // Sends to one of spec.outputs, to the partition that Kafka's clients choose for the key
  // (murmur2). Key and value are copied. InvalidArgument when the topic is not among spec.outputs,
  // or the value does not fit its serde.
  [[nodiscard]] Status Send(std::string_view topic, std::string_view key, std::string_view value) {
    return SendBytes(topic, key, value, {});
  }
  // Encoded as the output's value serde says: int64 = 8 bytes big-endian, string or json = decimal
  // digits.
  [[nodiscard]] virtual Status Send(std::string_view topic, std::string_view key,
                                    int64_t value) = 0;
  // A null value: deletes the key in a compacted topic.
  [[nodiscard]] virtual Status SendTombstone(std::string_view topic, std::string_view key) = 0;
  [[nodiscard]] virtual Status SendBytes(std::string_view topic, std::string_view key,
                                         std::string_view value,
                                         std::span<const kafka::Header> headers) = 0;
};

}  // namespace coho
