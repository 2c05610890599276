// Changelogs in memory for a restorer that takes its turns one by one.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "worker/restore/changelog_port.h"
#include "worker/store/value_format.h"

namespace coho::test {

class MemoryChangelogs final : public ChangelogPort {
 public:
  struct Log {
    struct Record {
      std::string key;
      std::optional<std::string> value;
      bool visible = true;
    };
    std::vector<Record> records;
    Status away;  // of its broker
    bool decided = true;

    void Append(const std::string& key, std::optional<std::string> value) {
      if (value) value->insert(0, kPlainValueHeader);
      records.push_back({key, std::move(value)});
    }
    void AppendControl() { records.push_back({.key = "", .value = {}, .visible = false}); }
  };
  // What outlives the restorer that owns the port.
  struct Kafka {
    std::map<TopicPartition, Log> logs;
    bool answers = true;
    int questions = 0;
    int reads = 0;  // records handed out
    std::optional<Status> poll_failure;
  };
  explicit MemoryChangelogs(Kafka* kafka) : kafka_(kafka) {}

  Status AskRanges(const std::vector<TopicPartition>& partitions) override {
    ++kafka_->questions;
    ChangelogRanges ranges;
    for (const TopicPartition& partition : partitions) {
      const auto log = kafka_->logs.find(partition);
      if (log == kafka_->logs.end()) {
        ranges.emplace(partition, NotFound("no such topic"));
      } else if (!log->second.away.ok()) {
        ranges.emplace(partition, log->second.away);
      } else {
        ranges.emplace(partition,
                       ChangelogRange{.begin = 0,
                                      .end = static_cast<int64_t>(log->second.records.size()),
                                      .decided = log->second.decided});
      }
    }
    answer_ = std::move(ranges);
    return Status::Ok();
  }
  // However late it comes, the answer is of the time of the question.
  std::optional<ChangelogRanges> TakeRanges() override {
    return kafka_->answers ? std::exchange(answer_, std::nullopt) : std::nullopt;
  }
  Result<Duration> DeleteRetention(const std::string&) override {
    return Duration(std::chrono::hours(24));
  }
  Status Assign(const std::map<TopicPartition, int64_t>& positions) override {
    for (const auto& [partition, at] : positions) {
      if (!assigned_.emplace(partition, at).second) return Internal("assigned twice");
    }
    return Status::Ok();
  }
  Status Unassign(const std::vector<TopicPartition>& partitions) override {
    for (const TopicPartition& partition : partitions) assigned_.erase(partition);
    return Status::Ok();
  }
  Status Poll(Duration, std::span<const kafka::Record>* records) override {
    if (kafka_->poll_failure) return *std::exchange(kafka_->poll_failure, std::nullopt);
    parts_.clear();
    records_.clear();
    for (auto& [partition, at] : assigned_) {
      const Log& log = kafka_->logs.at(partition);
      const auto end = static_cast<int64_t>(log.records.size());
      // A few at a time, so that a replay takes several turns.
      for (int n = 0; n < 5 && at < end; ++n, ++at) {
        const Log::Record& record = log.records[static_cast<size_t>(at)];
        if (!record.visible) continue;
        ++kafka_->reads;
        parts_.push_back({.topic = partition.topic,
                          .partition = partition.partition,
                          .offset = at,
                          .key = record.key,
                          .value = record.value});
      }
      if (at == end) {
        parts_.push_back({.topic = partition.topic,
                          .partition = partition.partition,
                          .offset = end,
                          .is_end_of_partition = true});
      }
    }
    for (const kafka::RecordParts& parts : parts_) records_.emplace_back(parts);
    *records = records_;
    return Status::Ok();
  }
  void Release() override {}
  void Close() override {
    assigned_.clear();
    answer_.reset();
  }

 private:
  Kafka* const kafka_;
  std::optional<ChangelogRanges> answer_;
  std::map<TopicPartition, int64_t> assigned_;
  std::vector<kafka::RecordParts> parts_;
  std::vector<kafka::Record> records_;
};

}  // namespace coho::test
