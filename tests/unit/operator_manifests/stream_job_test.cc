#include "operator/api/stream_job.h"

#include <doctest/doctest.h>

#include <fstream>

namespace coho {
namespace {

using nlohmann::json;

json Admission() { return json::parse(std::ifstream("tests/testdata/streamjobs/admission.json")); }

json Case(const json& base, const json& patch) {
  json object = base;
  object.merge_patch(patch);
  object["metadata"]["uid"] = "u";
  return object;
}

TEST_CASE(
    "StreamJob: what the API server admits is usable; what it refuses is refused by name, too") {
  const json admission = Admission();
  for (const json& row : admission["cases"]) {
    const std::string name = row["name"];
    CAPTURE(name);
    const Result<StreamJob> job = ParseStreamJob(Case(admission["base"], row["patch"]));
    REQUIRE(job.ok());
    if (!row.contains("model")) {
      CHECK_MESSAGE(job->job.has_value(), job->error.message());
      continue;
    }
    CHECK_FALSE(job->job);
    CHECK_MESSAGE(job->error.message().find(row["model"].get<std::string>()) != std::string::npos,
                  job->error.message());
    CHECK(job->error.message().find("hunter2") == std::string::npos);
  }
}

TEST_CASE("StreamJob: metadata and the parts that only Kubernetes reads") {
  const json admission = Admission();
  const json patch = json::parse(R"({
    "metadata": {"generation": 7, "resourceVersion": "12", "annotations": {"a": "b"}, "deletionTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"workers": {"template": {"labels": {"team": "web"}}, "resources": {"limits": {"cpu": 2}}}},
    "status": {"replicas": 2}})");
  const StreamJob job = ParseStreamJob(Case(admission["base"], patch)).value();
  CHECK(job.id == JobId{"default", "visits"});
  CHECK(job.uid == "u");
  CHECK(job.generation == 7);
  CHECK(job.resource_version == "12");
  CHECK(job.annotations.at("a") == "b");
  CHECK(job.deleting);
  CHECK(job.status["replicas"] == 2);
  CHECK(job.template_spec["labels"]["team"] == "web");
  CHECK(job.resources["limits"]["cpu"] == 2);
  REQUIRE(job.job);
  CHECK(job.job->workers.count == 2);
}

TEST_CASE("StreamJob: fails only on what is no object with a name") {
  for (const char* text :
       {"null", "[]", "1", "\"x\"", "{}", R"({"metadata": 3})", R"({"metadata": {"name": "a"}})",
        R"({"metadata": {"name": "a", "namespace": "b", "uid": 4}})"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseStreamJob(json::parse(text)).ok());
  }
  const auto bare =
      ParseStreamJob(json::parse(R"({"metadata": {"name": "a", "namespace": "b", "uid": "c"}})"));
  REQUIRE(bare.ok());
  CHECK_FALSE(bare->job);
  CHECK_FALSE(bare->error.ok());
}

TEST_CASE("StreamJob: managed fields of any size do not count against the spec") {
  json object = Case(Admission()["base"], json::object());
  object["metadata"]["managedFields"] = json::array({std::string(3 << 20, 'x')});
  object["status"] = {{"assignment", std::string(3 << 20, 'x')}};
  CHECK(ParseStreamJob(object)->job);
}

}  // namespace
}  // namespace coho
