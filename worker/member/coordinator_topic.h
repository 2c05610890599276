// Follows a job's coordinator topic: folds its committed records and tells of each closed generation.
//
// Thread rule: the member's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/kafka/config.h"
#include "common/kafka/consumer.h"
#include "common/model/assignment.h"

namespace coho {

class CoordinatorTopic {
 public:
  // The topic exists.
  [[nodiscard]] static Result<std::unique_ptr<CoordinatorTopic>> Open(
      const kafka::ClientConfig& config, const std::string& topic, const std::string& group);

  // Remembers where the topic ends now; from then on AtEnd says whether everything before that is folded.
  [[nodiscard]] Status MarkEnd(Duration timeout);
  [[nodiscard]] bool AtEnd() const { return assigned_ && position_ >= end_; }

  // Reads what is there, waiting up to `timeout` for the first record. Calls `on_generation` for each record that closes a
  // generation, in order. REQUIRES: MarkEnd succeeded once, else only waits.
  [[nodiscard]] Status Poll(Duration timeout,
                            const std::function<void(const CoordinatorState&)>& on_generation);

  [[nodiscard]] const std::string& name() const { return topic_.topic; }

 private:
  CoordinatorTopic(TopicPartition topic, std::unique_ptr<kafka::Consumer> consumer);

  const TopicPartition topic_;
  const std::unique_ptr<kafka::Consumer> consumer_;
  kafka::RecordBatch batch_{500};
  CoordinatorState folded_;
  Generation closed_;
  bool assigned_ = false;
  int64_t position_ = 0;
  int64_t end_ = 0;
};

}  // namespace coho
