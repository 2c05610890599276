// Sends heartbeats and knows which of them Kafka acknowledged. Never waits for Kafka.
//
// Thread rule: the member's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/kafka/config.h"
#include "common/kafka/producer.h"
#include "common/model/assignment.h"

namespace coho {

class HeartbeatSender {
 public:
  HeartbeatSender(kafka::ClientConfig config, std::string topic);

  // A failure is logged, once per kind of silence; the next heartbeat tries again.
  void Send(const Heartbeat& heartbeat, MonotonicTime now);
  // When the latest heartbeat that Kafka acknowledged since the last call was sent.
  [[nodiscard]] std::optional<MonotonicTime> TakeAcknowledged();
  // Waits until everything sent is acknowledged.
  [[nodiscard]] Status Flush(Duration timeout);
  [[nodiscard]] uint64_t acknowledged() const { return acknowledged_; }

 private:
  struct UnderWay {
    MonotonicTime sent_at;
    kafka::DeliverySlot slot;
  };
  [[nodiscard]] Status TrySend(const Heartbeat& heartbeat, MonotonicTime now);

  const kafka::ClientConfig config_;
  const std::string topic_name_;
  std::deque<UnderWay> under_way_;  // outlives the producer; addresses stay
  std::unique_ptr<kafka::Producer> producer_;
  kafka::Producer::Topic topic_;
  uint64_t acknowledged_ = 0;
  bool silent_ = false;
};

}  // namespace coho
