// The restorer turn by turn, on changelogs and engines in memory.
#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/memory_engine.h"
#include "tests/unit/worker_restore/memory_changelogs.h"
#include "worker/restore/restorer.h"

namespace coho {
namespace {

using test::MemoryChangelogs;
using Content = std::map<std::string, std::string>;

struct World {
  explicit World(std::vector<StoreSpec> stores = {{.name = "s"}}) {
    job.id = {"test", "job"};
    job.stores = std::move(stores);
    model.positions_topic = "positions";
    for (const StoreSpec& spec : job.stores) {
      if (spec.changelog) model.stores[spec.name] = {.changelog = spec.name + "-log"};
    }
    if (!model.stores.empty()) model.positions_topic = model.stores.begin()->second.changelog;
    Restart();
  }
  // A new process on the same disk.
  void Restart() {
    restorer.reset();
    auto made = Restorer::CreateWithoutThread(
        {.job = &job, .model = &model, .engines = &engines, .clock = &clock},
        std::make_unique<MemoryChangelogs>(&kafka));
    REQUIRE(made.ok());
    restorer = std::move(made).value();
  }
  MemoryChangelogs::Log& log(const std::string& store, int32_t task) {
    return kafka.logs[{store + "-log", task}];
  }
  void Begin(int32_t task) {
    restorer->Restore({.task = TaskId(task), .progress = nullptr, .done = [this, task](auto done) {
                         done_.insert_or_assign(task, std::move(done));
                       }});
  }
  void Turns(int n = 60) {
    for (; n > 0; --n) {
      restorer->Turn(Duration::zero());
      clock.Advance(std::chrono::milliseconds(20));
    }
  }
  // The outcome of a task; fails where there is none.
  Result<RestoredTask> Take(int32_t task) {
    const auto found = done_.find(task);
    REQUIRE_MESSAGE(found != done_.end(), "task ", task, " is not restored");
    auto outcome = std::move(found->second);
    done_.erase(found);
    return outcome;
  }
  RestoredTask Restore(int32_t task) {
    Begin(task);
    Turns();
    auto outcome = Take(task);
    REQUIRE_MESSAGE(outcome.ok(), outcome.status().ToString());
    return std::move(outcome).value();
  }
  [[nodiscard]] bool Done(int32_t task) const { return done_.contains(task); }
  static Content ContentOf(TaskStore& store) {
    Content content;
    for (const auto it = store.Range({}, {}); it->Valid(); it->Next())
      content.emplace(it->key(), it->value());
    return content;
  }

  Job job;
  JobModel model{.tasks = 100};
  ManualClock clock;
  test::MemoryEngineFactory engines;
  MemoryChangelogs::Kafka kafka;
  std::map<int32_t, Result<RestoredTask>> done_;
  std::unique_ptr<Restorer> restorer;  // first to go
};

void AppendPositions(MemoryChangelogs::Log& log, int64_t next) {
  log.records.push_back(
      {std::string(kPositionsKey), EncodePositionsRecord({{"in", "id", 0, next}})});
}

TEST_CASE("Restorer: one question for all tasks, and a broker that is away holds up only its own") {
  World world;
  for (int32_t task = 0; task < 50; ++task) {
    world.log("s", task).Append("k", std::to_string(task));
    world.log("s", task).AppendControl();
    if (task % 10 == 0) world.log("s", task).away = Unavailable("its leader is away");
    world.Begin(task);
  }
  world.Turns(4);
  CHECK(world.kafka.questions <= 4);  // those that are away were asked for again
  for (int32_t task = 0; task < 50; ++task) CHECK(world.Done(task) == (task % 10 != 0));

  // It is asked again, in growing steps, and comes back.
  world.Turns(200);
  CHECK(world.kafka.questions < 12);
  for (int32_t task = 0; task < 50; task += 10) world.log("s", task).away = Status::Ok();
  world.Turns(200);
  for (int32_t task = 0; task < 50; ++task) {
    RestoredTask restored = world.Take(task).value();
    CHECK(World::ContentOf(*restored.stores[0]) == Content{{"k", std::to_string(task)}});
  }
}

TEST_CASE("Restorer: while Kafka has no answer, stores are opened, and a cancel does not wait") {
  World world;
  world.kafka.answers = false;
  for (int32_t task = 0; task < 20; ++task) {
    world.log("s", task).Append("k", "1");
    world.Begin(task);
  }
  world.Turns(30);
  for (int32_t task = 0; task < 20; ++task) CHECK(world.engines.disk("s", TaskId(task)).open);
  world.restorer->Cancel(TaskId(7));
  world.restorer->Turn(Duration::zero());
  CHECK_FALSE(world.engines.disk("s", TaskId(7)).open);
  // Asked for again before the answer to the old question came.
  world.Begin(7);
  world.kafka.answers = true;
  world.Turns();
  for (int32_t task = 0; task < 20; ++task) CHECK(world.Take(task).ok());
}

TEST_CASE("Restorer: a task that comes back is not planned by an answer from before it was away") {
  World world;
  world.log("s", 0).Append("k", "1");
  AppendPositions(world.log("s", 0), 1);
  world.log("s", 0).AppendControl();
  world.kafka.answers = false;
  world.Begin(0);
  world.Turns(3);  // Kafka was asked
  world.restorer->Cancel(TaskId(0));
  world.Turns(1);
  // Another worker has the task meanwhile, and goes on with it.
  world.log("s", 0).Append("k", "2");
  AppendPositions(world.log("s", 0), 2);
  world.log("s", 0).AppendControl();
  world.Begin(0);
  world.kafka.answers = true;
  world.Turns();
  RestoredTask restored = world.Take(0).value();
  CHECK(World::ContentOf(*restored.stores[0]) == Content{{"k", "2"}});
  CHECK(FindPosition(*restored.positions, "in", 0)->next == 2);
}

TEST_CASE("Restorer: cancelled in the middle of a replay, nothing is told and nothing stays open") {
  World world;
  for (int i = 0; i < 100; ++i) world.log("s", 0).Append("k" + std::to_string(i), "1");
  world.log("s", 0).AppendControl();
  world.Begin(0);
  world.Turns(5);
  REQUIRE(world.kafka.reads > 0);
  REQUIRE(world.kafka.reads < 100);
  world.restorer->Cancel(TaskId(0));
  world.Turns(30);
  CHECK_FALSE(world.Done(0));
  CHECK_FALSE(world.engines.disk("s", TaskId(0)).open);
  CHECK(World::ContentOf(*world.Restore(0).stores[0]).size() == 100);
}

TEST_CASE("Restorer: a transaction on the changelog is waited for") {
  World world;
  world.log("s", 0).Append("k", "1");
  world.log("s", 0).decided = false;
  world.Begin(0);
  world.Turns();
  CHECK_FALSE(world.Done(0));
  world.log("s", 0).AppendControl();
  world.log("s", 0).decided = true;
  world.Turns();
  CHECK(World::ContentOf(*world.Take(0).value().stores[0]) == Content{{"k", "1"}});
}

TEST_CASE("Restorer: positions come with the state, from marker and changelog") {
  World world({{.name = "b"}, {.name = "a"}});
  world.log("a", 0).Append("k", "1");
  AppendPositions(world.log("a", 0), 7);
  world.log("a", 0).AppendControl();
  world.log("b", 0);
  const Positions seven = {{"in", "id", 0, 7}};
  {
    const RestoredTask restored = world.Restore(0);
    CHECK(restored.positions == seven);
    CHECK(restored.state_without_positions.empty());
    for (const auto& store : restored.stores) CHECK(store->marker().positions == seven);
  }
  world.Restart();
  const int reads = world.kafka.reads;
  {
    const RestoredTask restored = world.Restore(0);
    CHECK(restored.positions == seven);
    CHECK(restored.source == RestoreSource::kLocal);
  }
  CHECK(world.kafka.reads == reads);  // from the marker
  world.Restart();
  AppendPositions(world.log("a", 0), 8);
  world.log("a", 0).AppendControl();
  CHECK(world.Restore(0).positions == Positions{{"in", "id", 0, 8}});
}

TEST_CASE("Restorer: a task without changelog has its positions in a topic of their own") {
  World world({{.name = "cache", .changelog = false}});
  SUBCASE("they are there") {
    AppendPositions(world.kafka.logs[{"positions", 0}], 7);
    for (int i = 0; i < 100; ++i) world.kafka.logs[{"positions", 0}].AppendControl();
    CHECK(world.Restore(0).positions == Positions{{"in", "id", 0, 7}});
  }
  SUBCASE("the topic was never made") { CHECK_FALSE(world.Restore(0).positions.has_value()); }
  SUBCASE("the topic was pinned, and is not there") {
    world.model.positions_topic_id = "id";
    world.Begin(0);
    world.Turns();
    CHECK_FALSE(world.Done(0));
    world.Turns(1000);
    CHECK(world.Take(0).status().code() == Code::kNotFound);
  }
}

TEST_CASE("Restorer: a changelog of another topic id is replayed anew, whatever its offsets say") {
  World world;
  world.model.stores["s"].topic_id = "first";
  world.model.kafka_cluster_id = "cluster";
  world.log("s", 0).Append("old", "1");
  world.log("s", 0).AppendControl();
  {
    const RestoredTask restored = world.Restore(0);
    CHECK(restored.stores[0]->marker().changelog_topic_id == "first");
    CHECK(restored.stores[0]->marker().kafka_cluster_id == "cluster");
  }
  world.model.stores["s"].topic_id = "second";
  world.log("s", 0).records.clear();
  for (int i = 0; i < 10; ++i) world.log("s", 0).Append("new", std::to_string(i));
  world.log("s", 0).AppendControl();
  world.Restart();
  RestoredTask restored = world.Restore(0);
  CHECK(World::ContentOf(*restored.stores[0]) == Content{{"new", "9"}});
  CHECK(restored.source == RestoreSource::kWiped);
}

TEST_CASE("Restorer: a task that never ran has neither positions nor state") {
  World world;
  world.log("s", 0);
  const RestoredTask restored = world.Restore(0);
  CHECK_FALSE(restored.positions.has_value());
  CHECK(restored.state_without_positions.empty());
}

TEST_CASE("Restorer: state without positions is told") {
  World world;
  world.log("s", 0).Append("k", "1");
  world.log("s", 0).AppendControl();
  const RestoredTask restored = world.Restore(0);
  CHECK_FALSE(restored.positions.has_value());
  CHECK(restored.state_without_positions.find("store s") != std::string::npos);
}

TEST_CASE("Restorer: a store without changelog is exact or nothing") {
  World world({{.name = "a"}, {.name = "cache", .changelog = false}});
  AppendPositions(world.log("a", 0), 7);
  world.log("a", 0).AppendControl();
  const auto fill = [&](int64_t next) {
    RestoredTask restored = world.Restore(0);
    TaskStore& cache = *restored.stores[1];
    cache.Put("k", "1");
    REQUIRE(cache.TakeChanges([](auto, auto) { return Status::Ok(); }).ok());
    cache.Committed(std::nullopt, WallTime(), {{"in", "id", 0, next}});
    REQUIRE(cache.WriteBack().ok());
  };
  SUBCASE("at the task's last commit it is kept") {
    fill(7);
    world.Restart();
    CHECK(World::ContentOf(*world.Restore(0).stores[1]) == Content{{"k", "1"}});
  }
  SUBCASE("the task went on elsewhere meanwhile") {
    fill(7);
    AppendPositions(world.log("a", 0), 9);
    world.log("a", 0).AppendControl();
    world.Restart();
    RestoredTask restored = world.Restore(0);
    CHECK(World::ContentOf(*restored.stores[1]).empty());
    CHECK(restored.source == RestoreSource::kWiped);
    // From now on it is the task's.
    restored.stores.clear();
    world.Restart();
    CHECK(world.Restore(0).source == RestoreSource::kLocal);
  }
  SUBCASE("ahead of the task it is refused") {
    fill(8);
    const int wipes = world.engines.wipes;
    world.Restart();
    world.Begin(0);
    world.Turns();
    const Status status = world.Take(0).status();
    CHECK(status.code() == Code::kInvalidArgument);
    CHECK(status.message().find("in/0@8") != std::string::npos);
    CHECK(status.message().find("in/0@7") != std::string::npos);
    CHECK(world.engines.wipes == wipes);
  }
}

TEST_CASE(
    "Restorer: a store without changelog is kept over a start for which positions were gone") {
  World world({{.name = "cache", .changelog = false}});
  MemoryChangelogs::Log& positions = world.kafka.logs[{"positions", 0}];
  AppendPositions(positions, 7);
  {
    RestoredTask restored = world.Restore(0);
    TaskStore& cache = *restored.stores[0];
    cache.Put("k", "1");
    REQUIRE(cache.TakeChanges([](auto, auto) { return Status::Ok(); }).ok());
    cache.Committed(std::nullopt, WallTime(), *restored.positions);
    REQUIRE(cache.WriteBack().ok());
  }
  const auto records = std::exchange(positions.records, {});
  world.Restart();
  CHECK(world.Restore(0).state_without_positions.find("in/0@7") != std::string::npos);
  positions.records = records;  // somebody brought them back
  world.Restart();
  CHECK(World::ContentOf(*world.Restore(0).stores[0]) == Content{{"k", "1"}});
}

TEST_CASE("Restorer: two stores of a task that fail in one poll are one failure") {
  World world({{.name = "a"}, {.name = "b"}});
  for (const char* store : {"a", "b"}) {
    for (int i = 0; i < 20; ++i) world.log(store, 0).Append("k" + std::to_string(i), "1");
    for (int i = 0; i < 20; ++i) world.log(store, 1).Append("k" + std::to_string(i), "1");
    world.log(store, 0).AppendControl();
    world.log(store, 1).AppendControl();
  }
  world.Begin(0);
  world.Begin(1);
  world.Turns(3);
  REQUIRE_FALSE(world.Done(0));
  for (const char* store : {"a", "b"})
    world.engines.disk(store, TaskId(0)).failure = ResourceExhausted("disk full");
  world.Turns();
  const Status status = world.Take(0).status();
  CAPTURE(status.ToString());
  CHECK(status.message().find("task 0: store a: disk full") != std::string::npos);
  // A full disk is not tried again for ever.
  CHECK(status.retry_class() == RetryClass::kFatal);
  CHECK(world.Take(1).ok());
}

TEST_CASE("Restorer: a record that cannot be read ends the restore, and its offset is told") {
  World world;
  world.log("s", 0).Append("k", "1");
  world.log("s", 0).records.push_back({"k2", "raw"});
  world.log("s", 0).AppendControl();
  world.Begin(0);
  world.Turns();
  const Status status = world.Take(0).status();
  CHECK(status.retry_class() == RetryClass::kFatal);
  CHECK(status.message().find("changelog s-log partition 0 offset 1") != std::string::npos);
}

TEST_CASE("Restorer: a failing reader ends all restores, and they can be asked for again") {
  World world;
  for (int i = 0; i < 20; ++i) world.log("s", 0).Append("k" + std::to_string(i), "1");
  world.log("s", 0).AppendControl();
  world.Begin(0);
  world.Turns(3);
  world.kafka.poll_failure = Unauthenticated("not any more");
  world.Turns(3);
  CHECK(world.Take(0).status().code() == Code::kUnauthenticated);
  CHECK(World::ContentOf(*world.Restore(0).stores[0]).size() == 20);
}

TEST_CASE("Restorer: a corrupt store comes back from its changelog") {
  World world;
  for (int i = 0; i < 20; ++i) world.log("s", 0).Append("k" + std::to_string(i), "1");
  world.log("s", 0).AppendControl();
  { CHECK(world.Restore(0).records == 20); }
  world.Restart();
  world.engines.disk("s", TaskId(0)).corrupt = true;
  RestoredTask restored = world.Restore(0);
  CHECK(restored.source == RestoreSource::kWiped);
  CHECK(World::ContentOf(*restored.stores[0]).size() == 20);
}

TEST_CASE("Restorer: a store whose marker cannot be written for corruption comes back, once") {
  World world;
  for (int i = 0; i < 20; ++i) world.log("s", 0).Append("k" + std::to_string(i), "1");
  world.log("s", 0).AppendControl();
  { CHECK(world.Restore(0).records == 20); }
  world.Restart();
  const int wipes_before = world.engines.wipes;
  test::MemoryEngine::Disk& disk = world.engines.disk("s", TaskId(0));
  disk.next_markers = {Corruption("a block does not match its checksum")};
  SUBCASE("and is whole") {
    RestoredTask restored = world.Restore(0);
    CHECK(restored.source == RestoreSource::kWiped);
    CHECK(restored.records == 20);
    CHECK(World::ContentOf(*restored.stores[0]).size() == 20);
    CHECK(world.engines.wipes - wipes_before == 1);
  }
  SUBCASE("the disk is broken: said, and not written over and over") {
    disk.next_markers.push_back(Status::Ok());  // of the empty store
    disk.next_markers.push_back(Corruption("a block does not match its checksum"));
    world.Begin(0);
    world.Turns(20);
    const Status status = world.Take(0).status();
    CAPTURE(status.ToString());
    CHECK(status.code() == Code::kCorruption);
    CHECK(status.message().find("store s") != std::string::npos);
    CHECK(world.engines.wipes - wipes_before == 1);
  }
}

}  // namespace
}  // namespace coho
