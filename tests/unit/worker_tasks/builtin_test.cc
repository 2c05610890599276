#include "worker/tasks/builtin.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "worker/sdk/test_driver.h"

namespace coho {
namespace {

const bool registered = [] {
  RegisterBuiltinTasks();
  return true;
}();

Job MakeJob(const std::string& task) {
  Job job;
  job.id = {"test", task};
  job.task.name = task;
  job.inputs = {{.topic = "in", .key = SerdeType::kString}};
  job.outputs = {{.topic = "out", .key = SerdeType::kString, .value = SerdeType::kJson}};
  job.stores = {{.name = "counts", .key = SerdeType::kString, .value = SerdeType::kInt64}};
  return job;
}

TEST_CASE("count: sends each key's running count in the order of its records") {
  REQUIRE(registered);
  auto driver = TestDriver::Start(MakeJob("count"));
  REQUIRE(driver.ok());
  for (const char* key : {"b", "a", "b", "b", "a"}) CHECK((*driver)->Send("in", key, "x").ok());
  CHECK((*driver)->Send("in", "b", std::nullopt).ok());  // a tombstone is a record, too
  std::vector<std::pair<std::string, std::string>> sent;
  for (const TestOutput& output : (*driver)->Take("out"))
    sent.emplace_back(output.key, output.value.value_or("none"));
  CHECK(sent ==
        decltype(sent){{"b", "1"}, {"a", "1"}, {"b", "2"}, {"b", "3"}, {"a", "2"}, {"b", "4"}});
}

TEST_CASE("count: a record without key is invalid, and counts nothing") {
  auto driver = TestDriver::Start(MakeJob("count"));
  REQUIRE(driver.ok());
  CHECK((*driver)->Send("in", std::nullopt, "x").code() == Code::kInvalidRecord);
  CHECK((*driver)->Take("out").empty());
}

TEST_CASE("count: says which setting is missing or wrong") {
  struct Row {
    const char* name;
    void (*change)(Job*);
    const char* error;
  };
  const Row rows[] = {
      {"two outputs", [](Job* job) { job->outputs.push_back({.topic = "other"}); },
       "spec.task.config.output"},
      {"no output", [](Job* job) { job->outputs.clear(); }, "spec.task.config.output"},
      {"unknown output", [](Job* job) { job->task.config["output"] = "elsewhere"; }, "elsewhere"},
      {"two stores", [](Job* job) { job->stores.push_back({.name = "more"}); },
       "spec.task.config.store"},
      {"unknown store", [](Job* job) { job->task.config["store"] = "nowhere"; }, "nowhere"},
      {"store of strings", [](Job* job) { job->stores[0].value = SerdeType::kString; }, "serdes"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    Job job = MakeJob("count");
    row.change(&job);
    const auto driver = TestDriver::Start(job);
    REQUIRE_FALSE(driver.ok());
    CAPTURE(driver.status().ToString());
    CHECK(driver.status().message().find(row.error) != std::string::npos);
  }
}

TEST_CASE("count: finds store and output by name among several") {
  Job job = MakeJob("count");
  job.outputs.push_back({.topic = "other", .value = SerdeType::kString});
  job.stores.push_back({.name = "more", .value = SerdeType::kString});
  job.task.config = {{"output", "other"}, {"store", "counts"}};
  auto driver = TestDriver::Start(job);
  REQUIRE(driver.ok());
  CHECK((*driver)->Send("in", "a", "x").ok());
  REQUIRE((*driver)->Take("other").size() == 1);
}

TEST_CASE("pass-through: sends key and value on, tombstones as tombstones") {
  Job job = MakeJob("pass-through");
  job.outputs[0].value = SerdeType::kBytes;
  auto driver = TestDriver::Start(job);
  REQUIRE(driver.ok());
  CHECK((*driver)->Send("in", "k", std::string("\0\xff", 2)).ok());
  CHECK((*driver)->Send("in", "k", std::nullopt).ok());
  const auto sent = (*driver)->Take("out");
  REQUIRE(sent.size() == 2);
  CHECK(sent[0].value == std::string("\0\xff", 2));
  CHECK_FALSE(sent[1].value.has_value());
}

}  // namespace
}  // namespace coho
