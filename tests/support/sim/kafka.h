// An unkind Kafka in memory, in virtual time: topics with ids, partitions with begin, stable end
// and high watermark, transactions that are open, prepared and decided, producer epochs, time-outs
// that abort, offsets of groups that expire, compaction, retention, topics deleted and made again.
// A transaction's end is acknowledged before its markers are written, partition by partition,
// `marker_delay` later; until then the stable end stays where it was. What a client sees of
// requests that get lost is not here, but in network.h.
//
// Modelled on Kafka 3.x with verification of transactional writes. Thread rule: one thread. Answers
// are immediate.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "tests/support/sim/kafka_log.h"
#include "tests/support/sim/scheduler.h"

namespace coho::sim {

struct ProducerIdentity {
  int64_t id = -1;
  int16_t epoch = -1;
};

class Kafka {
 public:
  explicit Kafka(Scheduler* scheduler);

  struct Weather {
    Duration marker_delay_min{};
    Duration marker_delay_max{};
    std::map<std::string, Duration> marker_late;  // by topic: not before
    Duration offsets_retention = std::chrono::hours(24 * 7);
    int64_t message_bytes_max = 1'000'000;
  };
  Weather weather;

  // Topics.
  Error CreateTopic(const std::string& name, int32_t partitions,
                    std::map<std::string, std::string> config);
  Error DeleteTopic(const std::string& name);
  [[nodiscard]] const KafkaTopic* FindTopic(const std::string& name) const;
  [[nodiscard]] KafkaTopic* FindTopic(const std::string& name);
  [[nodiscard]] KafkaPartition* Find(const TopicPartition& at);
  [[nodiscard]] const std::map<std::string, std::unique_ptr<KafkaTopic>>& topics() const {
    return topics_;
  }
  [[nodiscard]] const std::string& cluster_id() const { return cluster_id_; }
  // Keeps the last record of each key, and tombstones that are younger than delete.retention.ms;
  // not from the stable end on.
  void Compact(const TopicPartition& at);
  void DeleteRecords(const TopicPartition& at, int64_t before);
  // As when a replica that lagged behind becomes the leader. Nothing happens while a transaction is
  // open there.
  void LoseEnd(const TopicPartition& at, int64_t offsets);

  // Records. `producer` with id -1: neither idempotent nor transactional.
  Error Produce(const TopicPartition& at, const ProducerIdentity& producer,
                const std::string& transactional_id, std::vector<KafkaRecord> records,
                int64_t* base_offset);
  struct Fetched {
    Error error = Error::kNone;
    std::vector<const KafkaRecord*> records;
    int64_t next = 0;  // to be asked for after them
    int64_t begin = 0;
    int64_t end = 0;
    int64_t stable_end = 0;
  };
  [[nodiscard]] Fetched Fetch(const TopicPartition& at, int64_t offset, bool read_committed,
                              size_t most);
  // What a committed reader sees of a partition, now.
  [[nodiscard]] std::vector<const KafkaRecord*> Committed(const TopicPartition& at);

  // Transactions.
  Error InitProducerId(const std::string& transactional_id, Duration timeout,
                       const ProducerIdentity& mine, ProducerIdentity* out);
  Error AddPartition(const std::string& transactional_id, const ProducerIdentity& producer,
                     const TopicPartition& at);
  Error AddOffsets(const std::string& transactional_id, const ProducerIdentity& producer,
                   const std::string& group, const std::map<TopicPartition, int64_t>& offsets);
  Error EndTransaction(const std::string& transactional_id, const ProducerIdentity& producer,
                       bool commit);
  [[nodiscard]] bool IsCurrent(const std::string& transactional_id,
                               const ProducerIdentity& producer) const;

  // Groups.
  Error CommitOffsets(const std::string& group, const std::map<TopicPartition, int64_t>& offsets);
  Error FetchOffset(const std::string& group, const TopicPartition& at,
                    std::optional<int64_t>* out);
  void ExpireOffsets(const std::string& group);

  // Called for each transaction that is decided: transactional id, committed or not, partitions.
  std::function<void(const std::string&, bool, const std::set<TopicPartition>&)> on_decided;
  // Called when a producer with a transactional id was initialised, on the fiber that asked.
  std::function<void()> on_initialised;
  // As that one, with the transactional id.
  std::function<void(const std::string&)> on_taken;
  // Called for each record that a producer without transactions is given, on the fiber that does.
  std::function<void(const TopicPartition&)> on_handed_over;
  // Called for each record of a transaction that is kept.
  std::function<void(const std::string& transactional_id, const TopicPartition&,
                     const KafkaRecord&)>
      on_produced;
  // What another release would have written: called for each record of a topic before it is kept.
  std::function<void(const std::string& topic, std::string* value)> rewrite;

 private:
  struct Transaction {
    enum class State { kNone, kOpen, kPrepared };
    ProducerIdentity producer;
    State state = State::kNone;
    bool commit = false;  // what was decided last
    bool ever_decided = false;
    int64_t number = 0;      // of the transaction, for its time-out
    bool timed_out = false;  // the epoch was raised by a time-out, and by nobody else
    Duration timeout{};
    std::set<TopicPartition> partitions;
    std::map<std::string, std::map<TopicPartition, int64_t>> offsets;
    int markers_left = 0;
  };
  struct GroupOffset {
    int64_t next = 0;
    MonotonicTime at{};
  };
  struct Group {
    std::map<TopicPartition, GroupOffset> offsets;
    std::map<TopicPartition, int> pending;
  };

  Error Check(const std::string& transactional_id, const ProducerIdentity& producer,
              Transaction** out);
  void Begin(const std::string& transactional_id, Transaction* transaction);
  void Decide(const std::string& transactional_id, Transaction* transaction, bool commit);
  void WriteMarker(const std::string& transactional_id, const TopicPartition& at,
                   const std::string& topic_id, const ProducerIdentity& producer, bool commit);
  void MarkerDone(const std::string& transactional_id);
  void Wake(KafkaPartition* partition);
  KafkaRecord* Append(KafkaPartition* partition, KafkaRecord record);

  Scheduler* const scheduler_;
  std::string cluster_id_ = "kafka-of-the-simulation";
  std::map<std::string, std::unique_ptr<KafkaTopic>> topics_;
  std::map<std::string, Transaction> transactions_;
  std::map<std::string, Group> groups_;
  int64_t producers_ = 0;
  int64_t topics_made_ = 0;
};

}  // namespace coho::sim
