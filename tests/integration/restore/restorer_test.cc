#include "worker/restore/restorer.h"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "tests/integration/restore/world.h"

namespace coho::test {
namespace {

std::string Key(int i) { return "key" + std::to_string(i); }

// How many records a partition has below its end, as a reader of committed records sees it.
size_t CountRecords(const std::string& topic, int32_t partition) {
  const auto consumer = NewConsumer();
  REQUIRE_OK(consumer->Assign({{{topic, partition}, kafka::Consumer::kBegin}}));
  return ReadUntil(*consumer, [](const Seen& seen) { return seen.end; }).size();
}

TEST_CASE("Restorer: a compacted changelog with tombstones and aborted transactions") {
  RestoreWorld world({{"cleanup.policy", "compact"},
                      {"min.cleanable.dirty.ratio", "0.01"},
                      {"segment.ms", "100"},
                      {"delete.retention.ms", "86400000"}});
  const auto producer = NewProducer({.transactional_id = UniqueName("restore")});
  Content expected;
  for (int round = 0; round < 6; ++round) {
    const bool aborted = round % 3 == 2;
    REQUIRE_OK(producer->BeginTransaction());
    for (int i = 0; i < 500; ++i) {
      const bool tombstone = i % 5 == round % 5;
      const std::string value = std::to_string(round) + (aborted ? " aborted" : "");
      world.Send(*producer, 0, Key(i), tombstone ? std::nullopt : std::optional(value));
      if (aborted) continue;
      expected.erase(Key(i));
      if (!tombstone) expected[Key(i)] = value;
    }
    if (aborted) {
      REQUIRE_OK(producer->Flush(seconds(30)));
      REQUIRE_OK(producer->AbortTransaction(seconds(30)));
    } else {
      REQUIRE_OK(producer->CommitTransaction(seconds(30)));
    }
    world.now_ms += 1000;  // the broker begins a new segment
  }
  // Of 2,000 committed records compaction leaves the latest, but never touches the last segment.
  const auto deadline = std::chrono::steady_clock::now() + seconds(60);
  while (CountRecords(world.topic, 0) >= 1500) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::yield();
  }

  RestoredTask restored = world.Restore();
  CHECK(restored.source == RestoreSource::kReplay);
  CHECK(restored.records < 1500);
  CHECK(restored.records >= 500);
  CHECK(world.records_total == restored.records);
  CHECK(RestoreWorld::ContentOf(restored) == expected);

  // At the next start there is nothing to do.
  restored.stores.clear();
  world.Restart();
  restored = world.Restore();
  CHECK(restored.source == RestoreSource::kLocal);
  CHECK(restored.records == 0);
  CHECK(RestoreWorld::ContentOf(restored) == expected);
  CHECK(world.wipes_total == 0);
}

TEST_CASE("Restorer: a store takes what its changelog takes, and no more") {
  RestoreWorld world({{"cleanup.policy", "compact"}, {"max.message.bytes", "5000"}});
  RestoredTask restored = world.Restore();
  TaskStore& store = *restored.stores[0];
  size_t most = 0;
  while (store.TakeRefused().ok()) store.Put("key", std::string(++most, 'v'));
  --most;
  CHECK(most > 4850);
  CHECK(most < 5000);
  const auto producer = NewProducer({.compression = "none"});
  world.Send(*producer, 0, "key", std::string(most, 'v'));
  CHECK(producer->Flush(seconds(30)).ok());
  // The topic's limit is of a batch, which has a frame.
  world.Send(*producer, 0, "key", std::string(5000, 'v'));
  CHECK_FALSE(producer->Flush(seconds(30)).ok());
}

TEST_CASE("Restorer: waits for a transaction that its former owner left open") {
  RestoreWorld world;
  const std::string id = UniqueName("restore");
  auto producer = NewProducer({.transactional_id = id});
  REQUIRE_OK(producer->BeginTransaction());
  world.Send(*producer, 0, "a", "committed");
  REQUIRE_OK(producer->CommitTransaction(seconds(30)));
  REQUIRE_OK(producer->BeginTransaction());
  world.Send(*producer, 0, "a", "pending");
  REQUIRE_OK(producer->Flush(seconds(30)));

  auto restored = world.Begin(TaskId(0));
  CHECK((restored.wait_for(seconds(2)) == std::future_status::timeout));
  // Its successor's InitTransactions aborts it.
  const auto successor = NewProducer({.transactional_id = id});
  REQUIRE((restored.wait_for(seconds(30)) == std::future_status::ready));
  RestoredTask task = restored.get().value();
  CHECK(RestoreWorld::ContentOf(task) == Content{{"a", "committed"}});
}

TEST_CASE("Restorer: an interrupted restore goes on at its marker") {
  RestoreWorld world;
  const auto producer = NewProducer();
  constexpr int kRecords = 400'000;
  for (int i = 0; i < kRecords; ++i) world.Send(*producer, 1, Key(i % 1000), std::to_string(i));
  REQUIRE_OK(producer->Flush(seconds(60)));

  const auto progress = std::make_shared<RestoreProgress>();
  auto dropped = world.Begin(TaskId(1), progress);
  while (progress->records_done == 0) std::this_thread::yield();
  world.restorer->Cancel(TaskId(1));
  CHECK(progress->records_total == kRecords);
  const int64_t before = progress->records_done;
  REQUIRE(before < kRecords);
  // Not called, and soon not kept.
  CHECK_THROWS_AS(dropped.get(), std::future_error);

  world.records_total = 0;
  world.Restart();
  const RestoredTask restored = world.Restore(TaskId(1));
  CHECK(restored.source == RestoreSource::kReplay);
  CHECK(restored.records <= kRecords - before);
  CHECK(restored.records > 0);
  CHECK(restored.stores[0]->Get(Key(999)) == std::to_string(kRecords - 1));
  CHECK(world.wipes_total == 0);
}

TEST_CASE("Restorer: tasks come home side by side, each with its own partition") {
  RestoreWorld world;
  const auto producer = NewProducer();
  for (int i = 0; i < 100; ++i) world.Send(*producer, i % 2, Key(i), std::to_string(i));
  REQUIRE_OK(producer->Flush(seconds(30)));
  auto first = world.Begin(TaskId(0));
  auto second = world.Begin(TaskId(1));
  RestoredTask even = first.get().value();
  RestoredTask odd = second.get().value();
  CHECK(RestoreWorld::ContentOf(even).size() == 50);
  CHECK(even.stores[0]->Get(Key(2)) == "2");
  CHECK_FALSE(odd.stores[0]->Get(Key(2)).has_value());
  CHECK(odd.stores[0]->Get(Key(3)) == "3");
}

TEST_CASE("Restorer: a changelog that was made anew never replaces the last copy of the state") {
  RestoreWorld world;
  const auto producer = NewProducer();
  for (int i = 0; i < 10; ++i) world.Send(*producer, 0, Key(i), "old");
  REQUIRE_OK(producer->Flush(seconds(30)));
  { CHECK(world.Restore().records == 10); }

  const auto admin = kafka::Admin::Create(BrokerConfig()).value();
  REQUIRE_OK(admin->Delete({world.topic}, seconds(30)));
  // Gone everywhere before it is made again.
  while (!admin->Describe({world.topic}, seconds(30)).value().empty()) std::this_thread::yield();
  REQUIRE_OK(admin->Create(
      {{.name = world.topic, .partitions = 2, .config = {{"cleanup.policy", "compact"}}}},
      seconds(30)));
  const auto again = NewProducer();
  world.Send(*again, 0, Key(3), "new");
  REQUIRE_OK(again->Flush(seconds(30)));

  world.Restart();
  const auto refused = world.Begin(TaskId(0)).get();
  REQUIRE_FALSE(refused.ok());
  CAPTURE(refused.status().ToString());
  CHECK(refused.status().code() == Code::kInvalidArgument);
  CHECK(refused.status().message().find(world.topic) != std::string::npos);
  CHECK(world.wipes_total == 0);

  // The way on that the message names.
  world.restorer.reset();
  std::filesystem::remove_all(world.directory.path() / "stores" / "s" / "0");
  world.Restart();
  RestoredTask restored = world.Restore();
  CHECK(RestoreWorld::ContentOf(restored) == Content{{Key(3), "new"}});
}

TEST_CASE("Restorer: a corrupt store comes back from its changelog") {
  RestoreWorld world;
  const auto producer = NewProducer();
  for (int i = 0; i < 10; ++i) world.Send(*producer, 0, Key(i), "v");
  REQUIRE_OK(producer->Flush(seconds(30)));
  { CHECK(world.Restore().records == 10); }
  world.Restart();
  std::ofstream(world.directory.path() / "stores" / "s" / "0" / "CURRENT") << "garbage";
  RestoredTask restored = world.Restore();
  CHECK(restored.source == RestoreSource::kWiped);
  CHECK(RestoreWorld::ContentOf(restored).size() == 10);
  CHECK(world.wipes_total == 1);
}

TEST_CASE("Restorer: a changelog that does not exist is an error that names it") {
  RestoreWorld world;
  const auto admin = kafka::Admin::Create(BrokerConfig()).value();
  REQUIRE_OK(admin->Delete({world.topic}, seconds(30)));
  auto future = world.Begin(TaskId(0));
  REQUIRE((future.wait_for(seconds(60)) == std::future_status::ready));
  const auto restored = future.get();
  REQUIRE_FALSE(restored.ok());
  CAPTURE(restored.status().ToString());
  CHECK(restored.status().code() == Code::kNotFound);
  CHECK(restored.status().message().find(world.topic) != std::string::npos);
}

TEST_CASE("Restorer: a restore that cannot reach Kafka waits, and can be cancelled") {
  TempDirectory directory;
  Job job;
  job.id = {"test", "unreachable"};
  job.stores = {{.name = "s"}};
  const JobModel model{.tasks = 1, .stores = {{"s", {.changelog = "nowhere"}}}};
  const auto factory = EngineFactory::Create({.directory = directory.path().string()}).value();
  const auto restorer = Restorer::Create({.kafka = {.bootstrap_servers = "127.0.0.1:1"},
                                          .job = &job,
                                          .model = &model,
                                          .engines = factory.get()})
                            .value();
  auto called = std::make_shared<std::atomic<bool>>(false);
  restorer->Restore(
      {.task = TaskId(0), .progress = nullptr, .done = [called](auto&&) { *called = true; }});
  while (factory->List().empty()) std::this_thread::yield();  // it has begun
  restorer->Cancel(TaskId(0));
  CHECK_FALSE(called->load());
  // The engine is soon closed: it can be opened by somebody else.
  while (!factory->Open("s", TaskId(0)).ok()) std::this_thread::yield();
  CHECK_FALSE(called->load());
}

}  // namespace
}  // namespace coho::test
