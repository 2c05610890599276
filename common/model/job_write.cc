// Job -> canonical JSON, keys sorted: what differs from the defaults, or every field.
#include <string_view>

#include "common/model/job.h"
#include "common/model/job_validate.h"
#include "common/model/json_reader.h"

namespace coho {
namespace {

std::string_view RetentionName(bool deleted) { return deleted ? "Delete" : "Retain"; }

class Writer {
 public:
  Writer(const Job& job, bool every_field) : job_(job), every_(every_field) {}

  [[nodiscard]] Json Spec() const {
    Json spec = {{"task", Task()}, {"kafka", Kafka()}, {"inputs", Inputs()}};
    PutUnlessEmpty(&spec, "image", job_.image);
    PutGroup(&spec, "outputs", Outputs());
    PutGroup(&spec, "stores", Stores());
    PutGroup(&spec, "workers", Workers());
    PutGroup(&spec, "processing", Processing());
    PutGroup(&spec, "storage", Storage());
    PutGroup(&spec, "failover", Failover());
    PutGroup(&spec, "state", State());
    return spec;
  }

 private:
  template <class T>
  void Put(Json* json, const char* name, const T& value, const T& standard) const {
    if (every_ || value != standard) (*json)[name] = Text(value);
  }
  static void PutUnlessEmpty(Json* json, const char* name, const std::string& value) {
    if (!value.empty()) (*json)[name] = value;
  }
  void PutGroup(Json* json, const char* name, Json group) const {
    if (every_ || !group.empty()) (*json)[name] = std::move(group);
  }
  template <class T>
  static Json Text(const T& value) {
    if constexpr (NamedEnum<T>) {
      return NameOf(value);
    } else if constexpr (std::is_same_v<T, Duration>) {
      return FormatDuration(value);
    } else {
      return value;
    }
  }

  [[nodiscard]] Json Task() const {
    Json json = {{"name", job_.task.name}};
    Put(&json, "config", job_.task.config, {});
    return json;
  }

  [[nodiscard]] Json Kafka() const {
    const KafkaSpec& kafka = job_.kafka;
    const KafkaSpec standard;
    // The prefix is part of names that every version has to spell alike, so it does not depend on
    // who reads the file.
    Json json = {{"bootstrapServers", kafka.bootstrap_servers},
                 {"topicPrefix", kafka.topic_prefix}};
    Put(&json, "properties", kafka.properties, standard.properties);
    Put(&json, "replicationFactor", kafka.replication_factor, standard.replication_factor);
    if (!kafka.secret_name.empty()) json["secretRef"] = {{"name", kafka.secret_name}};
    return json;
  }

  template <class T>
  void PutSerdes(Json* json, const T& stream) const {
    Put(json, "key", stream.key, SerdeType::kBytes);
    Put(json, "value", stream.value, SerdeType::kBytes);
  }

  [[nodiscard]] Json Inputs() const {
    Json list = Json::array();
    for (const InputSpec& input : job_.inputs) {
      Json json = {{"topic", input.topic}};
      PutSerdes(&json, input);
      Put(&json, "startFrom", input.start_from, InputSpec().start_from);
      list.push_back(std::move(json));
    }
    return list;
  }

  [[nodiscard]] Json Outputs() const {
    Json list = Json::array();
    for (const OutputSpec& output : job_.outputs) {
      Json json = {{"topic", output.topic}};
      PutSerdes(&json, output);
      Put(&json, "partitions", output.partitions, OutputSpec().partitions);
      list.push_back(std::move(json));
    }
    return list;
  }

  [[nodiscard]] Json Stores() const {
    Json list = Json::array();
    for (const StoreSpec& store : job_.stores) {
      Json json = {{"name", store.name}};
      PutSerdes(&json, store);
      Put(&json, "changelog", store.changelog, StoreSpec().changelog);
      list.push_back(std::move(json));
    }
    return list;
  }

  [[nodiscard]] Json Workers() const {
    Json json = Json::object();
    Put(&json, "count", job_.workers.count, WorkersSpec().count);
    Put(&json, "runLoops", job_.workers.run_loops, WorkersSpec().run_loops);
    return json;
  }

  [[nodiscard]] Json Processing() const {
    const ProcessingSpec& processing = job_.processing;
    const ProcessingSpec standard;
    Json json = Json::object();
    Put(&json, "guarantee", processing.guarantee, standard.guarantee);
    Put(&json, "commitInterval", processing.commit_interval, standard.commit_interval);
    Put(&json, "windowInterval", processing.window_interval, standard.window_interval);
    Put(&json, "onError", processing.on_error, standard.on_error);
    Put(&json, "deadLetterTopic", processing.dead_letter_topic,
        DefaultDeadLetterTopic(job_.kafka.topic_prefix));
    return json;
  }

  [[nodiscard]] Json Storage() const {
    const StorageSpec& storage = job_.storage;
    const StorageSpec standard;
    Json json = Json::object();
    Put(&json, "flushInterval", storage.flush_interval, standard.flush_interval);
    Put(&json, "size", storage.size, standard.size);
    PutUnlessEmpty(&json, "storageClassName", storage.storage_class_name);
    Json retention = Json::object();
    if (every_ || storage.delete_when_scaled != standard.delete_when_scaled)
      retention["whenScaled"] = RetentionName(storage.delete_when_scaled);
    if (every_ || storage.delete_when_deleted != standard.delete_when_deleted)
      retention["whenDeleted"] = RetentionName(storage.delete_when_deleted);
    PutGroup(&json, "retention", std::move(retention));
    return json;
  }

  [[nodiscard]] Json Failover() const {
    const FailoverSpec& failover = job_.failover;
    const FailoverSpec standard;
    Json json = Json::object();
    Put(&json, "heartbeatInterval", failover.heartbeat_interval, standard.heartbeat_interval);
    Put(&json, "sessionTimeout", failover.session_timeout, standard.session_timeout);
    Put(&json, "homecomingTimeout", failover.homecoming_timeout, standard.homecoming_timeout);
    Json node = Json::object();
    Put(&node, "policy", failover.lost_node_policy, standard.lost_node_policy);
    Put(&node, "timeout", failover.lost_node_timeout, standard.lost_node_timeout);
    PutGroup(&json, "lostNode", std::move(node));
    return json;
  }

  [[nodiscard]] Json State() const {
    Json json = Json::object();
    Put(&json, "onLeftover", job_.state.on_leftover, StateSpec().on_leftover);
    return json;
  }

  const Job& job_;
  const bool every_;
};

std::string Write(const Job& job, bool every_field) {
  return DumpJson({{"apiVersion", kJobApiVersion},
                   {"kind", kJobKind},
                   {"formatVersion", kJobFormatVersion},
                   {"metadata", {{"name", job.id.name}, {"namespace", job.id.ns}}},
                   {"spec", Writer(job, every_field).Spec()}});
}

}  // namespace

std::string_view SerdeName(SerdeType type) { return NameOf(type); }

std::string JobToJson(const Job& job) { return Write(job, false); }
std::string JobToFullJson(const Job& job) { return Write(job, true); }

}  // namespace coho
