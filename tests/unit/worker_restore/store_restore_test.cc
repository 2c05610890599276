// Restores of one real store from a changelog in memory.
#include "worker/restore/store_restore.h"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/seed.h"
#include "tests/support/temp_directory.h"
#include "worker/store/positions.h"
#include "worker/store/value_format.h"

namespace coho {
namespace {

using Values = std::map<std::string, std::string>;
constexpr int64_t kHour = 3'600'000;

// Offset -> record; offsets without record were compacted away or hold control records.
struct Changelog {
  std::map<int64_t, std::pair<std::string, std::optional<std::string>>> records;
  int64_t end = 0;

  void Append(const std::string& key, std::optional<std::string> value) {
    if (value) value->insert(0, kPlainValueHeader);
    records[end++] = {key, std::move(value)};
  }
  [[nodiscard]] Values Replay() const {
    Values values;
    for (const auto& [offset, record] : records) {
      if (record.second) {
        values[record.first] = record.second->substr(kPlainValueHeader.size());
      } else {
        values.erase(record.first);
      }
    }
    return values;
  }
};

struct World {
  World() { Restart(); }
  void Restart() {
    factory.reset();
    auto created =
        EngineFactory::Create({.directory = directory.path().string(), .memtable_bytes = 4 << 20});
    REQUIRE(created.ok());
    factory = std::move(created).value();
  }
  [[nodiscard]] StoreRestore::Changelog Range() const {
    return {.begin = 0,
            .end = changelog.end,
            .asked_at = FromUnixMillis(now_ms),
            .delete_retention = std::chrono::hours(24)};
  }
  [[nodiscard]] std::unique_ptr<StoreRestore> Open() const {
    auto restore =
        std::make_unique<StoreRestore>(StoreRestore::Options{.job_id = job,
                                                             .spec = {.name = "s"},
                                                             .changelog_topic = "topic",
                                                             .transactional = transactional,
                                                             .task = TaskId(1),
                                                             .engines = factory.get()});
    REQUIRE(restore->Open().ok());
    return restore;
  }
  [[nodiscard]] std::unique_ptr<StoreRestore> Begin() const {
    auto restore = Open();
    REQUIRE(restore->Plan(Range()).ok());
    return restore;
  }
  // Feeds at most `records_max` records. What a ChangelogReader does, without Kafka.
  void Feed(StoreRestore* restore, int records_max = 1 << 30) const {
    while (!restore->caught_up()) {
      const auto next = changelog.records.lower_bound(restore->position());
      if (next == changelog.records.end() || next->first >= restore->plan().to) {
        restore->Reached(changelog.end);
        break;
      }
      if (records_max-- == 0) break;
      REQUIRE(restore->Add(next->first, next->second.first, next->second.second).ok());
    }
    REQUIRE(restore->Write().ok());
  }
  // The whole way; returns the restore for a look at it.
  std::unique_ptr<StoreRestore> Restore() { return RestoreTo({}); }
  std::unique_ptr<StoreRestore> RestoreTo(const Positions& positions) {
    auto restore = Begin();
    Feed(restore.get());
    REQUIRE(restore->caught_up());
    CHECK(restore->positions() == positions);
    REQUIRE(restore->WriteMarker(positions).ok());
    const auto finished = restore->Finish({});
    CHECK(finished->marker() ==
          StoreMarker{job, "topic", 1, changelog.end, now_ms, "", "", positions});
    content.clear();
    for (const auto it = finished->Range({}, {}); it->Valid(); it->Next())
      content.emplace(it->key(), it->value());
    return restore;
  }

  test::TempDirectory directory;
  std::string job = "web.visits";
  bool transactional = false;
  int64_t now_ms = 1000 * kHour;
  std::unique_ptr<EngineFactory> factory;
  Changelog changelog;
  Values content;  // after the last Restore
};

TEST_CASE("StoreRestore: a new store of an empty changelog leaves a marker behind") {
  World world;
  CHECK(world.Restore()->plan().mode == RestoreMode::kUseLocal);
  world.Restart();
  const auto again = world.Restore();
  CHECK(again->plan().mode == RestoreMode::kUseLocal);
  CHECK(again->plan().reason.find("end") != std::string_view::npos);
  CHECK_FALSE(again->wiped());
}

TEST_CASE("StoreRestore: replays only what is behind its marker") {
  World world;
  for (int i = 0; i < 100; ++i)
    world.changelog.Append("k" + std::to_string(i % 10), std::to_string(i));
  auto restore = world.Restore();
  CHECK(restore->records() == 100);
  CHECK_FALSE(restore->wiped());  // there was nothing
  world.changelog.Append("k3", std::nullopt);
  ++world.changelog.end;  // a control record
  world.Restart();
  restore = world.Restore();
  CHECK(restore->plan().mode == RestoreMode::kReplayFromMarker);
  CHECK(restore->records() == 1);
  CHECK(world.content == world.changelog.Replay());
  CHECK(world.content.size() == 9);
}

TEST_CASE(
    "StoreRestore: an interrupted full replay goes on at its marker, days later from the begin") {
  World world;
  for (int i = 0; i < 10'000; ++i)
    world.changelog.Append("k" + std::to_string(i), std::to_string(i));
  {
    const auto restore = world.Begin();
    CHECK(restore->plan().reason == "no local state");
    world.Feed(restore.get(), 6000);
  }  // closing flushes
  world.Restart();
  SUBCASE("soon") {
    world.now_ms += 21 * kHour;
    const auto restore = world.Restore();
    CHECK(restore->plan().mode == RestoreMode::kReplayFromMarker);
    CHECK(restore->records() == 4000);
  }
  SUBCASE("too late") {
    world.now_ms += 25 * kHour;
    const auto restore = world.Restore();
    CHECK(restore->plan().mode == RestoreMode::kWipeAndReplay);
    CHECK(restore->wiped());
    CHECK(restore->records() == 10'000);
  }
  SUBCASE("in two more pieces, each soon, together too late") {
    world.now_ms += 20 * kHour;
    {
      const auto restore = world.Begin();
      world.Feed(restore.get(), 1000);
    }
    world.now_ms += 20 * kHour;
    CHECK(world.Restore()->records() == 10'000);
  }
  CHECK(world.content == world.changelog.Replay());
}

TEST_CASE(
    "StoreRestore: an old store is kept when only its own control record follows, else its deleted "
    "keys would rise again") {
  World world;
  world.transactional = true;
  world.changelog.Append("stays", "1");
  world.changelog.Append("goes", "1");
  world.Restore();
  world.now_ms += 48 * kHour;
  SUBCASE("a control record") {
    ++world.changelog.end;
    const auto restore = world.Restore();
    CHECK_FALSE(restore->wiped());
    CHECK(restore->records() == 0);
    CHECK(world.content == Values{{"stays", "1"}, {"goes", "1"}});
    // Its marker is young again.
    world.now_ms += 21 * kHour;
    world.changelog.Append("new", "1");
    ++world.changelog.end;
    CHECK(world.Restore()->plan().mode == RestoreMode::kReplayFromMarker);
  }
  SUBCASE("the tombstone is compacted away, and nothing that can be read follows") {
    world.changelog.records.erase(1);
    world.changelog.end += 2;
    const auto restore = world.Restore();
    CHECK(restore->wiped());
    CHECK(restore->plan().reason.find("tombstones") != std::string_view::npos);
    CHECK(world.content == Values{{"stays", "1"}});
  }
}

TEST_CASE("StoreRestore: positions come from the marker, overtaken by each record of them") {
  World world;
  const Positions first = {{"in", "id", 1, 5}};
  const Positions second = {{"in", "id", 1, 9}};
  world.changelog.Append("a", "1");
  world.changelog.records[world.changelog.end++] = {std::string(kPositionsKey),
                                                    EncodePositionsRecord(first)};
  CHECK(world.RestoreTo(first)->positions() == first);
  world.Restart();
  CHECK(world.Begin()->positions() == first);
  world.changelog.records[world.changelog.end++] = {std::string(kPositionsKey),
                                                    EncodePositionsRecord(second)};
  CHECK(world.RestoreTo(second)->positions() == second);
  CHECK(world.content == Values{{"a", "1"}});
}

TEST_CASE("StoreRestore: a record that is not one of ours is never skipped, and names its offset") {
  World world;
  world.changelog.Append("a", "1");
  SUBCASE("a value without format") { world.changelog.records[1] = {"b", "raw"}; }
  SUBCASE("a record of the task that is not known") {
    world.changelog.records[1] = {"\xC1z", std::string("\x01\x00", 2)};
  }
  SUBCASE("broken positions") {
    world.changelog.records[1] = {std::string(kPositionsKey), std::string("\x01\x00\x01", 3)};
  }
  world.changelog.end = 2;
  const auto restore = world.Begin();
  REQUIRE(restore->Add(0, "a", world.changelog.records[0].second).ok());
  const Status status =
      restore->Add(1, world.changelog.records[1].first, world.changelog.records[1].second);
  CHECK(status.code() == Code::kInvalidRecord);
  CHECK(status.message().find("topic partition 1 offset 1") != std::string::npos);
  CHECK(restore->position() == 1);
}

TEST_CASE("StoreRestore: what may be the last copy is never wiped") {
  World world;
  for (int i = 0; i < 10; ++i) world.changelog.Append("k" + std::to_string(i), "1");
  world.Restore();
  world.Restart();
  SUBCASE("the topic was made anew and is shorter") {
    world.changelog = {};
    world.changelog.Append("k1", "2");
  }
  SUBCASE("the topic was made anew and is empty") { world.changelog = {}; }
  auto restore = world.Open();
  const Status status = restore->Plan(world.Range());
  CHECK(status.code() == Code::kInvalidArgument);
  CHECK(status.message().find("at offset 10 of topic topic") != std::string::npos);
  CHECK(status.message().find("Nothing was wiped") != std::string::npos);
  CHECK(status.message().find("stores/s/1") != std::string::npos);
  restore.reset();
  // All of it is still there.
  world.Restart();
  const auto engine = world.factory->Open("s", TaskId(1)).value();
  std::string value;
  for (int i = 0; i < 10; ++i) CHECK(engine->Get("k" + std::to_string(i), &value).value());
}

TEST_CASE("StoreRestore: throws away what is not its own or not readable") {
  World world;
  for (int i = 0; i < 10; ++i) world.changelog.Append("k" + std::to_string(i), "1");
  world.Restore();
  world.Restart();
  std::string reason;
  SUBCASE("another job's") {
    world.job = "web.other";
    reason = "the store is of another job";
  }
  SUBCASE("corrupt") {
    std::ofstream(world.directory.path() / "stores" / "s" / "1" / "CURRENT") << "garbage";
    reason = "the store is corrupt";
  }
  const auto restore = world.Restore();
  CHECK(restore->wiped());
  CHECK(restore->plan().reason == reason);
  CHECK(world.content == world.changelog.Replay());
  world.Restart();
  CHECK_FALSE(world.Restore()->wiped());
}

TEST_CASE("StoreRestore: a store without changelog is what lies on disk") {
  World world;
  const StoreRestore::Options options{.job_id = "web.visits",
                                      .spec = {.name = "s", .changelog = false},
                                      .task = TaskId(1),
                                      .engines = world.factory.get()};
  {
    StoreRestore restore(options);
    REQUIRE(restore.Open().ok());
    REQUIRE(restore.Plan({.asked_at = FromUnixMillis(1)}).ok());
    REQUIRE(restore.caught_up());
    REQUIRE(restore.WriteMarker({}).ok());
    const auto store = restore.Finish({});
    store->Put("a", "1");
    REQUIRE(store->TakeChanges([](auto, auto) { return Internal("nothing is to be sent"); }).ok());
    store->Committed(std::nullopt, FromUnixMillis(2), {});
    REQUIRE(store->WriteBack().ok());
    REQUIRE(store->Flush().ok());
  }
  StoreRestore restore(options);
  REQUIRE(restore.Open().ok());
  REQUIRE(restore.Plan({.asked_at = FromUnixMillis(3)}).ok());
  REQUIRE(restore.WriteMarker({}).ok());
  const auto store = restore.Finish({});
  CHECK(store->Get("a") == "1");
  CHECK_FALSE(restore.wiped());
}

TEST_CASE("StoreRestore: interrupted at random it always ends at the changelog's content") {
  const auto seed = static_cast<unsigned>(test::Seed());
  CAPTURE(seed);
  std::mt19937 random(seed);
  World world;
  for (int round = 0; round < 40; ++round) {
    CAPTURE(round);
    for (auto n = random() % 300; n > 0; --n) {
      const std::string key = "k" + std::to_string(random() % 200);
      world.changelog.Append(
          key, random() % 4 == 0 ? std::nullopt : std::optional(std::to_string(random())));
      if (random() % 20 == 0) ++world.changelog.end;
    }
    if (random() % 2 == 0) {
      const auto restore = world.Begin();
      world.Feed(restore.get(), static_cast<int>(random() % 200));
      if (random() % 4 == 0) REQUIRE(restore->StartOver("the store is corrupt").ok());
    } else {
      world.Restore();
      const bool equal = world.content == world.changelog.Replay();
      REQUIRE(equal);
    }
    if (random() % 3 == 0) world.Restart();
  }
}

}  // namespace
}  // namespace coho
