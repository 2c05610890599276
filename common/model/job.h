// A StreamJob as its user wants it: the values of `spec` after defaulting. One type and one wire
// form for everybody: the API server's JSON, the ConfigMap that the operator mounts into workers,
// and the YAML file of the standalone mode. Values; no IO here.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/contract/enum_names.h"

namespace coho {

enum class SerdeType { kBytes, kString, kInt64, kJson };
constexpr auto NamesOf(SerdeType) {
  return EnumNames<SerdeType, 4>{{{"bytes", SerdeType::kBytes},
                                  {"string", SerdeType::kString},
                                  {"int64", SerdeType::kInt64},
                                  {"json", SerdeType::kJson}}};
}
enum class StartFrom { kEarliest, kLatest };
constexpr auto NamesOf(StartFrom) {
  return EnumNames<StartFrom, 2>{
      {{"Earliest", StartFrom::kEarliest}, {"Latest", StartFrom::kLatest}}};
}
enum class Guarantee { kExactlyOnce, kAtLeastOnce };
constexpr auto NamesOf(Guarantee) {
  return EnumNames<Guarantee, 2>{
      {{"ExactlyOnce", Guarantee::kExactlyOnce}, {"AtLeastOnce", Guarantee::kAtLeastOnce}}};
}
enum class OnError { kFail, kSkip, kDeadLetter };
constexpr auto NamesOf(OnError) {
  return EnumNames<OnError, 3>{
      {{"Fail", OnError::kFail}, {"Skip", OnError::kSkip}, {"DeadLetter", OnError::kDeadLetter}}};
}
enum class LostNodePolicy { kWait, kReplace };
constexpr auto NamesOf(LostNodePolicy) {
  return EnumNames<LostNodePolicy, 2>{
      {{"Wait", LostNodePolicy::kWait}, {"Replace", LostNodePolicy::kReplace}}};
}
enum class OnLeftover { kRefuse, kAdopt };
constexpr auto NamesOf(OnLeftover) {
  return EnumNames<OnLeftover, 2>{{{"Refuse", OnLeftover::kRefuse}, {"Adopt", OnLeftover::kAdopt}}};
}

struct InputSpec {
  std::string topic;
  SerdeType key = SerdeType::kBytes;
  SerdeType value = SerdeType::kBytes;
  StartFrom start_from = StartFrom::kEarliest;  // where a task without committed offset begins
  friend bool operator==(const InputSpec&, const InputSpec&) = default;
};

struct OutputSpec {
  std::string topic;
  SerdeType key = SerdeType::kBytes;
  SerdeType value = SerdeType::kBytes;
  int32_t partitions = 0;  // > 0: the topic is created when missing; 0: it must exist
  friend bool operator==(const OutputSpec&, const OutputSpec&) = default;
};

struct StoreSpec {
  std::string name;
  SerdeType key = SerdeType::kBytes;
  SerdeType value = SerdeType::kBytes;
  bool changelog = true;
  friend bool operator==(const StoreSpec&, const StoreSpec&) = default;
};

struct TaskSpec {
  std::string name;                           // registered name of the user's task
  std::map<std::string, std::string> config;  // handed to Init
  friend bool operator==(const TaskSpec&, const TaskSpec&) = default;
};

struct KafkaSpec {
  std::string bootstrap_servers;
  std::map<std::string, std::string> properties;  // librdkafka names; never secrets
  std::string secret_name;                        // secretRef.name; empty: none
  std::string topic_prefix;                       // see DefaultTopicPrefix
  int16_t replication_factor = -1;  // of topics that Coho creates; -1: the broker's default
  friend bool operator==(const KafkaSpec&, const KafkaSpec&) = default;
};

struct WorkersSpec {
  int32_t count = 1;
  int32_t run_loops = 1;
  friend bool operator==(const WorkersSpec&, const WorkersSpec&) = default;
};

struct ProcessingSpec {
  Guarantee guarantee = Guarantee::kExactlyOnce;
  Duration commit_interval = std::chrono::milliseconds(100);
  Duration window_interval = Duration::zero();  // zero: window() is never called
  OnError on_error = OnError::kFail;
  std::string dead_letter_topic;  // default <prefix>-dead-letter; created when missing
  friend bool operator==(const ProcessingSpec&, const ProcessingSpec&) = default;
};

struct StorageSpec {
  // Write back dirty values and flush RocksDB at least this often: bounds what a crashed worker
  // replays.
  Duration flush_interval = std::chrono::seconds(30);
  std::string size = "10Gi";        // Kubernetes quantity; the operator's business
  std::string storage_class_name;   // empty: the cluster's default
  bool delete_when_scaled = true;   // retention: what becomes of an emptied worker's volume
  bool delete_when_deleted = true;  // ... of all volumes when the job is deleted
  friend bool operator==(const StorageSpec&, const StorageSpec&) = default;
};

struct FailoverSpec {
  Duration heartbeat_interval = std::chrono::seconds(1);
  Duration session_timeout = std::chrono::seconds(6);  // silent for longer: called lost
  Duration homecoming_timeout =
      std::chrono::minutes(5);  // how long a lost worker's tasks wait for it
  LostNodePolicy lost_node_policy = LostNodePolicy::kWait;
  Duration lost_node_timeout = std::chrono::seconds(60);
  friend bool operator==(const FailoverSpec&, const FailoverSpec&) = default;
};

struct StateSpec {
  // What becomes of topics that an earlier job of this name, or another owner, left behind (R0).
  OnLeftover on_leftover = OnLeftover::kRefuse;
  friend bool operator==(const StateSpec&, const StateSpec&) = default;
};

struct Job {
  JobId id;
  std::string image;
  TaskSpec task;
  KafkaSpec kafka;
  std::vector<InputSpec> inputs;
  std::vector<OutputSpec> outputs;
  std::vector<StoreSpec> stores;
  WorkersSpec workers;
  ProcessingSpec processing;
  StorageSpec storage;
  FailoverSpec failover;
  StateSpec state;
  friend bool operator==(const Job&, const Job&) = default;

  // Topic and transactional-id names; one prefix, so that one prefixed ACL covers a job.
  [[nodiscard]] std::string CoordinatorTopic() const { return kafka.topic_prefix + "-coordinator"; }
  [[nodiscard]] std::string HeartbeatsTopic() const { return kafka.topic_prefix + "-heartbeats"; }
  [[nodiscard]] std::string ChangelogTopic(std::string_view store) const {
    return kafka.topic_prefix + "-" + std::string(store) + "-changelog";
  }
  [[nodiscard]] std::string TransactionalId(WorkerId worker, int32_t run_loop) const {
    return kafka.topic_prefix + "-worker-" + coho::ToString(worker) + "-loop-" +
           std::to_string(run_loop);
  }
  [[nodiscard]] std::string ConsumerGroup() const { return id.ToString(); }
};

// "coho-<namespace>.<name>": a namespace has no dot, so no two jobs share one.
[[nodiscard]] std::string DefaultTopicPrefix(const JobId& id);
// "<prefix>-dead-letter"
[[nodiscard]] std::string DefaultDeadLetterTopic(const std::string& topic_prefix);

// A file with `formatVersion` was written by a program, which may be newer than its reader: fields
// that the reader does not know are passed over. The number grows only when an older reader must
// not go on; it then refuses the file.
inline constexpr int32_t kJobFormatVersion = 1;

// Parses {apiVersion, kind, metadata, spec} (unknown fields under metadata and status are ignored;
// unknown fields of spec are errors, except in a file with `formatVersion`, and the parts that only
// Kubernetes reads: workers.resources, workers.template), fills in defaults and validates what one
// object can show. Every error names the field's path, what was found and what is allowed:
// "spec.processing.commitInterval: found \"100\", need a duration such as 100ms, 5s or 1m30s". The
// first error is returned. `json` may come from anyone: depth and size are capped (depth 64, 1
// MiB).
[[nodiscard]] Result<Job> ParseJobJson(std::string_view json);
// The same from YAML (JSON is YAML, too); duplicate keys are errors.
[[nodiscard]] Result<Job> ParseJobYaml(std::string_view yaml);
// Canonical JSON with `formatVersion`; ParseJobJson(JobToJson(j)) == j. Holds what differs from the
// defaults, and the names that all have to spell alike whatever their version: so a field that a
// later version adds changes nothing for a job without it.
[[nodiscard]] std::string JobToJson(const Job& job);
// The same with every field.
[[nodiscard]] std::string JobToFullJson(const Job& job);

// Kubernetes/Go duration: "100ms", "5s", "1m30s", "2h"; nonnegative. Error message names only the
// found text.
[[nodiscard]] Result<Duration> ParseDuration(std::string_view text);
[[nodiscard]] std::string FormatDuration(Duration d);

[[nodiscard]] std::string_view SerdeName(SerdeType type);

}  // namespace coho
