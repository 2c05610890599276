#include "worker/loop/kafka_ports.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/log.h"
#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"
#include "worker/loop/failure.h"

namespace coho {
namespace {

constexpr size_t kBatchRecords = 1000;

class KafkaInputs final : public InputPort {
 public:
  explicit KafkaInputs(std::unique_ptr<kafka::Consumer> consumer)
      : consumer_(std::move(consumer)), batch_(kBatchRecords) {}

  Status Poll(Duration timeout, std::span<const kafka::Record>* records) override {
    const Status status = consumer_->Poll(timeout, &batch_);
    *records = batch_.records();
    return status;
  }
  void Release() override { batch_.Clear(); }
  Status Assign(const PositionMap& positions) override { return consumer_->Assign(positions); }
  Status Unassign(const std::vector<TopicPartition>& partitions) override {
    return consumer_->Unassign(partitions);
  }
  Status AskRanges(const std::vector<TopicPartition>& partitions, Duration timeout) override {
    return consumer_->AskRanges(partitions, timeout);
  }
  std::optional<Result<RangeMap>> TakeRanges() override {
    const auto each = consumer_->TakeEachRange();
    if (!each) return std::nullopt;
    RangeMap ranges;
    Status failed;
    for (const auto& [partition, range] : *each) {
      if (range.ok()) {
        ranges.emplace(partition, *range);
      } else if (failed.ok() || !MayPass(range.status())) {
        failed = range.status();
      }
    }
    if (failed.ok()) return Result<RangeMap>(std::move(ranges));
    if (ranges.empty() || !MayPass(failed)) return Result<RangeMap>(std::move(failed));
    LogWarn("some inputs have no answer for where they end", {{"reason", failed}});
    return Result<RangeMap>(std::move(ranges));
  }
  Status AskTopicIds(const std::vector<std::string>& topics, Duration timeout) override {
    return consumer_->AskTopicIds(topics, timeout);
  }
  std::optional<Result<TopicIdMap>> TakeTopicIds() override { return consumer_->TakeTopicIds(); }
  std::optional<kafka::OffsetRange> CachedRange(const TopicPartition& partition) const override {
    return consumer_->CachedRange(partition);
  }
  void Mirror(const PositionMap& positions, Duration wait) override {
    if (const Status status = consumer_->CommitWithin(positions, wait); !status.ok())
      LogDebug("group offsets not shown", {{"reason", status}});
  }
  uint64_t records_lost() const override { return consumer_->records_lost(); }

 private:
  std::unique_ptr<kafka::Consumer> consumer_;
  kafka::RecordBatch batch_;  // after the consumer
};

class KafkaOutputs final : public OutputPort {
 public:
  KafkaOutputs(std::unique_ptr<kafka::Producer> producer, std::string group, bool transactional)
      : producer_(std::move(producer)), group_(std::move(group)), transactional_(transactional) {}

  Status Init(Duration timeout) override {
    return transactional_ ? producer_->InitTransactions(timeout) : Status::Ok();
  }
  Result<OutputTopic> Open(const std::string& topic) override {
    COHO_ASSIGN_OR_RETURN(const kafka::Producer::Topic opened, producer_->OpenTopic(topic));
    topics_.push_back(opened);
    return OutputTopic{static_cast<int32_t>(topics_.size()) - 1};
  }
  Status Begin() override { return producer_->BeginTransaction(); }
  Status Send(OutputTopic topic, int32_t partition, const kafka::Message& message,
              kafka::DeliverySlot* slot) override {
    return producer_->Send(topics_[static_cast<size_t>(topic.index)], partition, message, slot);
  }
  Status Flush(Duration timeout) override { return producer_->Flush(timeout); }
  Status SendGroupOffset(const TopicPartition& partition, int64_t next, Duration timeout) override {
    return producer_->SendOffsets(group_, {{partition, next}}, timeout);
  }
  Status Commit(Duration timeout) override { return producer_->CommitTransaction(timeout); }
  Status Abort(Duration timeout) override { return producer_->AbortTransaction(timeout); }

 private:
  std::unique_ptr<kafka::Producer> producer_;
  const std::string group_;
  const bool transactional_;
  std::vector<kafka::Producer::Topic> topics_;
};

}  // namespace

Duration TransactionTimeout(const Job& job) {
  constexpr Duration kBrokersDefaultMost = std::chrono::minutes(15);
  return std::clamp<Duration>(4 * job.processing.commit_interval, std::chrono::seconds(20),
                              kBrokersDefaultMost);
}

Result<std::unique_ptr<InputPort>> KafkaLoopPorts::MakeInputs() {
  COHO_ASSIGN_OR_RETURN(
      auto consumer,
      kafka::Consumer::Create(options_.kafka, {.group_id = options_.job->ConsumerGroup(),
                                               .queued_bytes_max = options_.consumer_queue_bytes}));
  return std::unique_ptr<InputPort>(std::make_unique<KafkaInputs>(std::move(consumer)));
}

Result<std::unique_ptr<OutputPort>> KafkaLoopPorts::MakeOutputs(
    std::function<bool()> keep_waiting) {
  const Job& job = *options_.job;
  const bool exactly_once = job.processing.guarantee == Guarantee::kExactlyOnce;
  kafka::ProducerOptions producer{
      .transactional_id = exactly_once ? options_.transactional_id : std::string(),
      .transaction_timeout = TransactionTimeout(job),
      .queued_bytes_max = options_.producer_queue_bytes,
      .keep_waiting = std::move(keep_waiting)};
  // What is not delivered when the lease is over must not be delivered any more.
  if (!exactly_once) producer.delivery_timeout = job.failover.session_timeout;
  COHO_ASSIGN_OR_RETURN(auto made, kafka::Producer::Create(options_.kafka, producer));
  return std::unique_ptr<OutputPort>(
      std::make_unique<KafkaOutputs>(std::move(made), job.ConsumerGroup(), exactly_once));
}

}  // namespace coho
