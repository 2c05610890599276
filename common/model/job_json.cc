// JSON -> Job: names and types of the fields. What the values may be is in job_validate.cc.
#include "common/model/job.h"
#include "common/model/job_validate.h"
#include "common/model/json_reader.h"
#include "common/model/limits.h"

namespace coho {
namespace {

void ReadSerdes(ObjectReader& in, SerdeType* key, SerdeType* value) {
  for (const auto& [name, out] : {std::pair("key", key), std::pair("value", value)}) {
    in.OneOf(name, out);
  }
}

void ReadTask(ObjectReader& in, TaskSpec* out) {
  in.Require("name", "the name under which the task is registered, such as count");
  in.Text("name", &out->name);
  in.TextMap("config", &out->config);
}

void ReadKafka(ObjectReader& in, KafkaSpec* out) {
  in.Require("bootstrapServers", "the brokers' addresses, such as kafka:9092");
  in.Text("bootstrapServers", &out->bootstrap_servers);
  in.TextMap("properties", &out->properties);
  in.Object("secretRef", [&](ObjectReader& ref) {
    ref.Require("name", "the name of a Secret in the job's namespace");
    ref.Text("name", &out->secret_name);
  });
  in.Text("topicPrefix", &out->topic_prefix);
  in.Number("replicationFactor", -1, INT16_MAX, &out->replication_factor);
}

void ReadInput(ObjectReader& in, InputSpec* out) {
  in.Require("topic", "the name of a topic");
  in.Text("topic", &out->topic);
  ReadSerdes(in, &out->key, &out->value);
  in.OneOf("startFrom", &out->start_from);
}

void ReadOutput(ObjectReader& in, OutputSpec* out) {
  in.Require("topic", "the name of a topic");
  in.Text("topic", &out->topic);
  ReadSerdes(in, &out->key, &out->value);
  in.Number("partitions", 0, kMaxPartitions, &out->partitions);
}

void ReadStore(ObjectReader& in, StoreSpec* out) {
  in.Require("name", "the name under which the task opens the store");
  in.Text("name", &out->name);
  ReadSerdes(in, &out->key, &out->value);
  in.Flag("changelog", &out->changelog);
}

void ReadWorkers(ObjectReader& in, WorkersSpec* out) {
  in.Number("count", 1, kWorkersMost, &out->count);
  in.Number("runLoops", 1, 64, &out->run_loops);
  // Parts of the pod: only the operator reads them.
  (void)in.Find("resources");
  (void)in.Find("template");
}

void ReadProcessing(ObjectReader& in, ProcessingSpec* out) {
  in.OneOf("guarantee", &out->guarantee);
  in.Time("commitInterval", &out->commit_interval);
  in.Time("windowInterval", &out->window_interval);
  in.OneOf("onError", &out->on_error);
  in.Text("deadLetterTopic", &out->dead_letter_topic);
}

void ReadStorage(ObjectReader& in, StorageSpec* out) {
  in.Time("flushInterval", &out->flush_interval);
  in.Scalar("size", &out->size);
  in.Text("storageClassName", &out->storage_class_name);
  in.Object("retention", [&](ObjectReader& retention) {
    for (const auto& [name, flag] : {std::pair("whenScaled", &out->delete_when_scaled),
                                     std::pair("whenDeleted", &out->delete_when_deleted)}) {
      retention.OneOf<bool>(name, {{"Delete", true}, {"Retain", false}}, flag);
    }
  });
}

void ReadFailover(ObjectReader& in, FailoverSpec* out) {
  in.Time("heartbeatInterval", &out->heartbeat_interval);
  in.Time("sessionTimeout", &out->session_timeout);
  in.Time("homecomingTimeout", &out->homecoming_timeout);
  in.Object("lostNode", [&](ObjectReader& node) {
    node.OneOf("policy", &out->lost_node_policy);
    node.Time("timeout", &out->lost_node_timeout);
  });
}

void ReadState(ObjectReader& in, StateSpec* out) { in.OneOf("onLeftover", &out->on_leftover); }

void ReadSpec(ObjectReader& spec, Job* job) {
  spec.Text("image", &job->image);
  spec.Require("task", "the task to run, such as {name: count}");
  spec.Object("task", [&](ObjectReader& in) { ReadTask(in, &job->task); });
  spec.Require("kafka", "how to reach Kafka, such as {bootstrapServers: \"kafka:9092\"}");
  spec.Object("kafka", [&](ObjectReader& in) { ReadKafka(in, &job->kafka); });
  spec.Require("inputs", "a list of at least one input");
  spec.Objects("inputs", [&](ObjectReader& in) { ReadInput(in, &job->inputs.emplace_back()); });
  spec.Objects("outputs", [&](ObjectReader& in) { ReadOutput(in, &job->outputs.emplace_back()); });
  spec.Objects("stores", [&](ObjectReader& in) { ReadStore(in, &job->stores.emplace_back()); });
  spec.Object("workers", [&](ObjectReader& in) { ReadWorkers(in, &job->workers); });
  spec.Object("processing", [&](ObjectReader& in) { ReadProcessing(in, &job->processing); });
  spec.Object("storage", [&](ObjectReader& in) { ReadStorage(in, &job->storage); });
  spec.Object("failover", [&](ObjectReader& in) { ReadFailover(in, &job->failover); });
  spec.Object("state", [&](ObjectReader& in) { ReadState(in, &job->state); });
}

void ReadFormatVersion(ObjectReader& root) {
  if (root.Find("formatVersion") == nullptr) return;
  int32_t version = 0;
  root.Number("formatVersion", 1, INT32_MAX, &version);
  if (version > kJobFormatVersion) {
    root.Refuse("formatVersion", "at most " + std::to_string(kJobFormatVersion) +
                                     ": the file was written by a newer version of Coho; use an "
                                     "image of that version or a later one");
  }
  root.AcceptUnknownEverywhere();
}

void ReadConstant(ObjectReader& root, std::string_view name, std::string_view only) {
  const Json* value = root.Find(name);
  if (value == nullptr || !value->is_string() || value->get_ref<const std::string&>() != only) {
    root.Refuse(name, only);
  }
}

}  // namespace

std::string DefaultTopicPrefix(const JobId& id) { return "coho-" + id.ToString(); }

std::string DefaultDeadLetterTopic(const std::string& topic_prefix) {
  return topic_prefix + "-dead-letter";
}

Result<Job> ParseJobJson(std::string_view json) {
  Result<Json> parsed = ParseJson(json, "the job");
  if (!parsed.ok()) return parsed.status();

  Job job;
  Status error;
  if (!parsed->is_object())
    return InvalidArgument("the job: found " + ShowJson(*parsed) + ", need an object");
  ObjectReader root(*parsed, "", &error);
  ReadFormatVersion(root);
  ReadConstant(root, "apiVersion", kJobApiVersion);
  ReadConstant(root, "kind", kJobKind);
  root.Require("metadata", "an object with the job's name");
  root.Object("metadata", [&](ObjectReader& metadata) {
    metadata.AcceptUnknown();
    metadata.Require("name", "the job's name");
    metadata.Text("name", &job.id.name);
    job.id.ns = "default";
    metadata.Text("namespace", &job.id.ns);
  });
  root.Require("spec", "an object");
  root.Object("spec", [&](ObjectReader& spec) { ReadSpec(spec, &job); });
  (void)root.Find("status");
  root.RefuseUnknown();
  if (!error.ok()) return error;

  if (job.kafka.topic_prefix.empty()) job.kafka.topic_prefix = DefaultTopicPrefix(job.id);
  if (job.processing.dead_letter_topic.empty()) {
    job.processing.dead_letter_topic = DefaultDeadLetterTopic(job.kafka.topic_prefix);
  }
  COHO_RETURN_IF_ERROR(ValidateJob(job));
  return job;
}

}  // namespace coho
