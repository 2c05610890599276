// Everything that coordinating needs of one Kafka cluster, as requests and events: nothing here
// waits for Kafka. What takes time is asked for and answered later, each request once, in any
// order; what one request costs, no other one has to pay. Implemented over librdkafka by
// KafkaCluster, and in memory by the simulator.
//
// Thread rule: Ask and Take on one thread; Wake on any.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/kafka/topic.h"
#include "common/model/assignment.h"

namespace coho {

using RequestId = int64_t;

// Initialises a new transactional producer with this id, which fences every older one. Ends the
// writer that was open. A writer is known by the number that its opening was answered with; it is
// closed when a write ends neither written nor certainly not written.
struct OpenWriter {
  std::string transactional_id;
};
// The topics that exist among `topics`, and the configurations of those that exist among
// `configs_of`.
struct LookAtTopics {
  std::vector<std::string> topics;
  std::vector<std::string> configs_of;
};
struct CreateTopics {
  std::vector<kafka::NewTopic> topics;
};
// All committed records of partition 0, from its begin to its end, at least to the high watermark
// of when it was asked; answered only when every transaction that began below that is decided.
struct ReadTopic {
  std::string topic;
};
// One transaction of the writer.
struct WriteTopic {
  int64_t writer = 0;
  std::string topic;
  std::vector<TopicRecord> records;
};
// Makes every producer of these transactional ids powerless.
struct FenceIds {
  std::vector<std::string> transactional_ids;
};
// Heartbeats of the topic whose record time is not before `since` arrive as HeartbeatSeen until
// UnfollowHeartbeats; following a topic that is followed begins anew. Answered when it began.
struct FollowHeartbeats {
  std::string topic;
  WallTime since;
};
struct UnfollowHeartbeats {
  std::string topic;
};
using ClusterRequest = std::variant<OpenWriter, LookAtTopics, CreateTopics, ReadTopic, WriteTopic,
                                    FenceIds, FollowHeartbeats, UnfollowHeartbeats>;

// Answers.
struct WriterOpened {
  Status status;
  int64_t writer = 0;  // grows
};
struct TopicsSeen {
  Status status;
  std::string kafka_cluster_id;
  std::map<std::string, kafka::TopicInfo> topics;
  std::map<std::string, std::map<std::string, std::string>> configs;
};
struct TopicsCreated {
  Status status;
};
struct StoredRecord {
  TopicRecord record;
  int64_t offset = 0;
  int64_t written_at_ms = 0;
};
struct TopicRead {
  Status status;
  std::vector<StoredRecord> records;  // in order, empty where the topic is
};
enum class WriteOutcome {
  kWritten,
  kNotWritten,  // certainly; the writer goes on
  kUnknown,     // nobody knows; the writer is closed
  // by another coordinator, or because it took too long; perhaps only after it was written; the
  // writer is closed
  kFenced,
};
struct WriteEnded {
  WriteOutcome outcome = WriteOutcome::kUnknown;
  Status status;
};
struct IdsFenced {
  Status status;  // OK: all of them
};
struct FollowBegun {
  Status status;
  int64_t end = 0;  // of the topic, at that time: heartbeats before it are history
};
using ClusterAnswer = std::variant<WriterOpened, TopicsSeen, TopicsCreated, TopicRead, WriteEnded,
                                   IdsFenced, FollowBegun>;

// Events.
struct Answered {
  RequestId request = 0;
  ClusterAnswer answer;
};
struct HeartbeatSeen {
  std::string topic;
  int64_t offset = 0;
  int64_t written_at_ms = 0;  // the record's time
  std::string value;
  std::string key = {};
};
// Everything that was in the topic at `as_of` has been delivered. Comes about once a second as long
// as Kafka answers: where it stays away nobody was heard, and nobody may be called silent.
struct HeartbeatsHeard {
  std::string topic;
  MonotonicTime as_of;
};
// The topic was truncated or made anew, or is gone: it is followed no longer.
struct HeartbeatsLost {
  std::string topic;
  Status status;
};
using ClusterEvent = std::variant<Answered, HeartbeatSeen, HeartbeatsHeard, HeartbeatsLost>;

class ClusterPort {
 public:
  virtual ~ClusterPort() = default;
  // Begins the request; UnfollowHeartbeats alone is not answered. `id` is the asker's, and new.
  virtual void Ask(RequestId id, ClusterRequest request) = 0;
  // What happened since the last call, oldest first, at most `most`: fewer means that there is no
  // more for now. Waits up to `timeout` for the first.
  [[nodiscard]] virtual std::vector<ClusterEvent> Take(Duration timeout, size_t most) = 0;
  // Ends a Take that waits, or the next one.
  virtual void Wake() = 0;
};

}  // namespace coho
