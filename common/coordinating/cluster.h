// The coordination service's connections to one Kafka cluster, whatever the number of jobs: admin client, transactional producer for
// the coordinator topics, a reader for them, and a follower of the heartbeats topics.
//
// Thread rule: the service's thread only. Errors as Status; every call is bounded in time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/coordinating/topic_plan.h"
#include "common/kafka/admin.h"
#include "common/kafka/config.h"
#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"
#include "common/model/assignment.h"
#include "common/model/job.h"

namespace coho {

class Cluster {
 public:
  Cluster(kafka::ClientConfig config, std::string transactional_id);

  // Opens what is not open. Initialises the producer, which fences an older coordinator, before anything can be read (R2).
  [[nodiscard]] Status Connect();
  // Grows each time the producer had to be made anew: what was read before has to be read again.
  [[nodiscard]] int64_t connection() const { return producer_ == nullptr ? 0 : connection_; }

  [[nodiscard]] Result<TopicFacts> Look(const Job& job);
  // The topics that exist among the job's, nothing more.
  [[nodiscard]] Result<std::map<std::string, kafka::TopicInfo>> Describe(const Job& job);
  [[nodiscard]] Status CreateTopics(const std::vector<kafka::NewTopic>& topics);
  [[nodiscard]] Result<CoordinatorState> ReadState(const std::string& topic);

  // One transaction. kAborted: certainly not written. kFenced: another coordinator took over. Else nobody knows, and the connection is
  // given up.
  [[nodiscard]] Status Write(const std::string& topic, const std::vector<TopicRecord>& records);
  [[nodiscard]] Status Fence(const std::vector<std::string>& transactional_ids);

  // Delivers the records of a heartbeats topic from now on, beginning with the oldest. The value is the topic's present end.
  [[nodiscard]] Result<int64_t> Follow(const std::string& topic);
  void Unfollow(const std::string& topic);
  using OnRecord =
      std::function<void(const std::string& topic, int64_t offset, std::string_view value)>;
  [[nodiscard]] Status Poll(Duration timeout, const OnRecord& on_record);

 private:
  [[nodiscard]] Status TryWrite(const std::string& topic, const std::vector<TopicRecord>& records);

  const kafka::ClientConfig config_;
  const std::string transactional_id_;
  std::unique_ptr<kafka::Admin> admin_;
  std::unique_ptr<kafka::Producer> producer_;
  std::unique_ptr<kafka::Consumer> reader_;
  std::unique_ptr<kafka::Consumer> follower_;
  std::map<std::string, int64_t> followed_;  // heartbeats topic -> next offset
  int64_t connection_ = 0;
  kafka::RecordBatch batch_{512};
};

}  // namespace coho
