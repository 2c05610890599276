// crds/streamjobs.yaml against what the code reads and writes: a field that only one of them knows
// would be pruned by the API server, or read by nobody.
#include <doctest/doctest.h>
#include <yaml-cpp/yaml.h>

#include <set>

#include "toy_cluster.h"

namespace coho {
namespace {

using nlohmann::json;

YAML::Node Schema(const char* part) {
  const YAML::Node crd = YAML::LoadFile("crds/streamjobs.yaml");
  return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part];
}

// "spec.workers.count", for every field of the schema; free maps end at their own name.
void SchemaPaths(const YAML::Node& schema, const std::string& path, std::set<std::string>* paths) {
  if (schema["properties"]) {
    for (const auto& property : schema["properties"]) {
      SchemaPaths(property.second, path + "." + property.first.as<std::string>(), paths);
    }
  } else if (schema["items"]) {
    SchemaPaths(schema["items"], path + "[]", paths);
  } else {
    paths->insert(path);
  }
}

bool IsFreeMap(const std::string& path) {
  return path == "spec.kafka.properties" || path == "spec.task.config";
}

void JsonPaths(const json& value, const std::string& path, std::set<std::string>* paths) {
  if (value.is_object() && !IsFreeMap(path)) {
    for (const auto& [key, child] : value.items()) JsonPaths(child, path + "." + key, paths);
  } else if (value.is_array()) {
    for (const json& child : value) JsonPaths(child, path + "[]", paths);
  } else {
    paths->insert(path);
  }
}

TEST_CASE("crd: spec has the fields of the job model, and no others") {
  const StreamJob job = ParseStreamJob(JobObject()).value();
  std::set<std::string> model;
  JsonPaths(json::parse(JobToFullJson(*job.job))["spec"], "spec", &model);
  std::set<std::string> schema;
  SchemaPaths(Schema("spec"), "spec", &schema);
  std::erase_if(schema, [](const std::string& path) {  // what only Kubernetes reads
    return path.starts_with("spec.workers.resources") || path.starts_with("spec.workers.template");
  });
  CHECK(schema == model);
}

TEST_CASE("crd: status is kept as it is written") {
  ToyCluster cluster(2, 4);
  cluster.Settle();
  std::set<std::string> written;
  JsonPaths(cluster.observed.job.status, "status", &written);
  std::set<std::string> schema;
  SchemaPaths(Schema("status"), "status", &schema);
  CHECK(schema == written);
}

TEST_CASE("crd: defaults are those of the job model") {
  const StreamJob job = ParseStreamJob(JobObject()).value();
  const json model = json::parse(JobToFullJson(*job.job))["spec"];
  const YAML::Node spec = Schema("spec");
  const auto same = [&](const char* group, const char* field) {
    CAPTURE(field);
    const YAML::Node found = spec["properties"][group]["properties"][field]["default"];
    REQUIRE(found);
    const json& value = model[group][field];
    CHECK(found.as<std::string>() == (value.is_string() ? value.get<std::string>() : value.dump()));
  };
  for (const char* field : {"commitInterval", "windowInterval", "guarantee", "onError"})
    same("processing", field);
  for (const char* field : {"heartbeatInterval", "sessionTimeout"}) same("failover", field);
  for (const char* field : {"runLoops"}) same("workers", field);
  for (const char* field : {"flushInterval"}) same("storage", field);
  same("kafka", "replicationFactor");
  same("state", "onLeftover");
  CHECK(ParseDuration(spec["properties"]["failover"]["properties"]["homecomingTimeout"]["default"]
                          .as<std::string>())
            .value() == FailoverSpec().homecoming_timeout);
  CHECK(ParseDuration(spec["properties"]["failover"]["properties"]["lostNode"]["properties"]
                          ["timeout"]["default"]
                              .as<std::string>())
            .value() == FailoverSpec().lost_node_timeout);
  CHECK(spec["properties"]["storage"]["properties"]["size"]["default"].as<std::string>() ==
        StorageSpec().size);
}

}  // namespace
}  // namespace coho
