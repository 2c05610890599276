// Where a task goes on: at the positions that lie with its state, whatever the consumer group
// remembers.
#include <doctest/doctest.h>
#include <signal.h>

#include <cstdlib>
#include <thread>

#include "common/contract/exit_codes.h"
#include "tests/integration/worker/test_job.h"
#include "tests/integration/worker/traffic.h"

namespace coho::test {
namespace {

std::unique_ptr<kafka::Consumer> GroupOf(const TestJob& job) {
  auto consumer = kafka::Consumer::Create(BrokerConfig(), {.group_id = job.group()});
  REQUIRE_MESSAGE(consumer.ok(), consumer.status().ToString());
  return std::move(consumer).value();
}

TEST_CASE("worker: counts stay exact when Kafka has forgotten or changed the group's offsets") {
  TestJob job;
  TopicWriter in(job.input());
  const auto send = [&](int records) {
    for (int i = 0; i < records; ++i) in.Send("k" + std::to_string(i % 100), "v");
    in.Flush();
  };
  send(2000);
  TopicReader out(job.output(), job.partitions());
  auto worker = job.Start();
  AwaitOutputs(out, 2000, *worker);
  AwaitCaughtUp(*worker);
  worker->Signal(SIGTERM);
  REQUIRE(worker->AwaitExit() == kExitOk);

  // The mirror was shown at the end; as far as the tasks are concerned it may say anything.
  const auto group = GroupOf(job);
  std::vector<TopicPartition> partitions;
  std::map<TopicPartition, int64_t> begin;
  for (int p = 0; p < job.partitions(); ++p) {
    partitions.push_back({job.input(), p});
    begin[partitions.back()] = 0;
  }
  const auto shown = group->Committed(partitions, seconds(10));
  REQUIRE(shown.ok());
  int64_t sum = 0;
  for (const auto& [at, next] : *shown) sum += next;
  CHECK(sum >= 2000);
  REQUIRE(group->Commit(begin).ok());

  worker = job.Start();
  worker->AwaitReady();
  send(1000);
  AwaitOutputs(out, 3000, *worker);
  AwaitCaughtUp(*worker);
  const auto counts = CountsOf(out.ReadToEnd());
  REQUIRE(counts.size() == 100);
  for (const auto& [key, running] : counts) {
    CAPTURE(key);
    REQUIRE(running.size() == 30);
    for (size_t i = 0; i < running.size(); ++i) CHECK(running[i] == static_cast<int64_t>(i) + 1);
  }
}

TEST_CASE("worker: a job without stores goes on at its own positions, too") {
  TestJob job({.task = "pass-through"});
  TopicWriter in(job.input());
  for (int i = 0; i < 500; ++i) in.Send("k" + std::to_string(i), "v");
  in.Flush();
  TopicReader out(job.output(), job.partitions());
  auto worker = job.Start();
  AwaitOutputs(out, 500, *worker);
  worker->Signal(SIGKILL);
  worker->AwaitExit();
  std::map<TopicPartition, int64_t> begin;
  for (int p = 0; p < job.partitions(); ++p) begin[{job.input(), p}] = 0;
  REQUIRE(GroupOf(job)->Commit(begin).ok());
  worker = job.Start();
  worker->AwaitReady();
  in.Send("last", "v");
  in.Flush();
  AwaitOutputs(out, 501, *worker);
  AwaitCaughtUp(*worker);
  CHECK(out.ReadToEnd().size() == 501);
}

TEST_CASE(
    "worker: overtaken by retention it goes on with the first record that exists, and says how "
    "many are gone") {
  TestJob job({.task = "pass-through", .partitions = 1, .session_timeout = "60s"});
  TopicWriter in(job.input());
  for (int i = 0; i < 10; ++i) in.Send("k", std::to_string(i), 0);
  in.Flush();
  TopicReader out(job.output(), 1);
  auto worker = job.Start();
  AwaitOutputs(out, 10, *worker);
  AwaitCaughtUp(*worker);

  worker->Signal(SIGSTOP);
  for (int i = 10; i < 3000; ++i) in.Send("k", std::string(2000, 'x') + std::to_string(i), 0);
  in.Flush();
  const TemporaryDirectory directory;
  WriteFile(directory.path("delete.json"), R"({"version": 1, "partitions": [{"topic": ")" +
                                               job.input() +
                                               R"(", "partition": 0, "offset": 2990}]})");
  const std::string command = std::string(COHO_SOURCE_DIR) +
                              "/hack/kafka tool org.apache.kafka.tools.DeleteRecordsCommand"
                              " --bootstrap-server " +
                              Bootstrap() + " --offset-json-file " + directory.path("delete.json") +
                              " >/dev/null 2>&1";
  REQUIRE(std::system(command.c_str()) == 0);
  worker->Signal(SIGCONT);
  AwaitOutputs(out, 20, *worker);
  CHECK(worker->running());
  CHECK(worker->Log().find("records were deleted before they were read") != std::string::npos);
  AwaitThat("the loss is counted", seconds(10), [&] {
    const auto page = worker->Get("/metrics").value_or("");
    return page.find("coho_records_lost_total ") != std::string::npos &&
           page.find("coho_records_lost_total 0\n") == std::string::npos;
  });
}

}  // namespace
}  // namespace coho::test
