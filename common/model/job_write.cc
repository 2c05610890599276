// Job -> canonical JSON: every field, defaults too, keys sorted.
#include "common/model/job.h"
#include "common/model/job_validate.h"
#include "common/model/json_reader.h"

namespace coho {
namespace {

std::string_view RetentionName(bool deleted) { return deleted ? "Delete" : "Retain"; }

Json WriteStreams(const Job& job) {
  Json inputs = Json::array();
  for (const InputSpec& input : job.inputs) {
    inputs.push_back({{"topic", input.topic},
                      {"key", SerdeName(input.key)},
                      {"value", SerdeName(input.value)},
                      {"startFrom", NameOf(input.start_from)}});
  }
  Json outputs = Json::array();
  for (const OutputSpec& output : job.outputs) {
    outputs.push_back({{"topic", output.topic},
                       {"key", SerdeName(output.key)},
                       {"value", SerdeName(output.value)},
                       {"partitions", output.partitions}});
  }
  Json stores = Json::array();
  for (const StoreSpec& store : job.stores) {
    stores.push_back({{"name", store.name},
                      {"key", SerdeName(store.key)},
                      {"value", SerdeName(store.value)},
                      {"changelog", store.changelog}});
  }
  return {{"inputs", inputs}, {"outputs", outputs}, {"stores", stores}};
}

Json WriteKafka(const KafkaSpec& kafka) {
  Json json = {{"bootstrapServers", kafka.bootstrap_servers},
               {"properties", kafka.properties},
               {"topicPrefix", kafka.topic_prefix},
               {"replicationFactor", kafka.replication_factor}};
  if (!kafka.secret_name.empty()) json["secretRef"] = {{"name", kafka.secret_name}};
  return json;
}

Json WriteProcessing(const ProcessingSpec& processing) {
  return {{"guarantee", NameOf(processing.guarantee)},
          {"commitInterval", FormatDuration(processing.commit_interval)},
          {"windowInterval", FormatDuration(processing.window_interval)},
          {"onError", NameOf(processing.on_error)},
          {"deadLetterTopic", processing.dead_letter_topic}};
}

Json WriteStorage(const StorageSpec& storage) {
  Json json = {{"flushInterval", FormatDuration(storage.flush_interval)},
               {"size", storage.size},
               {"retention",
                {{"whenScaled", RetentionName(storage.delete_when_scaled)},
                 {"whenDeleted", RetentionName(storage.delete_when_deleted)}}}};
  if (!storage.storage_class_name.empty()) json["storageClassName"] = storage.storage_class_name;
  return json;
}

Json WriteFailover(const FailoverSpec& failover) {
  return {{"heartbeatInterval", FormatDuration(failover.heartbeat_interval)},
          {"sessionTimeout", FormatDuration(failover.session_timeout)},
          {"homecomingTimeout", FormatDuration(failover.homecoming_timeout)},
          {"lostNode",
           {{"policy", NameOf(failover.lost_node_policy)},
            {"timeout", FormatDuration(failover.lost_node_timeout)}}}};
}

}  // namespace

std::string_view SerdeName(SerdeType type) { return NameOf(type); }

std::string JobToJson(const Job& job) {
  Json spec = WriteStreams(job);
  if (!job.image.empty()) spec["image"] = job.image;
  spec["task"] = {{"name", job.task.name}, {"config", job.task.config}};
  spec["kafka"] = WriteKafka(job.kafka);
  spec["workers"] = {{"count", job.workers.count}, {"runLoops", job.workers.run_loops}};
  spec["processing"] = WriteProcessing(job.processing);
  spec["storage"] = WriteStorage(job.storage);
  spec["failover"] = WriteFailover(job.failover);
  return DumpJson({{"apiVersion", kJobApiVersion},
                   {"kind", kJobKind},
                   {"metadata", {{"name", job.id.name}, {"namespace", job.id.ns}}},
                   {"spec", spec}});
}

}  // namespace coho
