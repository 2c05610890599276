#include "common/kafka/admin.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <functional>
#include <span>
#include <utility>

#include "common/kafka/client.h"
#include "common/kafka/errors.h"
#include "common/kafka/owned.h"
#include "common/kafka/topic_ids.h"

namespace coho::kafka {
namespace {

using Event = Owned<rd_kafka_event_t, rd_kafka_event_destroy>;
using Options = Owned<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;
using NewTopicPtr = Owned<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy>;
using ConfigResource = Owned<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy>;
using DeleteTopicPtr = Owned<rd_kafka_DeleteTopic_t, rd_kafka_DeleteTopic_destroy>;

template <class P>
auto Pointers(const std::vector<P>& owned) {
  std::vector<typename P::pointer> pointers;
  for (const P& item : owned) pointers.push_back(item.get());
  return pointers;
}

// The outcome for each topic of a request; `passed_over` is none.
Status TopicErrors(std::span<const rd_kafka_topic_result_t* const> results,
                   rd_kafka_resp_err_t passed_over, std::string_view verb) {
  for (const rd_kafka_topic_result_t* result : results) {
    const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(result);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == passed_over) continue;
    const char* text = rd_kafka_topic_result_error_string(result);
    return {CodeOf(error), std::string(verb) + " " + rd_kafka_topic_result_name(result) + ": " +
                               (text == nullptr ? rd_kafka_err2str(error) : text)};
  }
  return Status::Ok();
}

Result<NewTopicPtr> Prepare(const NewTopic& topic) {
  char reason[256] = "";
  NewTopicPtr prepared(rd_kafka_NewTopic_new(topic.name.c_str(), topic.partitions,
                                             topic.replication_factor, reason, sizeof(reason)));
  if (prepared == nullptr) return InvalidArgument("creating topic " + topic.name + ": " + reason);
  for (const auto& [name, value] : topic.config) {
    COHO_RETURN_IF_ERROR(
        ToStatus(rd_kafka_NewTopic_set_config(prepared.get(), name.c_str(), value.c_str()),
                 "creating topic " + topic.name + " with " + name));
  }
  return prepared;
}

std::span<const rd_kafka_ConfigResource_t* const> Described(rd_kafka_event_t* event) {
  size_t count = 0;
  const auto* found = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event), &count);
  return {found, count};
}

std::vector<ConfigResource> TopicResources(const std::vector<std::string>& topics) {
  std::vector<ConfigResource> resources;
  for (const std::string& topic : topics)
    resources.emplace_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
  return resources;
}

Result<Admin::Config> ConfigOf(const rd_kafka_ConfigResource_t* topic) {
  COHO_RETURN_IF_ERROR(ToStatus(
      rd_kafka_ConfigResource_error(topic),
      std::string("reading the configuration of topic ") + rd_kafka_ConfigResource_name(topic)));
  Admin::Config config;
  size_t count = 0;
  const auto* entries = rd_kafka_ConfigResource_configs(topic, &count);
  for (const rd_kafka_ConfigEntry_t* entry : std::span(entries, count)) {
    const char* value = rd_kafka_ConfigEntry_value(entry);
    if (value != nullptr) config[rd_kafka_ConfigEntry_name(entry)] = value;
  }
  return config;
}

}  // namespace

struct Admin::Impl {
  std::unique_ptr<Client> client;
  std::vector<std::string> asked_topics;
  Owned<rd_kafka_queue_t, rd_kafka_queue_destroy> answers;  // gone before the client

  // Sends a request with request(options, queue) and reads its answer with read(event); repeats
  // both until the time is over, so a request must do no harm when it is repeated.
  Status Ask(rd_kafka_admin_op_t operation, Duration timeout, std::string_view context,
             const std::function<void(rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>& request,
             const std::function<Status(rd_kafka_event_t*)>& read) {
    return client->Await(timeout, context, [&](int timeout_ms) -> Status {
      const Options options(rd_kafka_AdminOptions_new(client->get(), operation));
      char reason[256] = "";
      rd_kafka_resp_err_t error = rd_kafka_AdminOptions_set_request_timeout(
          options.get(), timeout_ms, reason, sizeof(reason));
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR && (operation == RD_KAFKA_ADMIN_OP_CREATETOPICS ||
                                                  operation == RD_KAFKA_ADMIN_OP_DELETETOPICS)) {
        error = rd_kafka_AdminOptions_set_operation_timeout(options.get(), timeout_ms, reason,
                                                            sizeof(reason));
      }
      if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return Internal(std::string(context) + ": " + reason);

      const Owned<rd_kafka_queue_t, rd_kafka_queue_destroy> queue(
          rd_kafka_queue_new(client->get()));
      request(options.get(), queue.get());
      constexpr int kGraceMs = 500;  // librdkafka keeps the time, and says why
      const Event event(rd_kafka_queue_poll(queue.get(), timeout_ms + kGraceMs));
      if (event == nullptr) return DeadlineExceeded(std::string(context) + ": no answer");
      if (const rd_kafka_resp_err_t failed = rd_kafka_event_error(event.get());
          failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return {CodeOf(failed),
                std::string(context) + ": " + rd_kafka_event_error_string(event.get())};
      }
      return read(event.get());
    });
  }
};

Admin::Admin() : impl_(std::make_unique<Impl>()) {}
Admin::~Admin() = default;

Result<std::unique_ptr<Admin>> Admin::Create(const ClientConfig& config) {
  std::unique_ptr<Admin> admin(new Admin);
  COHO_ASSIGN_OR_RETURN(admin->impl_->client, Client::Create(RD_KAFKA_PRODUCER, config, {}));
  return admin;
}

Result<std::map<std::string, TopicInfo>> Admin::Describe(const std::vector<std::string>& names,
                                                         Duration timeout) {
  std::map<std::string, TopicInfo> topics;
  if (names.empty()) return topics;
  std::vector<const char*> raw;
  for (const std::string& name : names) raw.push_back(name.c_str());
  const Owned<rd_kafka_TopicCollection_t, rd_kafka_TopicCollection_destroy> collection(
      rd_kafka_TopicCollection_of_topic_names(raw.data(), raw.size()));
  Status status = impl_->Ask(
      RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout, "describing topics",
      [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
        rd_kafka_DescribeTopics(impl_->client->get(), collection.get(), options, queue);
      },
      [&](rd_kafka_event_t* event) {
        topics.clear();
        size_t count = 0;
        const auto* found = rd_kafka_DescribeTopics_result_topics(
            rd_kafka_event_DescribeTopics_result(event), &count);
        for (const rd_kafka_TopicDescription_t* topic : std::span(found, count)) {
          const std::string name = rd_kafka_TopicDescription_name(topic);
          const rd_kafka_resp_err_t error =
              rd_kafka_error_code(rd_kafka_TopicDescription_error(topic));
          if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) continue;
          Status seen = ToStatus(error, "describing topic " + name);
          if (error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
            seen = Unauthenticated(seen.message() + MissingRights("Describe", name));
          COHO_RETURN_IF_ERROR(seen);
          size_t partitions = 0;
          (void)rd_kafka_TopicDescription_partitions(topic, &partitions);
          topics[name] = {name, static_cast<int32_t>(partitions), TopicIdOf(topic)};
        }
        return Status::Ok();
      });
  if (!status.ok()) return status;
  return topics;
}

Status Admin::Create(const std::vector<NewTopic>& topics, Duration timeout) {
  if (topics.empty()) return Status::Ok();
  std::vector<NewTopicPtr> prepared;
  for (const NewTopic& topic : topics) {
    COHO_ASSIGN_OR_RETURN(NewTopicPtr one, Prepare(topic));
    prepared.push_back(std::move(one));
  }
  std::vector<rd_kafka_NewTopic_t*> raw = Pointers(prepared);
  return impl_->Ask(
      RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout, "creating topics",
      [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
        rd_kafka_CreateTopics(impl_->client->get(), raw.data(), raw.size(), options, queue);
      },
      [](rd_kafka_event_t* event) {
        size_t count = 0;
        const auto* results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        return TopicErrors({results, count}, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS,
                           "creating topic");
      });
}

Result<std::string> Admin::ClusterId(Duration timeout) {
  std::string id;
  constexpr std::string_view kContext = "asking for the cluster's id";
  Status status = impl_->client->Await(timeout, kContext, [&](int timeout_ms) -> Status {
    char* found = rd_kafka_clusterid(impl_->client->get(), timeout_ms);
    if (found == nullptr) return DeadlineExceeded(std::string(kContext) + ": no answer");
    id = found;
    rd_kafka_mem_free(impl_->client->get(), found);
    return Status::Ok();
  });
  if (!status.ok()) return status;
  return id;
}

Status Admin::Delete(const std::vector<std::string>& topics, Duration timeout) {
  if (topics.empty()) return Status::Ok();
  std::vector<DeleteTopicPtr> prepared;
  for (const std::string& topic : topics)
    prepared.emplace_back(rd_kafka_DeleteTopic_new(topic.c_str()));
  std::vector<rd_kafka_DeleteTopic_t*> raw = Pointers(prepared);
  return impl_->Ask(
      RD_KAFKA_ADMIN_OP_DELETETOPICS, timeout, "deleting topics",
      [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
        rd_kafka_DeleteTopics(impl_->client->get(), raw.data(), raw.size(), options, queue);
      },
      [](rd_kafka_event_t* event) {
        size_t count = 0;
        const auto* results =
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
        return TopicErrors({results, count}, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                           "deleting topic");
      });
}

Result<Admin::Config> Admin::TopicConfig(const std::string& topic, Duration timeout) {
  COHO_ASSIGN_OR_RETURN(auto configs, TopicConfigs({topic}, timeout));
  return std::move(configs.at(topic));
}

Result<std::map<std::string, Result<Admin::Config>>> Admin::TopicConfigs(
    const std::vector<std::string>& topics, Duration timeout) {
  std::map<std::string, Result<Config>> configs;
  if (topics.empty()) return configs;
  for (const std::string& topic : topics)
    configs.emplace(topic, NotFound("topic " + topic + " is not in the answer"));
  const std::vector<ConfigResource> resources = TopicResources(topics);
  std::vector<rd_kafka_ConfigResource_t*> raw = Pointers(resources);
  COHO_RETURN_IF_ERROR(impl_->Ask(
      RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout,
      "reading the configuration of topic " + topics.front() +
          (topics.size() > 1 ? " and others" : ""),
      [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
        rd_kafka_DescribeConfigs(impl_->client->get(), raw.data(), raw.size(), options, queue);
      },
      [&](rd_kafka_event_t* event) {
        for (const rd_kafka_ConfigResource_t* one : Described(event))
          configs.insert_or_assign(rd_kafka_ConfigResource_name(one), ConfigOf(one));
        return Status::Ok();
      }));
  return configs;
}

Status Admin::AskTopicConfigs(const std::vector<std::string>& topics, Duration timeout) {
  Impl& impl = *impl_;
  impl.asked_topics = topics;
  impl.answers.reset(rd_kafka_queue_new(impl.client->get()));
  const Options options(
      rd_kafka_AdminOptions_new(impl.client->get(), RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS));
  char reason[256] = "";
  COHO_RETURN_IF_ERROR(ToStatus(rd_kafka_AdminOptions_set_request_timeout(
                                    options.get(), ToMillis(timeout), reason, sizeof(reason)),
                                "reading configurations of topics"));
  const std::vector<ConfigResource> resources = TopicResources(topics);
  std::vector<rd_kafka_ConfigResource_t*> raw = Pointers(resources);
  rd_kafka_DescribeConfigs(impl.client->get(), raw.data(), raw.size(), options.get(),
                           impl.answers.get());
  return Status::Ok();
}

std::optional<std::map<std::string, Result<Admin::Config>>> Admin::TakeTopicConfigs() {
  Impl& impl = *impl_;
  impl.client->Serve(0);
  const Event event(rd_kafka_queue_poll(impl.answers.get(), 0));
  if (event == nullptr) return std::nullopt;
  Status failure = ToStatus(rd_kafka_event_error(event.get()), "reading configurations of topics");
  if (const Status refused = impl.client->TakeFailure(); !failure.ok() && !refused.ok())
    failure = refused;
  std::map<std::string, Result<Config>> configs;
  for (const std::string& topic : impl.asked_topics) {
    configs.emplace(topic,
                    failure.ok() ? NotFound("topic " + topic + " is not in the answer") : failure);
  }
  if (!failure.ok()) return configs;
  for (const rd_kafka_ConfigResource_t* one : Described(event.get()))
    configs.insert_or_assign(rd_kafka_ConfigResource_name(one), ConfigOf(one));
  return configs;
}

}  // namespace coho::kafka
