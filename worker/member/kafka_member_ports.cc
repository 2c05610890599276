#include "worker/member/kafka_member_ports.h"

#include <algorithm>
#include <utility>

namespace coho {
namespace {

// More than can be on their way within a session: none of them will arrive any more.
constexpr size_t kUnderWayMax = 64;

}  // namespace

KafkaCoordinatorLog::KafkaCoordinatorLog(const Job* job, kafka::ClientConfig config)
    : job_(job), config_(std::move(config)), topic_{job->CoordinatorTopic(), 0} {}

Status KafkaCoordinatorLog::Connect() {
  if (committed_) return Status::Ok();
  kafka::ConsumerOptions options{.group_id = job_->ConsumerGroup(), .queued_bytes_max = 8 << 20};
  COHO_ASSIGN_OR_RETURN(auto committed, kafka::Consumer::Create(config_, options));
  options.read_committed = false;
  options.queued_bytes_max = 1 << 20;
  COHO_ASSIGN_OR_RETURN(uncommitted_, kafka::Consumer::Create(config_, options));
  committed_ = std::move(committed);
  return Status::Ok();
}

Result<bool> KafkaCoordinatorLog::TopicsExist(Duration timeout) {
  if (!admin_) {
    COHO_ASSIGN_OR_RETURN(admin_, kafka::Admin::Create(config_));
  }
  const std::vector<std::string> topics = {job_->CoordinatorTopic(), job_->HeartbeatsTopic()};
  COHO_ASSIGN_OR_RETURN(const auto found, admin_->Describe(topics, timeout));
  const bool all = found.size() == topics.size();
  if (all) admin_.reset();  // not needed any more
  return all;
}

Result<LogEnds> KafkaCoordinatorLog::Ends(Duration timeout) {
  COHO_RETURN_IF_ERROR(Connect());
  // In this order: what is decided by then was written before.
  COHO_ASSIGN_OR_RETURN(const kafka::OffsetRange all, uncommitted_->QueryRange(topic_, timeout));
  COHO_ASSIGN_OR_RETURN(const kafka::OffsetRange stable, committed_->QueryRange(topic_, timeout));
  return LogEnds{.stable = stable.end, .high = all.end};
}

Status KafkaCoordinatorLog::Rewind(Duration timeout) {
  COHO_RETURN_IF_ERROR(Connect());
  COHO_ASSIGN_OR_RETURN(const kafka::OffsetRange range, committed_->QueryRange(topic_, timeout));
  if (std::exchange(assigned_, false)) COHO_RETURN_IF_ERROR(committed_->Unassign({topic_}));
  batch_.Clear();
  COHO_RETURN_IF_ERROR(committed_->Assign({{topic_, range.begin}}));
  assigned_ = true;
  position_ = range.begin;
  return Status::Ok();
}

Status KafkaCoordinatorLog::Poll(Duration timeout, std::vector<LogRecord>* records) {
  COHO_RETURN_IF_ERROR(Connect());
  COHO_RETURN_IF_ERROR(committed_->Poll(timeout, &batch_));
  for (size_t i = 0; i < batch_.size(); ++i) {
    const kafka::Record& record = batch_[i];
    if (record.is_end_of_partition()) {
      // Behind what is decided, control records included.
      position_ = std::max(position_, record.offset());
      continue;
    }
    position_ = record.offset() + 1;
    records->push_back({.record = {.key = std::string(record.key()),
                                   .value = std::string(record.value()),
                                   .tombstone = record.is_tombstone()},
                        .offset = record.offset()});
  }
  batch_.Clear();
  return Status::Ok();
}

Status KafkaCoordinatorLog::Fence(const std::string& transactional_id, Duration timeout) {
  return kafka::FenceTransactionalId(config_, transactional_id, timeout);
}

KafkaHeartbeatLog::KafkaHeartbeatLog(const Job& job, kafka::ClientConfig config)
    : config_(std::move(config)),
      topic_name_(job.HeartbeatsTopic()),
      delivery_timeout_(job.failover.session_timeout) {}

Status KafkaHeartbeatLog::Send(int64_t number, const TopicRecord& record) {
  if (under_way_.size() >= kUnderWayMax) {
    producer_.reset();
    under_way_.clear();
  }
  if (!producer_) {
    COHO_ASSIGN_OR_RETURN(producer_,
                          kafka::Producer::Create(config_, {.linger = Duration::zero(),
                                                            .queued_bytes_max = 4 << 20,
                                                            .delivery_timeout = delivery_timeout_,
                                                            .keep_waiting = [] { return false; }}));
    COHO_ASSIGN_OR_RETURN(topic_, producer_->OpenTopic(topic_name_));
  }
  under_way_.push_back({.number = number, .slot = {}});
  Status status =
      producer_->Send(topic_, kafka::Producer::kByKey, {.key = record.key, .value = record.value},
                      &under_way_.back().slot);
  if (status.ok()) return status;
  under_way_.pop_back();
  // A broker that lost what it had acknowledged, or that takes rights away for a while, may have
  // made an end of this producer. The next one can be heard.
  if (status.code() == Code::kFenced || status.code() == Code::kUnauthenticated) {
    producer_.reset();
    under_way_.clear();
  }
  return status;
}

int64_t KafkaHeartbeatLog::Delivered() {
  if (!producer_) return delivered_;
  producer_->Poll(Duration::zero());
  // One that was given up does not hide those that came after it; its slot stays until the producer
  // has certainly let go of it.
  for (const UnderWay& one : under_way_) {
    if (one.slot.last_offset >= 0) delivered_ = std::max(delivered_, one.number);
  }
  while (!under_way_.empty() &&
         (under_way_.front().slot.last_offset >= 0 || under_way_.front().slot.failed)) {
    under_way_.pop_front();
  }
  return delivered_;
}

Status KafkaHeartbeatLog::Flush(Duration timeout) {
  return producer_ ? producer_->Flush(timeout) : Status::Ok();
}

}  // namespace coho
