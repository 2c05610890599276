#include "common/kafka/topic_ids.h"

#include <algorithm>
#include <span>

#include "common/kafka/errors.h"
#include "common/kafka/owned.h"

namespace coho::kafka {

std::string TopicIdOf(const rd_kafka_TopicDescription_t* topic) {
  const rd_kafka_Uuid_t* id = rd_kafka_TopicDescription_topic_id(topic);
  if (id == nullptr || (rd_kafka_Uuid_most_significant_bits(id) == 0 &&
                        rd_kafka_Uuid_least_significant_bits(id) == 0)) {
    return "";
  }
  return rd_kafka_Uuid_base64str(id);
}

struct PendingTopicIds::Impl {
  std::string context;
  Owned<rd_kafka_queue_t, rd_kafka_queue_destroy> queue;
};

PendingTopicIds::PendingTopicIds() : impl_(std::make_unique<Impl>()) {}
PendingTopicIds::~PendingTopicIds() = default;

Result<std::unique_ptr<PendingTopicIds>> PendingTopicIds::Ask(
    rd_kafka_t* client, const std::vector<std::string>& topics, int timeout_ms) {
  std::unique_ptr<PendingTopicIds> pending(new PendingTopicIds);
  Impl& impl = *pending->impl_;
  impl.context = "asking for the id of topic " + topics.front();
  impl.queue.reset(rd_kafka_queue_new(client));
  std::vector<const char*> names;
  for (const std::string& topic : topics) names.push_back(topic.c_str());
  const Owned<rd_kafka_TopicCollection_t, rd_kafka_TopicCollection_destroy> collection(
      rd_kafka_TopicCollection_of_topic_names(names.data(), names.size()));
  const Owned<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy> options(
      rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS));
  char reason[256] = "";
  if (rd_kafka_AdminOptions_set_request_timeout(options.get(), std::max(1, timeout_ms), reason,
                                                sizeof(reason)) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Internal(impl.context + ": " + reason);
  }
  rd_kafka_DescribeTopics(client, collection.get(), options.get(), impl.queue.get());
  return pending;
}

std::optional<Result<std::map<std::string, std::string>>> PendingTopicIds::Take() {
  const Owned<rd_kafka_event_t, rd_kafka_event_destroy> event(
      rd_kafka_queue_poll(impl_->queue.get(), 0));
  if (event == nullptr) return std::nullopt;
  if (const rd_kafka_resp_err_t failed = rd_kafka_event_error(event.get());
      failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Status{CodeOf(failed), impl_->context + ": " + rd_kafka_event_error_string(event.get())};
  }
  std::map<std::string, std::string> ids;
  size_t count = 0;
  const auto* found = rd_kafka_DescribeTopics_result_topics(
      rd_kafka_event_DescribeTopics_result(event.get()), &count);
  for (const rd_kafka_TopicDescription_t* topic : std::span(found, count)) {
    const std::string name = rd_kafka_TopicDescription_name(topic);
    const rd_kafka_resp_err_t error = rd_kafka_error_code(rd_kafka_TopicDescription_error(topic));
    if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) continue;
    if (Status status = ToStatus(error, "asking for the id of topic " + name); !status.ok())
      return status;
    ids[name] = TopicIdOf(topic);
  }
  return ids;
}

}  // namespace coho::kafka
