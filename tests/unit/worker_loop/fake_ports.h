// A small Kafka in memory behind a run loop's ports. Time stands still but for what a test moves.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "worker/commit/ports.h"

namespace coho::test {

struct StoredRecord {
  std::string key;
  std::optional<std::string> value;
};

struct FakeKafka {
  std::map<TopicPartition, std::vector<StoredRecord>> log;  // committed records only
  std::vector<std::pair<TopicPartition, StoredRecord>> open;
  PositionMap first;  // what retention left; absent: everything
  PositionMap group_offsets;
  bool transaction_open = false;
  int begun = 0, committed = 0, witnessed = 0;
  std::deque<Status> next_commits, next_flushes;  // how the next attempts end; empty: well
  Status next_send;                               // once
  bool tells_ranges = true;
  std::optional<TopicPartition> leaderless;
  std::function<void()> on_flush;
  std::optional<Result<TopicIdMap>> topic_ids_told = TopicIdMap{{"in", ""}};  // nullopt: not yet
  int asked_for_ids = 0;
  bool outlasted = false;  // the open transaction is older than Kafka lets one be

  void Add(const TopicPartition& at, std::string key, std::string value) {
    log[at].push_back({std::move(key), std::move(value)});
  }
  [[nodiscard]] static Status Take(std::deque<Status>* statuses) {
    if (statuses->empty()) return Status::Ok();
    Status status = std::move(statuses->front());
    statuses->pop_front();
    return status;
  }
};

class FakeInputs final : public InputPort {
 public:
  explicit FakeInputs(FakeKafka* kafka) : kafka_(*kafka) {}
  Status Poll(Duration, std::span<const kafka::Record>* records) override {
    Release();
    for (auto& [at, next] : assigned_) {
      const auto& log = kafka_.log[at];
      for (; next < static_cast<int64_t>(log.size()) && records_.size() < 1000; ++next) {
        const StoredRecord& record = log[static_cast<size_t>(next)];
        parts_.push_back({.topic = topics_.emplace(at.topic, at.topic).first->second,
                          .partition = at.partition,
                          .offset = next,
                          .key = record.key,
                          .value = record.value});
        records_.emplace_back(parts_.back());
      }
    }
    *records = records_;
    return Status::Ok();
  }
  void Release() override {
    records_.clear();
    parts_.clear();
  }
  Status Assign(const PositionMap& positions) override {
    for (const auto& [at, next] : positions) {
      if (!assigned_.emplace(at, next).second) return Internal("assigned twice");
    }
    return Status::Ok();
  }
  Status Unassign(const std::vector<TopicPartition>& partitions) override {
    for (const auto& at : partitions) assigned_.erase(at);
    return Status::Ok();
  }
  Status AskRanges(const std::vector<TopicPartition>& partitions, Duration) override {
    ranges_.clear();
    for (const auto& at : partitions) {
      const auto end = static_cast<int64_t>(kafka_.log[at].size());
      if (kafka_.leaderless != at) ranges_[at] = {.begin = kafka_.first[at], .end = end};
    }
    return Status::Ok();
  }
  std::optional<Result<RangeMap>> TakeRanges() override {
    return kafka_.tells_ranges ? std::optional<Result<RangeMap>>(ranges_) : std::nullopt;
  }
  Status AskTopicIds(const std::vector<std::string>&, Duration) override {
    ++kafka_.asked_for_ids;
    return Status::Ok();
  }
  std::optional<Result<TopicIdMap>> TakeTopicIds() override { return kafka_.topic_ids_told; }
  std::optional<kafka::OffsetRange> CachedRange(const TopicPartition&) const override { return {}; }
  void Mirror(const PositionMap& positions, Duration) override {
    for (const auto& [at, next] : positions) kafka_.group_offsets[at] = next;
  }
  uint64_t records_lost() const override { return 0; }

 private:
  FakeKafka& kafka_;
  PositionMap assigned_;
  RangeMap ranges_;
  std::map<std::string, std::string> topics_;
  std::list<kafka::RecordParts> parts_;
  std::vector<kafka::Record> records_;
};

class FakeOutputs final : public OutputPort {
 public:
  FakeOutputs(FakeKafka* kafka, bool transactional)
      : kafka_(*kafka), transactional_(transactional) {
    kafka_.open.clear();
    kafka_.transaction_open = false;
  }
  Status Init(Duration) override { return Status::Ok(); }
  Result<OutputTopic> Open(const std::string& topic) override {
    topics_.push_back(topic);
    return OutputTopic{static_cast<int32_t>(topics_.size()) - 1};
  }
  Status Begin() override {
    ++kafka_.begun;
    kafka_.transaction_open = true;
    kafka_.outlasted = false;
    return Status::Ok();
  }
  Status Send(OutputTopic topic, int32_t partition, const kafka::Message& message,
              kafka::DeliverySlot* slot) override {
    if (transactional_ && !kafka_.transaction_open) return Internal("no transaction");
    if (!kafka_.next_send.ok()) return std::exchange(kafka_.next_send, Status::Ok());
    const TopicPartition at{topics_[static_cast<size_t>(topic.index)], std::max(partition, 0)};
    kafka_.open.push_back(
        {at,
         {std::string(message.key),
          message.has_value ? std::optional(std::string(message.value)) : std::nullopt}});
    if (slot != nullptr) slots_.push_back({at, slot});
    return Status::Ok();
  }
  Status Flush(Duration) override {
    if (kafka_.on_flush) kafka_.on_flush();
    Status status = FakeKafka::Take(&kafka_.next_flushes);
    if (status.ok()) Append();
    return status;
  }
  Status SendGroupOffset(const TopicPartition&, int64_t, Duration) override {
    ++kafka_.witnessed;
    return Status::Ok();
  }
  Status Commit(Duration) override {
    Status status = FakeKafka::Take(&kafka_.next_commits);
    if (kafka_.outlasted) status = Fenced("the broker raised the epoch");
    if (!status.ok()) return status;
    Append();
    ++kafka_.committed;
    kafka_.transaction_open = false;
    return status;
  }
  Status Abort(Duration) override {
    kafka_.open.clear();
    slots_.clear();
    kafka_.transaction_open = false;
    return Status::Ok();
  }

 private:
  void Append() {
    for (auto& [at, record] : kafka_.open) kafka_.log[at].push_back(record);
    kafka_.open.clear();
    for (auto& [at, slot] : slots_)
      slot->last_offset = static_cast<int64_t>(kafka_.log[at].size()) - 1;
    slots_.clear();
  }
  FakeKafka& kafka_;
  const bool transactional_;
  std::vector<std::string> topics_;
  std::vector<std::pair<TopicPartition, kafka::DeliverySlot*>> slots_;
};

class FakePorts final : public LoopPorts {
 public:
  FakePorts(FakeKafka* kafka, bool transactional) : kafka_(kafka), transactional_(transactional) {}
  Result<std::unique_ptr<InputPort>> MakeInputs() override {
    return std::unique_ptr<InputPort>(std::make_unique<FakeInputs>(kafka_));
  }
  Result<std::unique_ptr<OutputPort>> MakeOutputs(std::function<bool()> wanted) override {
    keep_waiting = std::move(wanted);
    return std::unique_ptr<OutputPort>(std::make_unique<FakeOutputs>(kafka_, transactional_));
  }
  std::function<bool()> keep_waiting;

 private:
  FakeKafka* kafka_;
  const bool transactional_;
};

}  // namespace coho::test
