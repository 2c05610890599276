#include "tests/support/sim/client.h"

#include <algorithm>
#include <map>
#include <optional>

#include "common/kafka/admin.h"

namespace coho::sim {

bool IsLater(Error error) {
  return error == Error::kConcurrentTransactions || error == Error::kUnstableOffsets ||
         error == Error::kUnavailable;
}

Status ToStatus(Error error, const std::string& context) {
  const std::string text = context + ": " + NameOf(error);
  switch (error) {
    case Error::kNone:
      return Status::Ok();
    case Error::kUnknownTopic:
      return {Code::kNotFound, text};
    case Error::kTopicExists:
      return {Code::kConflict, text};
    case Error::kOffsetOutOfRange:
      return {Code::kCorruption, text};
    case Error::kInvalidProducerEpoch:
    case Error::kProducerFenced:
      return {Code::kFenced, text};
    case Error::kConcurrentTransactions:
    case Error::kUnstableOffsets:
    case Error::kUnavailable:
      return {Code::kUnavailable, text};
    case Error::kInvalidTransactionState:
      return {Code::kInternal, text};
    case Error::kInvalidTransactionTimeout:
    case Error::kTooLarge:
      return {Code::kInvalidArgument, text};
  }
  return {Code::kInternal, text};
}

Error Client::Ask(Duration timeout, const std::string& coordinator,
                  const std::function<Error()>& request, bool* timed_out) const {
  Cloud& cloud = *Cloud::current;
  Scheduler& scheduler = cloud.scheduler;
  Dice& dice = scheduler.dice();
  const MonotonicTime deadline = scheduler.now() + timeout;
  const auto latency = [&] {
    return std::chrono::microseconds(dice.Between(50, cloud.network.latency_max_us) / 2);
  };
  Error last = Error::kUnavailable;
  *timed_out = false;
  for (;;) {
    if (cloud.Reaches(process, coordinator) &&
        !dice.PerMille(cloud.network.lost_before_per_mille)) {
      scheduler.Sleep(latency());
      last = request();
      const bool lost =
          dice.PerMille(cloud.network.lost_after_per_mille) || !cloud.Reaches(process, coordinator);
      scheduler.Sleep(latency());
      if (!lost && !IsLater(last)) return last;
    }
    const Duration left = deadline - scheduler.now();
    if (left <= Duration::zero()) break;
    scheduler.Sleep(std::min<Duration>(
        left, cloud.Reaches(process, coordinator) ? dice.Millis(20, 60) : dice.Millis(100, 600)));
  }
  *timed_out = true;
  return last;
}

Status Client::AskStatus(Duration timeout, const std::string& coordinator,
                         const std::string& context, const std::function<Error()>& request) const {
  bool timed_out = false;
  const Error error = Ask(timeout, coordinator, request, &timed_out);
  if (!timed_out) return ToStatus(error, context);
  if (!Cloud::current->Reaches(process, coordinator))
    return {Code::kUnavailable, context + ": Kafka cannot be reached"};
  return {Code::kDeadlineExceeded, context + ": Kafka did not answer in time"};
}

}  // namespace coho::sim

namespace coho::kafka {

struct Admin::Impl {
  sim::Client client;
  struct Question {
    std::vector<std::string> topics;
    MonotonicTime answered_at;
    MonotonicTime until;
  };
  std::optional<Question> question;  // about configurations
};

Admin::Admin() : impl_(std::make_unique<Impl>()) {}
Admin::~Admin() = default;

Result<std::unique_ptr<Admin>> Admin::Create(const ClientConfig&) {
  return std::unique_ptr<Admin>(new Admin);
}

Result<std::map<std::string, TopicInfo>> Admin::Describe(const std::vector<std::string>& names,
                                                         Duration timeout) {
  std::map<std::string, TopicInfo> topics;
  const Status status = impl_->client.AskStatus(timeout, {}, "describing topics", [&] {
    topics.clear();
    for (const std::string& name : names) {
      const sim::KafkaTopic* topic = sim::Cloud::current->kafka.FindTopic(name);
      if (topic != nullptr)
        topics[name] = {.name = name,
                        .partitions = static_cast<int32_t>(topic->partitions.size()),
                        .id = topic->id};
    }
    return sim::Error::kNone;
  });
  if (!status.ok()) return status;
  return topics;
}

Status Admin::Create(const std::vector<NewTopic>& topics, Duration timeout) {
  return impl_->client.AskStatus(timeout, {}, "creating topics", [&] {
    for (const NewTopic& topic : topics) {
      if (sim::Cloud::current->kafka.CreateTopic(topic.name, topic.partitions, topic.config) ==
          sim::Error::kNone)
        sim::Cloud::current->Trace("topic created " + topic.name);
    }
    return sim::Error::kNone;
  });
}

Result<Admin::Config> Admin::TopicConfig(const std::string& topic, Duration timeout) {
  COHO_ASSIGN_OR_RETURN(auto configs, TopicConfigs({topic}, timeout));
  return std::move(configs.at(topic));
}

Result<std::map<std::string, Result<Admin::Config>>> Admin::TopicConfigs(
    const std::vector<std::string>& topics, Duration timeout) {
  std::map<std::string, Result<Config>> configs;
  COHO_RETURN_IF_ERROR(impl_->client.AskStatus(timeout, {}, "reading configurations", [&] {
    for (const std::string& topic : topics) {
      const sim::KafkaTopic* found = sim::Cloud::current->kafka.FindTopic(topic);
      if (found == nullptr) {
        configs.insert_or_assign(topic, sim::ToStatus(sim::Error::kUnknownTopic, topic));
      } else {
        configs.insert_or_assign(topic, found->config);
      }
    }
    return sim::Error::kNone;
  }));
  return configs;
}

Status Admin::AskTopicConfigs(const std::vector<std::string>& topics, Duration timeout) {
  sim::Scheduler& scheduler = sim::Cloud::current->scheduler;
  impl_->question = {.topics = topics,
                     .answered_at = scheduler.now() + scheduler.dice().Millis(0, 20),
                     .until = scheduler.now() + timeout};
  return Status::Ok();
}

std::optional<std::map<std::string, Result<Admin::Config>>> Admin::TakeTopicConfigs() {
  if (!impl_->question) return std::nullopt;
  sim::Cloud& cloud = *sim::Cloud::current;
  const MonotonicTime now = cloud.scheduler.now();
  if (now < impl_->question->answered_at) return std::nullopt;
  const bool reaches = cloud.Reaches(impl_->client.process);
  if (!reaches && now < impl_->question->until) return std::nullopt;
  std::map<std::string, Result<Config>> configs;
  for (const std::string& topic : impl_->question->topics) {
    const sim::KafkaTopic* found = cloud.kafka.FindTopic(topic);
    if (!reaches) {
      configs.emplace(topic, Status{Code::kUnavailable, "asking for configurations: no answer"});
    } else if (found == nullptr) {
      configs.emplace(topic, sim::ToStatus(sim::Error::kUnknownTopic, topic));
    } else {
      configs.emplace(topic, found->config);
    }
  }
  impl_->question.reset();
  return configs;
}

Result<std::string> Admin::ClusterId(Duration timeout) {
  std::string id;
  const Status status = impl_->client.AskStatus(timeout, {}, "asking for the cluster's id", [&] {
    id = sim::Cloud::current->kafka.cluster_id();
    return sim::Error::kNone;
  });
  if (!status.ok()) return status;
  return id;
}

Status Admin::Delete(const std::vector<std::string>& topics, Duration timeout) {
  return impl_->client.AskStatus(timeout, {}, "deleting topics", [&] {
    for (const std::string& topic : topics) (void)sim::Cloud::current->kafka.DeleteTopic(topic);
    return sim::Error::kNone;
  });
}

}  // namespace coho::kafka
