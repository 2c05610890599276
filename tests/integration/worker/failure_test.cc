// What a worker says and which code it exits with when it cannot work.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/contract/exit_codes.h"
#include "tests/integration/worker/test_job.h"

namespace coho::test {
namespace {

bool Says(WorkerProcess& worker, const std::string& text) {
  return worker.Log().find(text) != std::string::npos;
}

TEST_CASE("worker: a job file that is missing, broken or names an unknown task") {
  TestJob job;
  SUBCASE("missing") {
    WorkerProcess worker({"--job", "/nowhere/job.yaml"}, job.state_dir() + ".log");
    CHECK(worker.AwaitExit() == kExitJobFile);
    CHECK(Says(worker, "/nowhere/job.yaml cannot be read"));
  }
  SUBCASE("broken") {
    TestJob other({.flush_interval = "100"});
    auto worker = other.Start();
    CHECK(worker->AwaitExit() == kExitJobFile);
    CHECK(Says(*worker, "spec.storage.flushInterval"));
  }
  SUBCASE("unknown task") {
    TestJob other({.task = "counting"});
    auto worker = other.Start();
    CHECK(worker->AwaitExit() == kExitJobFile);
    CHECK(Says(*worker,
               "spec.task.name: found \\\"counting\\\", this worker knows: count, pass-through"));
  }
}

TEST_CASE("worker: wrong flags") {
  TestJob job;
  CHECK(job.Start(0, {"--colour"})->AwaitExit() == kExitUsage);
  auto second_of_one = job.Start(1);
  CHECK(second_of_one->AwaitExit() == kExitUsage);
  CHECK(Says(*second_of_one, "--worker-id: found 1, need 0 to 0"));
  auto worker = job.Start(0, {"--http-address", "nonsense"});
  CHECK(worker->AwaitExit() == kExitUsage);
  CHECK(Says(*worker, "need HOST:PORT"));
}

TEST_CASE(
    "worker: a state directory that is in use names its holder; one that cannot be written says "
    "why") {
  TestJob job;
  auto first = job.Start();
  first->AwaitReady();
  {
    auto second = job.Start();
    CHECK(second->AwaitExit() == kExitStateDirectoryLocked);
    CHECK(Says(*second, "is in use by process "));
  }
  CHECK(first->running());
  {
    WriteFile(job.state_dir() + "-file", "");
    WorkerProcess third({"--job", job.job_file(), "--state-dir", job.state_dir() + "-file/below"},
                        job.state_dir() + ".log");
    CHECK(third.AwaitExit() == kExitStateDirectory);
    CHECK(Says(third, "cannot be written"));
  }
}

TEST_CASE("worker: a broker that nobody answers at, and a topic that does not exist") {
  TestJob job;
  SUBCASE("no broker") {
    auto worker = job.Start(0, {"--bootstrap-servers", "127.0.0.1:1"});
    CHECK(worker->AwaitExit() == kExitKafkaUnavailable);
    CHECK(Says(*worker, "127.0.0.1:1"));
  }
  SUBCASE("no topic") {
    TestJob other({.topic = UniqueName("missing")});
    auto worker = other.Start();
    CHECK(worker->AwaitExit() == kExitKafkaUnavailable);
    CHECK(Says(*worker, other.input()));
  }
}

TEST_CASE("worker: wrong credentials") {
  TestJob job;
  const TemporaryDirectory secrets;
  WriteFile(secrets.path("sasl.password"), "not-the-pass-word\n");
  WriteFile(secrets.path("sasl.username"), "coho\n");
  WriteFile(secrets.path("security.protocol"), "SASL_PLAINTEXT\n");
  WriteFile(secrets.path("sasl.mechanism"), "PLAIN\n");
  auto worker =
      job.Start(0, {"--bootstrap-servers", SaslBootstrap(), "--kafka-secret-dir", secrets.path()});
  CHECK(worker->AwaitExit() == kExitKafkaCredentials);
  CHECK_FALSE(Says(*worker, "not-the-pass-word"));
}

TEST_CASE(
    "worker: onError Fail names task, topic, partition, offset and reason, and exits with 70") {
  TestJob job({.input_value = "json"});
  TopicWriter in(job.input());
  in.Send("a", "{}", 1);
  in.Send("a", "not json", 1);
  in.Flush();
  auto worker = job.Start();
  CHECK(worker->AwaitExit() == kExitTaskFailed);
  CHECK(Says(*worker, "task 1 failed at topic " + job.input() +
                          " partition 1 offset 1: InvalidRecord: value"));
}

TEST_CASE("worker: onError Skip counts what it skips and goes on") {
  TestJob job({.on_error = "Skip", .input_value = "json"});
  TopicWriter in(job.input());
  for (const char* value : {"{}", "broken", "[1]", "{\"a\":", "null"}) in.Send("key", value, 2);
  in.Flush();
  auto worker = job.Start();
  TopicReader out(job.output(), job.partitions());
  AwaitThat(
      "three counts", std::chrono::seconds(60), [&] { return out.ReadToEnd().size() >= 3; },
      [&] { return worker->Log(); });
  CHECK(out.ReadToEnd().back().value == "3");
  AwaitThat("the metric", std::chrono::seconds(10), [&] {
    return worker->Get("/metrics").value_or("").find("coho_skipped_records_total{task=\"2\"} 2") !=
           std::string::npos;
  });
  CHECK(Says(*worker, "record skipped"));
}

TEST_CASE("worker: onError DeadLetter sends the original with its origin in headers") {
  TestJob job({.on_error = "DeadLetter", .input_value = "json"});
  TopicWriter in(job.input());
  in.Send("key", "{}", 3);
  in.Send("key", "broken", 3);
  in.Send("key", "{}", 3);
  in.Flush();
  auto worker = job.Start();
  TopicReader out(job.output(), job.partitions());
  AwaitThat(
      "two counts", std::chrono::seconds(60), [&] { return out.ReadToEnd().size() >= 2; },
      [&] { return worker->Log(); });
  auto admin = kafka::Admin::Create(BrokerConfig());
  REQUIRE(admin.ok());
  const auto topics = (*admin)->Describe({job.dead_letter_topic()}, std::chrono::seconds(10));
  REQUIRE(topics.ok());
  REQUIRE(topics->size() == 1);
  TopicReader dead(job.dead_letter_topic(), topics->begin()->second.partitions);
  const std::vector<ReadRecord>& records = dead.ReadToEnd();
  REQUIRE(records.size() == 1);
  CHECK(records[0].key == "key");
  CHECK(records[0].value == "broken");
  CHECK(records[0].headers.at("coho-topic") == job.input());
  CHECK(records[0].headers.at("coho-partition") == "3");
  CHECK(records[0].headers.at("coho-offset") == "1");
  CHECK(records[0].headers.at("coho-task") == "3");
  CHECK(records[0].headers.at("coho-job").substr(0, 5) == "test.");
  CHECK(records[0].headers.at("coho-error").find("value") != std::string::npos);
}

TEST_CASE("worker: a record of the coordinator topic that it cannot read stops it, and is named") {
  TestJob job;
  auto worker = job.Start();
  worker->AwaitReady();
  TopicWriter rival(job.coordinator_topic());
  rival.Send("worker/0", "not of this version", 0);
  rival.Flush();
  CHECK(worker->AwaitExit() == kExitKafkaUnavailable);
  CHECK(Says(*worker, "reading topic " + job.coordinator_topic() + ": "));
  CHECK(Says(*worker, "offset "));
}

}  // namespace
}  // namespace coho::test
