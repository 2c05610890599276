// R1 with real processes: one that was away too long, or that has a double, writes nothing more,
// and nothing is lost or doubled.
#include <doctest/doctest.h>
#include <signal.h>

#include <set>

#include "common/contract/exit_codes.h"
#include "tests/integration/worker/test_job.h"
#include "tests/integration/worker/traffic.h"

namespace coho::test {
namespace {

bool Says(WorkerProcess& worker, const std::string& text) {
  return worker.Log().find(text) != std::string::npos;
}

TEST_CASE(
    "worker: one that froze past its homecoming is fenced, loses its tasks, and gets its share "
    "back when it thaws") {
  const uint32_t seed = SaidSeed();
  TestJob job({.run_loops = 1, .session_timeout = "1500ms", .homecoming_timeout = "2s"});
  job.Write(2);
  Traffic traffic(job.input(), 60000, 300, seed, milliseconds(8));
  auto first = job.Start(0);
  auto second = job.Start(1);
  const auto both = [&] { return first->Log() + second->Log(); };
  AwaitThat(
      "two tasks each", seconds(60),
      [&] { return first->RunningTasks().size() == 2 && second->RunningTasks().size() == 2; },
      both);

  second->Signal(SIGSTOP);
  AwaitThat(
      "all tasks on worker 0", seconds(60), [&] { return first->RunningTasks().size() == 4; },
      both);
  second->Signal(SIGCONT);
  AwaitThat(
      "worker 1 notices", seconds(60), [&] { return Says(*second, "fenced: tasks are dropped"); },
      both);
  AwaitThat(
      "two tasks each again", seconds(90),
      [&] { return first->RunningTasks().size() == 2 && second->RunningTasks().size() == 2; },
      both);

  const auto& sent = traffic.Finish();
  TopicReader out(job.output(), job.partitions());
  AwaitOutputs(out, Total(sent), *first);
  AwaitCaughtUp(*first);
  AwaitCaughtUp(*second);
  CheckExactlyOnce(sent, out.ReadToEnd());
}

TEST_CASE(
    "worker: two processes with one id never double anything, and one of them gives up and says "
    "why") {
  const uint32_t seed = SaidSeed();
  TestJob job({.run_loops = 1});
  Traffic traffic(job.input(), 40000, 300, seed, milliseconds(8));
  auto first = job.Start(0);
  first->AwaitReady();
  auto second = job.Start(0, {"--coordinator", "elsewhere", "--state-dir", job.state_dir(7)});
  AwaitThat(
      "one gives up", seconds(120), [&] { return !first->running() || !second->running(); },
      [&] { return first->Log() + second->Log(); });
  auto& gone = first->running() ? second : first;
  auto& stays = first->running() ? first : second;
  CHECK(gone->AwaitExit() == kExitInternal);
  CHECK(Says(*gone, "another process runs as worker 0"));
  const auto& sent = traffic.Finish();
  TopicReader out(job.output(), job.partitions());
  AwaitOutputs(out, Total(sent), *stays);
  CheckExactlyOnce(sent, out.ReadToEnd());
}

TEST_CASE(
    "worker: a transaction that cannot be committed is taken back, stores included; in the end the "
    "worker says so") {
  TestJob job({.on_error = "DeadLetter", .input_value = "json", .run_loops = 1});
  // The broken record is too large for the dead-letter topic, which only the broker finds out.
  auto admin = kafka::Admin::Create(BrokerConfig());
  REQUIRE(admin.ok());
  REQUIRE(
      (*admin)
          ->Create({{.name = job.dead_letter_topic(), .config = {{"max.message.bytes", "2000"}}}},
                   seconds(30))
          .ok());
  TopicWriter in(job.input());
  std::map<std::string, int64_t> sent;
  const auto send = [&](int from, int to) {
    for (int i = from; i < to; ++i) {
      const std::string key = "k" + std::to_string(i % 40);
      in.Send(key, "{}");
      ++sent[key];
    }
    in.Flush();
  };
  send(0, 1000);
  std::mt19937 random(1);
  std::string large;  // does not compress
  while (large.size() < 50000) large += static_cast<char>('a' + random() % 26);
  in.Send("k1", large);
  send(1000, 2000);
  TopicReader out(job.output(), job.partitions());
  {
    auto worker = job.Start();
    CHECK(worker->AwaitExit(seconds(120)) == kExitKafkaUnavailable);
    CHECK(Says(*worker, "transaction aborted, tasks begin again at the last commit"));
    CHECK(Says(*worker, "nothing could be committed in 8 attempts"));
    CHECK(Says(*worker, job.dead_letter_topic()));
  }
  auto worker = job.StartWithOnError("Skip");
  AwaitOutputs(out, 2000, *worker);
  AwaitCaughtUp(*worker);
  CheckExactlyOnce(sent, out.ReadToEnd());
}

TEST_CASE(
    "worker: AtLeastOnce fences itself when no heartbeat got through for a session timeout, and "
    "loses nothing") {
  const uint32_t seed = SaidSeed();
  TestJob job({.guarantee = "AtLeastOnce", .session_timeout = "1500ms"});
  Traffic traffic(job.input(), 20000, 300, seed, milliseconds(8));
  auto worker = job.Start(0);
  worker->AwaitReady();
  worker->Signal(SIGSTOP);
  std::this_thread::sleep_for(seconds(3));  // what is awaited is that time passes
  worker->Signal(SIGCONT);
  AwaitThat(
      "the lease is over", seconds(30),
      [&] { return Says(*worker, "within spec.failover.sessionTimeout"); },
      [&] { return worker->Log(); });
  worker->AwaitReady();
  const auto& sent = traffic.Finish();
  TopicReader out(job.output(), job.partitions());
  AwaitOutputs(out, Total(sent), *worker);
  AwaitCaughtUp(*worker);
  CheckNothingLost(sent, out.ReadToEnd());
}

}  // namespace
}  // namespace coho::test
