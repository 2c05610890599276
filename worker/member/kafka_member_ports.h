// The member's ports on a real Kafka.
//
// Thread rule: as the ports.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/kafka/admin.h"
#include "common/kafka/config.h"
#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"
#include "common/model/job.h"
#include "worker/member/ports.h"

namespace coho {

class KafkaCoordinatorLog final : public CoordinatorLog {
 public:
  // `job` outlives the object.
  KafkaCoordinatorLog(const Job* job, kafka::ClientConfig config);

  [[nodiscard]] Result<bool> TopicsExist(Duration timeout) override;
  [[nodiscard]] Result<LogEnds> Ends(Duration timeout) override;
  [[nodiscard]] Status Rewind(Duration timeout) override;
  [[nodiscard]] Status Poll(Duration timeout, std::vector<LogRecord>* records) override;
  [[nodiscard]] int64_t position() const override { return position_; }
  [[nodiscard]] Status Fence(const std::string& transactional_id, Duration timeout) override;

 private:
  [[nodiscard]] Status Connect();

  const Job* const job_;
  const kafka::ClientConfig config_;
  const TopicPartition topic_;
  std::unique_ptr<kafka::Admin> admin_;
  std::unique_ptr<kafka::Consumer> committed_;
  std::unique_ptr<kafka::Consumer> uncommitted_;  // asks where the topic ends, reads nothing
  kafka::RecordBatch batch_{500};
  bool assigned_ = false;
  int64_t position_ = 0;
};

class KafkaHeartbeatLog final : public HeartbeatLog {
 public:
  KafkaHeartbeatLog(const Job& job, kafka::ClientConfig config);

  [[nodiscard]] Status Send(int64_t number, const TopicRecord& record) override;
  [[nodiscard]] int64_t Delivered() override;
  [[nodiscard]] Status Flush(Duration timeout) override;

 private:
  struct UnderWay {
    int64_t number = 0;
    kafka::DeliverySlot slot;
  };
  const kafka::ClientConfig config_;
  const std::string topic_name_;
  const Duration delivery_timeout_;
  std::deque<UnderWay> under_way_;  // outlives the producer; addresses stay
  std::unique_ptr<kafka::Producer> producer_;
  kafka::Producer::Topic topic_;
  int64_t delivered_ = -1;
};

}  // namespace coho
