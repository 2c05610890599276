// What the worker promises: each record counts exactly once (ExactlyOnce) or at least once
// (AtLeastOnce), through kills, stops, a corrupt store and tasks that move.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "common/contract/exit_codes.h"
#include "tests/integration/worker/test_job.h"
#include "tests/integration/worker/traffic.h"

namespace coho::test {
namespace {

TEST_CASE("worker: passes records through, headers aside") {
  TestJob job({.task = "pass-through"});
  TopicWriter in(job.input());
  for (int i = 0; i < 100; ++i) in.Send("k" + std::to_string(i), "v" + std::to_string(i));
  in.Flush();
  auto worker = job.Start();
  TopicReader out(job.output(), job.partitions());
  AwaitOutputs(out, 100, *worker);
  std::set<std::string> values;
  for (const ReadRecord& r : out.ReadToEnd()) values.insert(r.key + r.value);
  CHECK(values.size() == 100);
  AwaitCaughtUp(*worker);
  worker->Signal(SIGTERM);
  CHECK(worker->AwaitExit() == kExitOk);
}

TEST_CASE(
    "worker: counts exactly once through kill -9 at random moments, and never wipes a store") {
  const uint32_t seed = SaidSeed();
  std::mt19937 random(seed);
  TestJob job;
  Traffic traffic(job.input(), 40000, 300, seed, milliseconds(6));
  TopicReader out(job.output(), job.partitions());
  for (int kill = 0; kill < 8; ++kill) {
    auto worker = job.Start();
    const bool ready = random() % 4 != 0;  // sometimes in the middle of the start
    if (ready) worker->AwaitReady();
    std::this_thread::sleep_for(
        milliseconds(random() % 1200));  // the moment is what is random here
    if (ready) CHECK(worker->Metric("coho_store_wipes_total") <= (kill == 0 ? 4 : 0));
    worker->Signal(SIGKILL);
    CHECK(worker->AwaitExit() == -SIGKILL);
  }
  auto worker = job.Start();
  const auto& sent = traffic.Finish();
  AwaitOutputs(out, Total(sent), *worker);
  AwaitCaughtUp(*worker);
  CheckExactlyOnce(sent, out.ReadToEnd());
  CHECK(worker->Metric("coho_store_wipes_total") == 0);
}

TEST_CASE("worker: AtLeastOnce loses nothing through kill -9 at random moments") {
  const uint32_t seed = SaidSeed();
  std::mt19937 random(seed);
  TestJob job({.guarantee = "AtLeastOnce"});
  Traffic traffic(job.input(), 40000, 300, seed, milliseconds(6));
  for (int kill = 0; kill < 6; ++kill) {
    auto worker = job.Start();
    worker->AwaitReady();
    std::this_thread::sleep_for(
        milliseconds(random() % 1200));  // the moment is what is random here
    worker->Signal(SIGKILL);
    worker->AwaitExit();
  }
  auto worker = job.Start();
  worker->AwaitReady();
  const auto& sent = traffic.Finish();
  TopicReader out(job.output(), job.partitions());
  AwaitOutputs(out, Total(sent), *worker);
  AwaitCaughtUp(*worker);
  CheckNothingLost(sent, out.ReadToEnd());
}

TEST_CASE("worker: SIGTERM drains; the next start replays nothing and goes on") {
  TestJob job({.flush_interval = "10m"});  // only the drain writes the store
  TopicWriter in(job.input());
  for (int i = 0; i < 2000; ++i) in.Send("k" + std::to_string(i % 100), "v");
  in.Flush();
  TopicReader out(job.output(), job.partitions());
  {
    auto worker = job.Start();
    AwaitOutputs(out, 2000, *worker);
    worker->Signal(SIGTERM);
    CHECK(worker->AwaitExit() == kExitOk);
    CHECK(worker->Log().find("everything is committed") != std::string::npos);
  }
  auto worker = job.Start();
  worker->AwaitReady();
  CHECK(worker->Metric("coho_restore_records_total") == 0);
  CHECK(worker->Metric("coho_store_wipes_total") == 0);
  for (int i = 0; i < 100; ++i) in.Send("k" + std::to_string(i), "v");
  in.Flush();
  AwaitOutputs(out, 2100, *worker);
  for (const auto& [key, counts] : CountsOf(out.ReadToEnd())) {
    CAPTURE(key);
    CHECK(counts.back() == 21);
  }
}

TEST_CASE("worker: after kill -9 only what lies behind the marker is replayed") {
  TestJob job({.flush_interval = "1s"});
  TopicWriter in(job.input());
  for (int i = 0; i < 5000; ++i) in.Send("k" + std::to_string(i % 1000), "v");
  in.Flush();
  TopicReader out(job.output(), job.partitions());
  auto worker = job.Start();
  AwaitOutputs(out, 5000, *worker);
  // Flushed: nothing is dirty any more.
  AwaitThat("write-back", seconds(30), [&] {
    const std::string page = worker->Get("/v1/tasks").value_or("");
    size_t clean = 0;
    for (size_t at = page.find("\"dirtyBytes\": 0,"); at != std::string::npos;
         at = page.find("\"dirtyBytes\": 0,", at + 1))
      ++clean;
    return clean == 4;
  });
  worker->Signal(SIGKILL);
  worker->AwaitExit();
  worker = job.Start();
  worker->AwaitReady();
  CHECK(worker->Metric("coho_restore_records_total") == 0);
  CHECK(worker->Metric("coho_store_wipes_total") == 0);
}

TEST_CASE("worker: a corrupt store is restored from its changelog") {
  TestJob job;
  TopicWriter in(job.input());
  for (int i = 0; i < 1000; ++i) in.Send("k" + std::to_string(i % 50), "v");
  in.Flush();
  TopicReader out(job.output(), job.partitions());
  auto worker = job.Start();
  AwaitOutputs(out, 1000, *worker);
  worker->Signal(SIGTERM);
  CHECK(worker->AwaitExit() == kExitOk);

  int broken = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(job.state_dir())) {
    const std::string name = entry.path().filename().string();
    if (name != "CURRENT" && entry.path().extension() != ".sst") continue;
    std::ofstream(entry.path()) << "this is no store";
    ++broken;
  }
  REQUIRE(broken > 0);
  worker = job.Start();
  worker->AwaitReady();
  CHECK(worker->Metric("coho_store_wipes_total") > 0);
  for (int i = 0; i < 50; ++i) in.Send("k" + std::to_string(i), "v");
  in.Flush();
  AwaitOutputs(out, 1050, *worker);
  for (const auto& [key, counts] : CountsOf(out.ReadToEnd())) {
    CAPTURE(key);
    CHECK(counts.back() == 21);
  }
}

TEST_CASE(
    "worker: several workers share the tasks, and tasks move without loss when the count changes") {
  const uint32_t seed = SaidSeed();
  TestJob job({.partitions = 6, .run_loops = 1});
  job.Write(2);
  Traffic traffic(job.input(), 40000, 300, seed, milliseconds(8));
  auto first = job.Start(0);
  auto second = job.Start(1);
  first->AwaitReady();
  second->AwaitReady();
  AwaitThat(
      "three tasks each", seconds(60),
      [&] { return first->RunningTasks().size() == 3 && second->RunningTasks().size() == 3; },
      [&] { return first->Log() + second->Log(); });

  // Worker 0 comes back with another count in its job file, and its coordinator with it; worker 1
  // stays.
  first->Signal(SIGTERM);
  CHECK(first->AwaitExit() == kExitOk);
  job.Write(3);
  first = job.Start(0);
  auto third = job.Start(2);
  AwaitThat(
      "two tasks each", seconds(90),
      [&] {
        return first->RunningTasks().size() == 2 && second->RunningTasks().size() == 2 &&
               third->RunningTasks().size() == 2;
      },
      [&] { return first->Log() + second->Log() + third->Log(); });
  std::set<int> all;
  for (auto* worker : {first.get(), second.get(), third.get()}) {
    for (const int task : worker->RunningTasks()) all.insert(task);
  }
  CHECK(all.size() == 6);

  const auto& sent = traffic.Finish();
  TopicReader out(job.output(), job.partitions());
  AwaitOutputs(out, Total(sent), *first);
  for (auto* worker : {first.get(), second.get(), third.get()}) AwaitCaughtUp(*worker);
  CheckExactlyOnce(sent, out.ReadToEnd());
}

}  // namespace
}  // namespace coho::test
