// A TaskStore against a model: random work, commits, undos, write-backs and crashes, with and
// without changelog, on an engine whose crash image is known exactly.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/memory_engine.h"
#include "tests/support/seed.h"
#include "worker/store/changelog_key.h"
#include "worker/store/task_store.h"
#include "worker/store/value_format.h"

namespace coho {
namespace {

using test::MemoryEngine;
using Values = std::map<std::string, std::string, std::less<>>;

// A changelog as Kafka has it: a control record behind each transaction takes an offset, too; what
// was aborted is not read.
struct Changelog {
  struct Record {
    std::string key;
    std::optional<std::string> value;
    bool visible = true;
  };
  std::vector<Record> records;

  [[nodiscard]] int64_t end() const { return static_cast<int64_t>(records.size()); }
  // Keys and values as users see them, and the latest positions.
  [[nodiscard]] std::pair<Values, Positions> Replay(int64_t to) const {
    Values values;
    Positions positions;
    for (int64_t i = 0; i < to; ++i) {
      const Record& record = records[static_cast<size_t>(i)];
      if (!record.visible) continue;
      const ChangelogKey key = DecodeChangelogKey(record.key);
      if (key.kind == ChangelogKey::Kind::kPositions) {
        positions = DecodePositionsRecord(*record.value).value();
        continue;
      }
      StoredValue stored;
      if (!record.value) {
        values.erase(std::string(key.user));
      } else if (DecodeValue(*record.value, &stored).ok()) {
        values[std::string(key.user)] = stored.value;
      }
    }
    return {values, positions};
  }
};

class World {
 public:
  World(unsigned seed, int64_t overlay_bytes_max, bool changelog)
      : random_(seed), overlay_bytes_max_(overlay_bytes_max), has_changelog_(changelog) {
    disk_.flush_by_itself = [this] { return random_() % 20 == 0; };
    states_[0] = {};
    Start();
  }

  void Step() {
    const auto dice = random_() % 100;
    if (dice < 40) {
      Put();
    } else if (dice < 50) {
      const std::string key = Key();
      store_->Remove(key);
      live_.erase(key);
    } else if (dice < 66) {
      CheckGet(Key());
    } else if (dice < 70) {
      CheckRange();
    } else if (dice < 88) {
      Commit();
    } else if (dice < 91) {
      REQUIRE(store_->Flush().ok());
    } else if (dice < 98) {
      Abort();
    } else {
      Crash();
    }
    if (store_->over_budget()) Commit();
  }

 private:
  std::string Key() {
    // Among them such as look like the task's own records.
    const auto n = random_() % 64;
    return n < 4 ? std::string(kPositionsKey.substr(0, n)) + (n == 3 ? "p" : "")
                 : "key" + std::to_string(n);
  }

  void Put() {
    const std::string key = Key();
    const std::string value(random_() % 90, static_cast<char>('a' + random_() % 26));
    store_->Put(key, value);
    live_[key] = value;
  }

  void CheckGet(const std::string& key) {
    const auto found = store_->Get(key);
    const auto expected = live_.find(key);
    REQUIRE(found.has_value() == (expected != live_.end()));
    if (found) REQUIRE(*found == expected->second);
  }

  void CheckRange() {
    const std::string from = random_() % 3 == 0 ? "" : Key();
    const std::string to = random_() % 3 == 0 ? "" : Key();
    Values found;
    for (const auto it = store_->Range(from, to); it->Valid(); it->Next()) {
      REQUIRE((found.empty() || found.rbegin()->first < it->key()));
      found.emplace(it->key(), it->value());
    }
    Values expected;
    for (const auto& [key, value] : live_) {
      if (key >= from && (to.empty() || key < to)) expected.emplace(key, value);
    }
    REQUIRE(found == expected);
  }

  // Sends what changed; true: all of it.
  bool Take() {
    auto until_failure = random_() % 8 == 0 ? random_() % 4 : ~0UL;
    const Status sent =
        store_->TakeChanges([&](std::string_view key, std::optional<std::string_view> value) {
          if (until_failure-- == 0) return Aborted("the transaction is lost");
          REQUIRE(has_changelog_);
          changelog_.records.push_back(
              {std::string(key), value ? std::optional<std::string>(*value) : std::nullopt});
          return Status::Ok();
        });
    return sent.ok();
  }

  void Commit() {
    const size_t before = changelog_.records.size();
    if (!Take()) return Undo(before);
    const Positions positions = {{"in", "id", 0, ++commits_}};
    std::optional<int64_t> position;
    if (has_changelog_) {
      changelog_.records.push_back({std::string(kPositionsKey), EncodePositionsRecord(positions)});
      position = changelog_.end();
      changelog_.records.push_back({.key = "", .value = {}, .visible = false});
    }
    store_->Committed(position, FromUnixMillis(commits_), positions);
    committed_ = live_;
    states_[commits_] = live_;
    if (random_() % 3 == 0 || store_->over_budget()) REQUIRE(store_->WriteBack().ok());
    CheckEngine(engine_->content());
    CheckEngine(disk_.flushed);
  }

  // The transaction aborts, before or after everything was sent.
  void Abort() {
    const size_t before = changelog_.records.size();
    if (random_() % 2 == 0) {
      (void)Take();
      for (auto n = random_() % 4; n > 0; --n) Put();
    }
    Undo(before);
  }
  void Undo(size_t first_sent) {
    for (size_t i = first_sent; i < changelog_.records.size(); ++i)
      changelog_.records[i].visible = false;
    if (has_changelog_) changelog_.records.push_back({.key = "", .value = {}, .visible = false});
    store_->Undo();
    live_ = committed_;
    REQUIRE(store_->changed_keys() == 0);
    if (random_() % 2 == 0) REQUIRE(store_->WriteBack().ok());
    CheckEngine(engine_->content());
    CheckRange();
  }

  void Crash() {
    engine_->Crash();
    store_.reset();
    Start();
  }

  // The store equals the replay of its changelog up to its marker, and the marker is not ahead of
  // what is committed. Without changelog it equals some commit, and its positions say which.
  void CheckEngine(const MemoryEngine::Content& content) {
    if (has_changelog_) {
      const int64_t position = content.marker ? content.marker->position : 0;
      REQUIRE(position <= changelog_.end());
      const auto [values, positions] = changelog_.Replay(position);
      REQUIRE(content.Plain() == values);
      if (content.marker) REQUIRE(content.marker->positions == positions);
    } else {
      const bool any = content.marker && !content.marker->positions.empty();
      REQUIRE(content.Plain() == states_.at(any ? content.marker->positions.front().next : 0));
    }
  }

  void Start() {
    CheckEngine(disk_.flushed);
    auto engine = std::make_unique<MemoryEngine>(&disk_);
    StoreMarker marker = engine->content().marker.value_or(StoreMarker{"ns.job", "topic", 0, 0, 0});
    if (has_changelog_) {
      for (; marker.position < changelog_.end(); ++marker.position) {
        const auto& record = changelog_.records[static_cast<size_t>(marker.position)];
        const ChangelogKey key = DecodeChangelogKey(record.key);
        if (!record.visible || key.kind != ChangelogKey::Kind::kUser) continue;
        const EngineWrite write{.key = key.user,
                                .value = record.value ? std::string_view(*record.value) : "",
                                .remove = !record.value};
        StoreMarker after = marker;
        ++after.position;
        after.positions = changelog_.Replay(after.position).second;
        REQUIRE(engine->Write(std::span(&write, 1), after).ok());
      }
      marker.positions = changelog_.Replay(changelog_.end()).second;
      REQUIRE(engine->Write({}, marker).ok());
    } else {
      // What was committed after the last flush is gone.
      commits_ = marker.positions.empty() ? 0 : marker.positions.front().next;
      committed_ = states_.at(commits_);
    }
    engine_ = engine.get();
    store_ = std::make_unique<TaskStore>(
        TaskStore::Options{.spec = {.name = "s", .changelog = has_changelog_},
                           .marker = marker,
                           .overlay_bytes_max = overlay_bytes_max_},
        std::move(engine));
    live_ = committed_;
    CheckRange();
  }

  std::mt19937 random_;
  const int64_t overlay_bytes_max_;
  const bool has_changelog_;
  MemoryEngine::Disk disk_;
  MemoryEngine* engine_ = nullptr;
  Changelog changelog_;
  int64_t commits_ = 0;
  std::map<int64_t, Values> states_;  // by commit
  Values committed_;
  Values live_;
  std::unique_ptr<TaskStore> store_;
};

TEST_CASE("TaskStore: equals the model through commits, undos, write-backs and crashes") {
  const auto first_seed = static_cast<unsigned>(test::Seed());
  for (const bool changelog : {true, false}) {
    for (const int64_t budget : {int64_t{4} << 10, int64_t{1} << 20}) {
      for (unsigned i = 0; i < 6; ++i) {
        const unsigned seed = first_seed + i;
        CAPTURE(seed);
        CAPTURE(budget);
        CAPTURE(changelog);
        World world(seed, budget, changelog);
        for (int step = 0; step < 1500; ++step) world.Step();
      }
    }
  }
}

}  // namespace
}  // namespace coho
