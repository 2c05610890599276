// The run loop's ports on a real Kafka.
//
// Thread rule: as the ports.
#pragma once

#include <memory>
#include <string>

#include "common/kafka/config.h"
#include "common/model/job.h"
#include "worker/commit/ports.h"

namespace coho {

// Longer than a transaction of a live loop may last from its first send to its commit; so long a
// dead one's open transaction holds up read_committed readers, unless the worker starts again
// before.
[[nodiscard]] Duration TransactionTimeout(const Job& job);

class KafkaLoopPorts final : public LoopPorts {
 public:
  struct Options {
    const Job* job = nullptr;  // outlives the object
    kafka::ClientConfig kafka;
    std::string transactional_id;  // used with ExactlyOnce
    int64_t consumer_queue_bytes = 64 << 20;
    int64_t producer_queue_bytes = 64 << 20;
  };
  explicit KafkaLoopPorts(Options options) : options_(std::move(options)) {}

  [[nodiscard]] Result<std::unique_ptr<InputPort>> MakeInputs() override;
  [[nodiscard]] Result<std::unique_ptr<OutputPort>> MakeOutputs(
      std::function<bool()> keep_waiting) override;

 private:
  const Options options_;
};

}  // namespace coho
