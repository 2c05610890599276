// A TaskStore against a model: random work, commits, aborts and crashes, on an engine whose crash image is known exactly.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/seed.h"
#include "tests/unit/worker_store/memory_engine.h"
#include "worker/store/task_store.h"

namespace coho {
namespace {

using test::MemoryEngine;
using Values = std::map<std::string, std::string, std::less<>>;

// A changelog as Kafka has it: a control record behind each transaction takes an offset, too.
struct Changelog {
  struct Record {
    std::string key;
    std::optional<std::string> value;
    bool control = false;
  };
  std::vector<Record> records;

  [[nodiscard]] Values Replay(int64_t end) const {
    Values values;
    for (int64_t i = 0; i < end; ++i) {
      const Record& record = records[static_cast<size_t>(i)];
      if (record.control) continue;
      if (record.value) {
        values[record.key] = *record.value;
      } else {
        values.erase(record.key);
      }
    }
    return values;
  }
};

class World {
 public:
  World(unsigned seed, int64_t overlay_bytes_max)
      : random_(seed), overlay_bytes_max_(overlay_bytes_max) {
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
    } else if (dice < 70) {
      CheckGet(Key());
    } else if (dice < 74) {
      CheckRange();
    } else if (dice < 92) {
      Commit();
    } else if (dice < 95) {
      REQUIRE(store_->Flush().ok());
    } else if (dice < 98) {
      Abort();
    } else {
      Crash();
    }
    if (store_->over_budget()) Commit();
  }

 private:
  std::string Key() { return "key" + std::to_string(random_() % 60); }

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

  void Commit() {
    const size_t before = changelog_.records.size();
    const Status sent =
        store_->TakeChanges([&](std::string_view key, std::optional<std::string_view> value) {
          changelog_.records.push_back(
              {std::string(key), value ? std::optional<std::string>(*value) : std::nullopt});
          return Status::Ok();
        });
    REQUIRE(sent.ok());
    std::optional<int64_t> position;
    if (changelog_.records.size() > before) {
      position = static_cast<int64_t>(changelog_.records.size());
      changelog_.records.push_back({.control = true});
    }
    store_->Committed(position, FromUnixMillis(static_cast<int64_t>(before)));
    committed_ = live_;
    if (random_() % 3 == 0 || store_->over_budget()) REQUIRE(store_->WriteBack().ok());
    CheckEngine(engine_->content());
    CheckEngine(disk_.flushed);
  }

  // The transaction aborts: what it sent is in the log and is not read; the store comes back from marker and changelog.
  void Abort() {
    const auto engine = store_->ReleaseEngine();
    CheckEngine(static_cast<MemoryEngine*>(engine.get())->content());
    REQUIRE(engine->Flush().ok());
    Start();
  }

  void Crash() { Start(); }

  // The store equals the replay of its changelog up to its marker, and the marker is not ahead of what is committed.
  void CheckEngine(const MemoryEngine::Content& content) {
    const int64_t position = content.marker ? content.marker->position : 0;
    REQUIRE(position <= static_cast<int64_t>(changelog_.records.size()));
    REQUIRE(content.values == changelog_.Replay(position));
  }

  void Start() {
    CheckEngine(disk_.flushed);
    auto engine = std::make_unique<MemoryEngine>(&disk_);
    StoreMarker marker = engine->content().marker.value_or(StoreMarker{"ns.job", "topic", 0, 0, 0});
    for (; marker.position < static_cast<int64_t>(changelog_.records.size()); ++marker.position) {
      const auto& record = changelog_.records[static_cast<size_t>(marker.position)];
      if (record.control) continue;
      const EngineWrite write{record.key, record.value ? std::string_view(*record.value) : "",
                              !record.value};
      StoreMarker after = marker;
      ++after.position;
      REQUIRE(engine->Write(std::span(&write, 1), after).ok());
    }
    REQUIRE(engine->Write({}, marker).ok());
    engine_ = engine.get();
    store_ = std::make_unique<TaskStore>(
        TaskStore::Options{
            .spec = {.name = "s"}, .marker = marker, .overlay_bytes_max = overlay_bytes_max_},
        std::move(engine));
    live_ = committed_;
    CheckRange();
  }

  std::mt19937 random_;
  const int64_t overlay_bytes_max_;
  MemoryEngine::Disk disk_;
  MemoryEngine* engine_ = nullptr;
  Changelog changelog_;
  Values committed_;
  Values live_;
  std::unique_ptr<TaskStore> store_;
};

TEST_CASE("TaskStore: equals the model through commits, aborts and crashes") {
  const auto first_seed = static_cast<unsigned>(test::Seed());
  for (const int64_t budget : {int64_t{2} << 10, int64_t{1} << 20}) {
    for (unsigned i = 0; i < 8; ++i) {
      const unsigned seed = first_seed + i;
      CAPTURE(seed);
      CAPTURE(budget);
      World world(seed, budget);
      for (int step = 0; step < 2000; ++step) world.Step();
    }
  }
}

}  // namespace
}  // namespace coho
