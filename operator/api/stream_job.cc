#include "operator/api/stream_job.h"

#include <tuple>
#include <utility>

#include "operator/api/pod_template.h"

namespace coho {
namespace {

using nlohmann::json;

const json& Child(const json& parent, const char* key) {
  static const json kNull;
  if (!parent.is_object()) return kNull;
  const auto it = parent.find(key);
  return it == parent.end() ? kNull : *it;
}

std::string Text(const json& parent, const char* key) {
  const json& value = Child(parent, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

// What the job model reads; without managedFields and status, which may outgrow its size limit.
std::string JobPart(const json& object) {
  const json& metadata = Child(object, "metadata");
  const json part = {
      {"apiVersion", Child(object, "apiVersion")},
      {"kind", Child(object, "kind")},
      {"metadata",
       {{"name", Child(metadata, "name")}, {"namespace", Child(metadata, "namespace")}}},
      {"spec", Child(object, "spec")},
  };
  return part.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

PrefixUse PrefixUseOf(const json& object) {
  const json& metadata = Child(object, "metadata");
  PrefixUse use{.job = {.ns = Text(metadata, "namespace"), .name = Text(metadata, "name")},
                .prefix = Text(Child(Child(object, "spec"), "kafka"), "topicPrefix"),
                .created = Text(metadata, "creationTimestamp")};
  if (use.prefix.empty()) use.prefix = DefaultTopicPrefix(use.job);
  return use;
}

bool IsOlder(const PrefixUse& a, const PrefixUse& b) {
  return std::tie(a.created, a.job) < std::tie(b.created, b.job);
}

Result<StreamJob> ParseStreamJob(const json& object) {
  const json& metadata = Child(object, "metadata");
  StreamJob result;
  result.id = {.ns = Text(metadata, "namespace"), .name = Text(metadata, "name")};
  result.uid = Text(metadata, "uid");
  if (result.id.ns.empty() || result.id.name.empty() || result.uid.empty()) {
    return InvalidArgument(
        "not a StreamJob: metadata.name, metadata.namespace or metadata.uid is missing");
  }
  if (const json& generation = Child(metadata, "generation"); generation.is_number_integer()) {
    result.generation = generation.get<int64_t>();
  }
  result.created = Text(metadata, "creationTimestamp");
  result.resource_version = Text(metadata, "resourceVersion");
  if (const json& annotations = Child(metadata, "annotations"); annotations.is_object()) {
    for (const auto& [key, value] : annotations.items()) {
      if (value.is_string()) result.annotations[key] = value.get<std::string>();
    }
  }
  result.deleting = Child(metadata, "deletionTimestamp").is_string();
  if (const json& status = Child(object, "status"); status.is_object()) result.status = status;

  const json& workers = Child(Child(object, "spec"), "workers");
  if (result.error = CheckPodTemplate(Child(workers, "template")); !result.error.ok())
    return result;
  if (result.error = CheckResources(Child(workers, "resources")); !result.error.ok()) return result;
  if (Child(workers, "template").is_object()) result.template_spec = Child(workers, "template");
  if (Child(workers, "resources").is_object()) result.resources = Child(workers, "resources");

  Result<Job> job = ParseJobJson(JobPart(object));
  if (!job.ok()) {
    result.error = job.status();
    return result;
  }
  if (job->image.empty()) {  // the model admits it: a worker without Kubernetes needs none
    result.error = InvalidArgument(
        "spec.image: found none, need the worker image to run, such as coho-worker:1.0");
    return result;
  }
  result.job = std::move(job).value();
  return result;
}

}  // namespace coho
