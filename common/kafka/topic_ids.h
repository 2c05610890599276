// The ids that Kafka gave topics when they were made. Include only from .cc files of common/kafka.
#pragma once

#include <librdkafka/rdkafka.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/status.h"

namespace coho::kafka {

// Empty where the broker does not tell (older than Kafka 3).
[[nodiscard]] std::string TopicIdOf(const rd_kafka_TopicDescription_t* topic);

// A question for the ids of topics that is under way.
class PendingTopicIds {
 public:
  // REQUIRES: some topics.
  [[nodiscard]] static Result<std::unique_ptr<PendingTopicIds>> Ask(
      rd_kafka_t* client, const std::vector<std::string>& topics, int timeout_ms);
  ~PendingTopicIds();
  // nullopt: not answered yet. A topic that does not exist is absent. REQUIRES: not called after it
  // gave an answer.
  [[nodiscard]] std::optional<Result<std::map<std::string, std::string>>> Take();

 private:
  PendingTopicIds();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coho::kafka
