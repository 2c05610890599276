#include "common/coordinating/cluster.h"

#include <utility>

#include "common/base/log.h"

namespace coho {
namespace {

constexpr Duration kRequestTimeout = std::chrono::seconds(5);
constexpr Duration kCommitTimeout = std::chrono::seconds(10);
constexpr Duration kReadTimeout = std::chrono::seconds(10);
constexpr Duration kPollSlice = std::chrono::milliseconds(200);
constexpr int64_t kReaderBytes = 8 << 20;

Result<std::unique_ptr<kafka::Consumer>> MakeConsumer(const kafka::ClientConfig& config) {
  kafka::ConsumerOptions options;
  options.queued_bytes_max = kReaderBytes;
  return kafka::Consumer::Create(config, options);
}

}  // namespace

Cluster::Cluster(kafka::ClientConfig config, std::string transactional_id)
    : config_(std::move(config)), transactional_id_(std::move(transactional_id)) {}

Status Cluster::Connect() {
  if (admin_ == nullptr) {
    COHO_ASSIGN_OR_RETURN(admin_, kafka::Admin::Create(config_));
  }
  if (producer_ == nullptr) {
    kafka::ProducerOptions options;
    options.transactional_id = transactional_id_;
    options.transaction_timeout = std::chrono::seconds(10);
    options.linger = Duration::zero();
    COHO_ASSIGN_OR_RETURN(std::unique_ptr<kafka::Producer> producer,
                          kafka::Producer::Create(config_, options));
    COHO_RETURN_IF_ERROR(producer->InitTransactions(kRequestTimeout));
    producer_ = std::move(producer);
    ++connection_;
  }
  if (reader_ == nullptr) {
    COHO_ASSIGN_OR_RETURN(reader_, MakeConsumer(config_));
  }
  if (follower_ == nullptr) {
    COHO_ASSIGN_OR_RETURN(std::unique_ptr<kafka::Consumer> follower, MakeConsumer(config_));
    std::map<TopicPartition, int64_t> positions;
    for (const auto& [topic, next] : followed_) positions[{topic, 0}] = next;
    COHO_RETURN_IF_ERROR(follower->Assign(positions));
    follower_ = std::move(follower);
  }
  return Status::Ok();
}

Result<std::map<std::string, kafka::TopicInfo>> Cluster::Describe(const Job& job) {
  return admin_->Describe(TopicsOf(job), kRequestTimeout);
}

Result<TopicFacts> Cluster::Look(const Job& job) {
  TopicFacts facts;
  COHO_ASSIGN_OR_RETURN(facts.topics, Describe(job));
  for (const std::string& topic : CompactedTopicsOf(job)) {
    if (!facts.topics.contains(topic)) continue;
    COHO_ASSIGN_OR_RETURN(facts.configs[topic], admin_->TopicConfig(topic, kRequestTimeout));
  }
  if (facts.topics.contains(job.CoordinatorTopic())) {
    COHO_ASSIGN_OR_RETURN(facts.stored, ReadState(job.CoordinatorTopic()));
  }
  return facts;
}

Status Cluster::CreateTopics(const std::vector<kafka::NewTopic>& topics) {
  return admin_->Create(topics, kRequestTimeout);
}

Result<CoordinatorState> Cluster::ReadState(const std::string& topic) {
  const TopicPartition partition{topic, 0};
  COHO_ASSIGN_OR_RETURN(const kafka::OffsetRange range,
                        reader_->QueryRange(partition, kRequestTimeout));
  CoordinatorState state;
  if (range.begin >= range.end) return state;
  COHO_RETURN_IF_ERROR(reader_->Assign({{partition, kafka::Consumer::kBegin}}));
  const MonotonicTime deadline = Clock::Real().Now() + kReadTimeout;
  Status status;
  for (bool done = false; !done && status.ok();) {
    status = reader_->Poll(kPollSlice, &batch_);
    for (size_t i = 0; i < batch_.size() && status.ok() && !done; ++i) {
      const kafka::Record record = batch_[i];
      if (record.topic() != topic) continue;
      if (record.is_end_of_partition()) {
        done = record.offset() >= range.end;
        continue;
      }
      status = ApplyCoordinatorRecord(
          {std::string(record.key()), std::string(record.value()), record.is_tombstone()}, &state);
    }
    if (!done && status.ok() && Clock::Real().Now() > deadline) {
      status = DeadlineExceeded("topic " + topic + " could not be read to its end in " +
                                std::to_string(kReadTimeout / std::chrono::seconds(1)) + " s");
    }
  }
  batch_.Clear();
  COHO_RETURN_IF_ERROR(reader_->Unassign({partition}));
  if (!status.ok()) return status.WithContext("topic " + topic);
  return state;
}

Status Cluster::TryWrite(const std::string& topic, const std::vector<TopicRecord>& records) {
  COHO_RETURN_IF_ERROR(producer_->BeginTransaction());
  COHO_ASSIGN_OR_RETURN(const kafka::Producer::Topic handle, producer_->OpenTopic(topic));
  for (const TopicRecord& record : records) {
    kafka::Producer::Message message;
    message.key = record.key;
    message.value = record.value;
    message.has_value = !record.tombstone;
    COHO_RETURN_IF_ERROR(producer_->Send(handle, 0, message));
  }
  return producer_->CommitTransaction(kCommitTimeout);
}

Status Cluster::Write(const std::string& topic, const std::vector<TopicRecord>& records) {
  Status status = TryWrite(topic, records);
  if (status.ok() || status.code() == Code::kFenced) return status;
  if (status.code() == Code::kAborted) {
    const Status aborted = producer_->AbortTransaction(kCommitTimeout);
    if (aborted.ok() || aborted.code() == Code::kFenced) return aborted.ok() ? status : aborted;
  }
  producer_.reset();
  return status.code() == Code::kAborted ? Unavailable(status.message()) : status;
}

Status Cluster::Fence(const std::vector<std::string>& transactional_ids) {
  for (const std::string& id : transactional_ids) {
    COHO_RETURN_IF_ERROR(kafka::FenceTransactionalId(config_, id, kRequestTimeout));
  }
  return Status::Ok();
}

Result<int64_t> Cluster::Follow(const std::string& topic) {
  const TopicPartition partition{topic, 0};
  COHO_ASSIGN_OR_RETURN(const kafka::OffsetRange range,
                        reader_->QueryRange(partition, kRequestTimeout));
  if (followed_.contains(topic)) Unfollow(topic);
  COHO_RETURN_IF_ERROR(follower_->Assign({{partition, kafka::Consumer::kBegin}}));
  followed_[topic] = kafka::Consumer::kBegin;
  return range.end;
}

void Cluster::Unfollow(const std::string& topic) {
  if (followed_.erase(topic) == 0 || follower_ == nullptr) return;
  follower_->Unassign({{topic, 0}})
      .IgnoreError("what still comes is not expected any more and passed over");
}

Status Cluster::Poll(Duration timeout, const OnRecord& on_record) {
  if (follower_ == nullptr) return Status::Ok();
  Status status = follower_->Poll(timeout, &batch_);
  for (size_t i = 0; i < batch_.size(); ++i) {
    const kafka::Record record = batch_[i];
    const std::string topic(record.topic());
    const auto next = followed_.find(topic);
    if (next == followed_.end() || record.is_end_of_partition()) continue;
    next->second = record.offset() + 1;
    on_record(topic, record.offset(), record.value());
  }
  batch_.Clear();
  if (!status.ok() && status.code() != Code::kNotFound)
    follower_.reset();  // Connect opens it again where it was
  return status;
}

}  // namespace coho
