// What a user sees of tasks that are hard on their worker: values that no changelog takes, and
// processing that outlasts Kafka's patience with a transaction.
#include <doctest/doctest.h>
#include <signal.h>

#include "common/contract/exit_codes.h"
#include "tests/integration/worker/test_job.h"
#include "tests/integration/worker/traffic.h"

namespace coho::test {
namespace {

bool Says(WorkerProcess& worker, const std::string& text) {
  return worker.Log().find(text) != std::string::npos;
}

// How many times each value came out.
std::map<std::string, int> Outputs(const TestJob& job) {
  TopicReader out(job.output(), job.partitions());
  std::map<std::string, int> values;
  for (const ReadRecord& record : out.ReadToEnd()) ++values[record.key];
  return values;
}

void AwaitOutput(const TestJob& job, size_t keys, WorkerProcess& worker) {
  AwaitThat(
      std::to_string(keys) + " outputs", seconds(120), [&] { return Outputs(job).size() >= keys; },
      [&] { return worker.Log(); });
}

TEST_CASE("worker: a value that its changelog would refuse is the record's failure, and names it") {
  TestJob job({.task = "keep", .properties = "message.max.bytes: \"20000\""});
  TopicWriter in(job.input());
  in.Send("small", "100", 2);
  in.Send("large", "30000", 2);
  in.Send("after", "200", 2);
  in.Flush();
  const std::string found =
      "a value of 30000 bytes under a key of 5 bytes is larger than its "
      "changelog takes, which is ";
  {
    auto worker = job.Start();
    CHECK(worker->AwaitExit() == kExitTaskFailed);
    CHECK(Says(*worker, "task 2 failed at topic " + job.input() + " partition 2 offset 1"));
    CHECK(Says(*worker, "store kept: " + found));
  }
  // The way on: nothing that came before or after it is lost or doubled, on this disk or another.
  auto worker = job.StartWithOnError("Skip");
  AwaitOutput(job, 3, *worker);
  CHECK(Says(*worker, "record skipped"));
  in.Send("later", "300", 2);
  in.Flush();
  AwaitOutput(job, 4, *worker);
  worker->Signal(SIGTERM);
  CHECK(worker->AwaitExit() == kExitOk);
  for (const auto& [key, times] : Outputs(job)) {
    CAPTURE(key);
    CHECK(times == 1);
  }
  auto elsewhere = job.Start(0, {"--state-dir", job.state_dir(7)});
  elsewhere->AwaitReady();
  CHECK(elsewhere->Metric("coho_restore_records_total") == 3);
}

TEST_CASE("worker: processing that outlasts a transaction is done again, once, and is no rival") {
  TestJob job({.task = "tired", .run_loops = 1});
  TopicWriter in(job.input());
  // The first one opens the transaction, the second one outlasts it.
  in.Send("first", "0", 1);
  in.Send("tired", "23", 1);
  in.Send("last", "0", 1);
  in.Flush();
  auto worker = job.Start();
  AwaitOutput(job, 3, *worker);
  CHECK(worker->running());
  for (const auto& [key, times] : Outputs(job)) {
    CAPTURE(key);
    CHECK(times == 1);
  }
  CHECK(Says(*worker, "it took longer than Kafka lets a transaction be open"));
  CHECK_FALSE(Says(*worker, "another process"));
}

}  // namespace
}  // namespace coho::test
