// Kafka as coordinating sees it, in memory and in one thread: answers when the test says so, and
// misbehaves when it is told to.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/overloaded.h"
#include "common/coordinating/service_state.h"

namespace coho::test {

class MemoryKafka {
 public:
  struct Topic {
    kafka::TopicInfo info;
    std::map<std::string, std::string> config;
    std::vector<StoredRecord> records;
  };
  std::string cluster_id = "kafka-1";
  std::map<std::string, Topic> topics;
  std::map<std::string, int> epochs;  // by transactional id
  std::vector<std::string> fenced;    // in order
  std::optional<Status> away;         // how everything fails
  std::optional<Status> no_writers;   // how producers cannot be initialised
  // How the next writes to a coordinator topic end; a written one may be told as unknown.
  struct NextWrite {
    bool written = true;
    WriteOutcome outcome = WriteOutcome::kWritten;
  };
  std::deque<NextWrite> next_writes;
  int64_t now_ms = 1'000'000;

  void Make(const std::string& name, int32_t partitions) {
    topics[name] = {{name, partitions, "id-" + std::to_string(++ids_)}, {}, {}};
  }
  void Append(const std::string& topic, const TopicRecord& record) {
    Topic& at = topics.at(topic);
    at.records.push_back({record, static_cast<int64_t>(at.records.size()), now_ms});
  }

 private:
  int ids_ = 0;
};

// One process's connections.
class MemoryCluster {
 public:
  explicit MemoryCluster(MemoryKafka* kafka) : kafka_(*kafka) {}
  std::vector<ClusterRequest> asked;  // all, in order
  std::set<std::string> followed;

  // The answer, if the request has one.
  std::optional<ClusterAnswer> Answer(const ClusterRequest& request) {
    asked.push_back(request);
    REQUIRE_MESSAGE(asked.size() < 100'000, "asks without end");
    if (asked.size() > 99'980) {
      if (const auto* w = std::get_if<WriteTopic>(&request)) {
        for (auto& r : w->records) MESSAGE(r.key, " ", r.value);
      } else
        MESSAGE("kind ", request.index());
    }
    const Status status = kafka_.away.value_or(Status::Ok());
    return std::visit(
        Overloaded{
            [&](const OpenWriter& r) -> std::optional<ClusterAnswer> {
              if (!status.ok()) return WriterOpened{status, 0};
              if (kafka_.no_writers) return WriterOpened{*kafka_.no_writers, 0};
              id_ = r.transactional_id;
              epoch_ = ++kafka_.epochs[id_];
              return WriterOpened{Status::Ok(), ++writer_};
            },
            [&](const LookAtTopics& r) -> std::optional<ClusterAnswer> {
              TopicsSeen seen{.status = status, .kafka_cluster_id = kafka_.cluster_id};
              if (!status.ok()) return seen;
              for (const std::string& name : r.topics) {
                const auto topic = kafka_.topics.find(name);
                if (topic != kafka_.topics.end()) seen.topics[name] = topic->second.info;
              }
              for (const std::string& name : r.configs_of) {
                const auto topic = kafka_.topics.find(name);
                if (topic != kafka_.topics.end()) seen.configs[name] = topic->second.config;
              }
              return seen;
            },
            [&](const CreateTopics& r) -> std::optional<ClusterAnswer> {
              if (!status.ok()) return TopicsCreated{status};
              for (const kafka::NewTopic& topic : r.topics) {
                if (kafka_.topics.contains(topic.name)) continue;
                kafka_.Make(topic.name, topic.partitions);
                kafka_.topics.at(topic.name).config = topic.config;
              }
              return TopicsCreated{Status::Ok()};
            },
            [&](const ReadTopic& r) -> std::optional<ClusterAnswer> {
              if (!status.ok()) return TopicRead{status, {}};
              const auto topic = kafka_.topics.find(r.topic);
              if (topic == kafka_.topics.end()) return TopicRead{NotFound(r.topic), {}};
              return TopicRead{Status::Ok(), topic->second.records};
            },
            [&](const WriteTopic& r) -> std::optional<ClusterAnswer> { return Write(r, status); },
            [&](const FenceIds& r) -> std::optional<ClusterAnswer> {
              if (!status.ok()) return IdsFenced{status};
              for (const std::string& id : r.transactional_ids) {
                ++kafka_.epochs[id];
                kafka_.fenced.push_back(id);
              }
              return IdsFenced{};
            },
            [&](const FollowHeartbeats& r) -> std::optional<ClusterAnswer> {
              if (!status.ok()) return FollowBegun{status, 0};
              followed.insert(r.topic);
              const auto& records = kafka_.topics.at(r.topic).records;
              return FollowBegun{Status::Ok(), static_cast<int64_t>(records.size())};
            },
            [&](const UnfollowHeartbeats& r) -> std::optional<ClusterAnswer> {
              followed.erase(r.topic);
              return std::nullopt;
            },
        },
        request);
  }

 private:
  WriteEnded Write(const WriteTopic& r, const Status& status) {
    if (r.writer != writer_ || id_.empty())
      return {WriteOutcome::kNotWritten, Unavailable("closed")};
    if (!status.ok()) return Closed({WriteOutcome::kUnknown, status});
    if (kafka_.epochs[id_] != epoch_)
      return Closed({WriteOutcome::kFenced, Fenced("by a newer one")});
    MemoryKafka::NextWrite next;
    if (!kafka_.next_writes.empty()) {
      next = kafka_.next_writes.front();
      kafka_.next_writes.pop_front();
    }
    if (next.written) {
      for (const TopicRecord& record : r.records) kafka_.Append(r.topic, record);
    }
    const WriteEnded ended{next.outcome, next.outcome == WriteOutcome::kWritten
                                             ? Status::Ok()
                                             : Unavailable("as the test wants it")};
    const bool goes_on =
        next.outcome == WriteOutcome::kWritten || next.outcome == WriteOutcome::kNotWritten;
    return goes_on ? ended : Closed(ended);
  }
  WriteEnded Closed(WriteEnded ended) {
    id_.clear();
    return ended;
  }

  MemoryKafka& kafka_;
  std::string id_;
  int epoch_ = 0;
  int64_t writer_ = 0;
};

}  // namespace coho::test
