#include "worker/store/task_store.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/dies.h"
#include "tests/support/memory_engine.h"
#include "worker/store/changelog_key.h"
#include "worker/store/value_format.h"

namespace coho {
namespace {

using test::MemoryEngine;
using Changes = std::vector<std::pair<std::string, std::optional<std::string>>>;

struct Fixture {
  explicit Fixture(int64_t overlay_bytes_max = 1 << 20, bool changelog = true,
                   int64_t record_bytes_max = 0) {
    auto owned = std::make_unique<MemoryEngine>(&disk);
    engine = owned.get();
    store = std::make_unique<TaskStore>(
        TaskStore::Options{
            .spec = {.name = "s", .value = SerdeType::kInt64, .changelog = changelog},
            .marker = {"ns.job", "topic", 3, 100, 1000},
            .overlay_bytes_max = overlay_bytes_max,
            .record_bytes_max = record_bytes_max},
        std::move(owned));
  }
  Changes Take() {
    Changes changes;
    const Status status = store->TakeChanges([&](std::string_view key,
                                                 std::optional<std::string_view> value) {
      StoredValue stored;
      if (value) CHECK(DecodeValue(*value, &stored).ok());
      changes.emplace_back(key, value ? std::optional<std::string>(stored.value) : std::nullopt);
      return Status::Ok();
    });
    CHECK(status.ok());
    return changes;
  }
  void Commit(std::optional<int64_t> position) {
    Take();
    store->Committed(position, FromUnixMillis(2000), positions);
  }
  std::string All() {
    std::string all;
    for (const auto it = store->Range({}, {}); it->Valid(); it->Next()) {
      all += std::string(it->key()) + "=" + std::string(it->value()) + " ";
    }
    return all;
  }

  Positions positions;
  MemoryEngine::Disk disk;
  MemoryEngine* engine = nullptr;
  std::unique_ptr<TaskStore> store;
};

TEST_CASE("TaskStore: a task reads its own writes at once, the engine does not have them") {
  Fixture f;
  CHECK_FALSE(f.store->Get("a").has_value());
  f.store->Put("a", "1");
  CHECK(f.store->Get("a") == "1");
  f.store->Put("a", "a value that is longer than the memory the first one got, by far");
  CHECK(f.store->Get("a") == "a value that is longer than the memory the first one got, by far");
  f.store->Remove("a");
  CHECK_FALSE(f.store->Get("a").has_value());
  f.store->Put("a", "");
  CHECK(f.store->Get("a") == "");
  CHECK(f.engine->content().Plain().empty());
}

TEST_CASE(
    "TaskStore: the changelog gets each changed key once, with its last value, removals as such") {
  Fixture f;
  f.store->Put("b", "1");
  f.store->Put("a", "1");
  f.store->Put("b", "2");
  f.store->Remove("c");
  CHECK(f.store->changed_keys() == 3);
  CHECK(f.Take() == Changes{{"b", "2"}, {"a", "1"}, {"c", std::nullopt}});
  CHECK(f.store->changed_keys() == 0);
  CHECK(f.Take().empty());
  f.store->Committed(103, FromUnixMillis(2000), {});
  f.store->Put("a", "2");
  CHECK(f.Take() == Changes{{"a", "2"}});
}

TEST_CASE("TaskStore: removing what is known to be absent is no change") {
  Fixture f;
  CHECK_FALSE(f.store->Get("a").has_value());
  f.store->Remove("a");
  CHECK(f.store->changed_keys() == 0);
}

TEST_CASE("TaskStore: when a change cannot be sent, none of them counts as sent") {
  Fixture f;
  f.store->Put("a", "1");
  f.store->Put("b", "1");
  int sent = 0;
  const Status status =
      f.store->TakeChanges([&](std::string_view, std::optional<std::string_view>) {
        return ++sent == 2 ? Unavailable("no broker") : Status::Ok();
      });
  CHECK(status.code() == Code::kUnavailable);
  CHECK(f.Take() == Changes{{"a", "1"}, {"b", "1"}});
}

TEST_CASE("TaskStore: a change after TakeChanges belongs to the next commit") {
  Fixture f;
  f.store->Put("a", "1");
  CHECK(f.Take() == Changes{{"a", "1"}});
  f.store->Put("a", "2");
  f.store->Committed(101, FromUnixMillis(2000), {});
  CHECK(f.store->changed_keys() == 1);
  CHECK(f.Take() == Changes{{"a", "2"}});
  f.store->Committed(102, FromUnixMillis(2000), {});
  REQUIRE(f.store->WriteBack().ok());
  CHECK(f.engine->content().Plain().at("a") == "2");
  CHECK(f.engine->content().marker->position == 102);
}

TEST_CASE("TaskStore: undo brings every key back to the last commit, with open and sent changes") {
  for (const bool changelog : {true, false}) {
    CAPTURE(changelog);
    Fixture f(1 << 20, changelog);
    f.store->Put("clean", "1");
    f.store->Put("clean and removed", "1");
    f.Commit(102);
    REQUIRE(f.store->WriteBack().ok());
    f.store->Put("dirty", "1");
    f.store->Remove("dirty and removed");
    f.Commit(104);
    const int64_t dirty = f.store->dirty_bytes();
    const int64_t bytes = f.store->overlay_bytes();

    f.store->Put("clean", "2");
    f.store->Remove("clean and removed");
    f.store->Put("dirty", "a value that is longer than the memory the first one got, by far");
    f.store->Put("dirty and removed", "2");
    f.store->Put("new", "2");
    f.Take();
    f.store->Remove("clean");
    f.store->Put("new", "3");
    f.store->Put("newer", "3");
    f.store->Undo();

    CHECK(f.store->changed_keys() == 0);
    CHECK(f.All() == "clean=1 clean and removed=1 dirty=1 ");
    CHECK(f.store->Get("dirty") == "1");
    CHECK(f.store->overlay_bytes() < bytes + 512);  // a longer value's memory may stay
    CHECK(f.store->dirty_bytes() < dirty + 512);
    // What was committed before is still to be written back; what was undone is not.
    REQUIRE(f.store->WriteBack().ok());
    CHECK(f.engine->content().Plain() ==
          decltype(f.engine->content().values){
              {"clean", "1"}, {"clean and removed", "1"}, {"dirty", "1"}});
    CHECK(f.engine->content().marker->position == 104);
    CHECK_FALSE(f.store->Get("new").has_value());
  }
}

TEST_CASE("TaskStore: the marker has the positions of the last commit") {
  Fixture f;
  f.positions = {{"in", "id", 3, 7}};
  f.store->Put("a", "1");
  f.Commit(101);
  REQUIRE(f.store->WriteBack().ok());
  CHECK(f.engine->content().marker->positions == f.positions);
  // Alone they are worth a marker, too.
  f.positions = {{"in", "id", 3, 8}};
  f.Commit(std::nullopt);
  REQUIRE(f.store->WriteBack().ok());
  CHECK(f.engine->content().marker->positions == f.positions);
}

TEST_CASE("TaskStore: keys of users never meet the task's own records in the changelog") {
  Fixture f;
  const std::string keys[] = {std::string(kPositionsKey), "\xC1", "\xC1\xC1p", "", "usual"};
  for (const std::string& key : keys) f.store->Put(key, "1");
  const Changes changes = f.Take();
  REQUIRE(changes.size() == std::size(keys));
  for (size_t i = 0; i < std::size(keys); ++i) {
    CHECK(changes[i].first != kPositionsKey);
    const ChangelogKey decoded = DecodeChangelogKey(changes[i].first);
    CHECK((decoded.kind == ChangelogKey::Kind::kUser));
    CHECK(decoded.user == keys[i]);
  }
  CHECK(changes.back().first == "usual");
}

TEST_CASE("TaskStore: a value in a format that is not known is an error, never a value") {
  Fixture f;
  const EngineWrite write{.key = "a", .value = "\x07raw"};
  REQUIRE(f.engine->Write(std::span(&write, 1), {}).ok());
  CHECK_FALSE(f.store->Get("a").has_value());
  CHECK(f.store->status().code() == Code::kCorruption);
}

TEST_CASE("TaskStore: a write-back brings values and marker in one batch, once per hot key") {
  Fixture f;
  for (int i = 1; i <= 100; ++i) {
    f.store->Put("hot", std::to_string(i));
    f.Commit(100 + i);
  }
  f.store->Remove("gone");
  f.Commit(201);
  CHECK(f.engine->batches == 0);
  REQUIRE(f.store->WriteBack().ok());
  CHECK(f.engine->batches == 1);
  CHECK(f.engine->content().Plain() == decltype(f.engine->content().values){{"hot", "100"}});
  CHECK(f.engine->content().marker == StoreMarker{"ns.job", "topic", 3, 201, 2000});
  CHECK(f.store->dirty_bytes() == 0);
  REQUIRE(f.store->WriteBack().ok());
  CHECK(f.engine->batches == 1);  // nothing to write

  const int gets = f.engine->gets;
  CHECK(f.store->Get("hot") == "100");
  CHECK(f.engine->gets == gets);  // clean values stay as a cache
}

TEST_CASE("TaskStore: a large write-back comes in several batches, the marker only with the last") {
  Fixture f(64 << 20);
  const std::string value(1 << 20, 'v');
  for (int i = 0; i < 20; ++i) f.store->Put("k" + std::to_string(i), value);
  f.Commit(120);
  REQUIRE(f.store->WriteBack().ok());
  CHECK(f.engine->batches == 3);
  CHECK(f.engine->content().Plain().size() == 20);
  CHECK(f.engine->content().marker->position == 120);
}

TEST_CASE("TaskStore: an idle store writes its marker now and then") {
  Fixture f;
  f.store->Committed(std::nullopt, FromUnixMillis(1000 + 59 * 60 * 1000), {});
  REQUIRE(f.store->WriteBack().ok());
  CHECK(f.engine->batches == 0);
  f.store->Committed(std::nullopt, FromUnixMillis(1000 + 60 * 60 * 1000), {});
  REQUIRE(f.store->WriteBack().ok());
  CHECK(f.engine->content().marker ==
        StoreMarker{"ns.job", "topic", 3, 100, 1000 + 60 * 60 * 1000});
}

TEST_CASE("TaskStore: a store that is never written to asks for its marker to be written") {
  Fixture f;
  const auto at = [](Duration d) { return MonotonicTime(d); };
  f.positions = {{"in", "id", 0, 7}};
  f.store->NoteTime(at(std::chrono::minutes(1)));
  f.Commit(105);  // positions alone
  f.store->NoteTime(at(std::chrono::minutes(60)));
  CHECK_FALSE(f.store->unflushed_since().has_value());
  f.store->NoteTime(at(std::chrono::minutes(61)));
  CHECK(f.store->unflushed_since() == at(std::chrono::minutes(1)));
  REQUIRE(f.store->WriteBack().ok());
  CHECK(f.engine->content().marker->position == 105);
  CHECK(f.store->unflushed_since().has_value());  // it is in no file yet
  REQUIRE(f.store->StartFlush().ok());
  CHECK_FALSE(f.store->unflushed_since().has_value());
  // Commits that say nothing new ask for nothing.
  f.store->Committed(std::nullopt, FromUnixMillis(2000), f.positions);
  f.store->NoteTime(at(std::chrono::hours(9)));
  CHECK_FALSE(f.store->unflushed_since().has_value());
}

TEST_CASE(
    "TaskStore: without changelog nothing is sent, and values are written back all the same") {
  Fixture f(1 << 20, /*changelog=*/false);
  f.store->Put("a", "1");
  CHECK(f.store->changed_keys() == 1);
  CHECK(f.Take().empty());
  f.store->Committed(std::nullopt, FromUnixMillis(2000), {});
  REQUIRE(f.store->WriteBack().ok());
  CHECK(f.engine->content().Plain().at("a") == "1");
}

TEST_CASE("TaskStore: knows since when it is dirty") {
  Fixture f;
  const auto at = [](int64_t n) { return MonotonicTime(Duration(n)); };
  CHECK_FALSE(f.store->dirty_since().has_value());
  f.store->NoteTime(at(1));
  f.store->Put("a", "1");
  f.store->NoteTime(at(2));
  f.store->Put("b", "1");
  CHECK(f.store->dirty_since() == at(1));
  f.Commit(102);
  CHECK(f.store->dirty_since() == at(1));
  REQUIRE(f.store->WriteBack().ok());
  CHECK_FALSE(f.store->dirty_since().has_value());
}

TEST_CASE("TaskStore: an engine's error stays and keeps the loop from committing") {
  Fixture f;
  f.engine->failure = Corruption("bad block");
  CHECK_FALSE(f.store->Get("a").has_value());
  f.engine->failure = Status::Ok();
  CHECK(f.store->status().code() == Code::kCorruption);
  CHECK(f.store->status().code() == Code::kCorruption);
  CHECK_FALSE(f.store->Get("a").has_value());
}

TEST_CASE("TaskStore: a failed write-back keeps what is dirty") {
  Fixture f;
  f.store->Put("a", "1");
  f.Commit(101);
  f.engine->failure = ResourceExhausted("disk full");
  CHECK(f.store->WriteBack().code() == Code::kResourceExhausted);
  CHECK(f.store->Get("a") == "1");
  f.engine->failure = Status::Ok();
  REQUIRE(f.store->WriteBack().ok());
  CHECK(f.engine->content().Plain().at("a") == "1");
}

TEST_CASE("TaskStore: iteration merges memory over engine and hides what is removed") {
  Fixture f;
  for (const char* key : {"b", "d", "f"}) f.store->Put(key, "old");
  f.Commit(103);
  REQUIRE(f.store->WriteBack().ok());
  f.store->Put("a", "new");
  f.store->Put("b", "new");
  f.store->Remove("d");
  f.store->Put("e", "new");
  f.store->Remove("z");
  CHECK(f.All() == "a=new b=new e=new f=old ");
  std::string range;
  for (const auto it = f.store->Range("b", "f"); it->Valid(); it->Next()) range += it->key();
  CHECK(range == "be");
  CHECK_FALSE(f.store->Range("x", "y")->Valid());
}

TEST_CASE("TaskStore: writing during an iteration does not break it") {
  Fixture f;
  for (int i = 0; i < 50; ++i) f.store->Put("k" + std::to_string(100 + i), "v");
  f.Commit(150);
  REQUIRE(f.store->WriteBack().ok());
  int visited = 0;
  std::string last;
  for (const auto it = f.store->Range({}, {}); it->Valid(); it->Next()) {
    const std::string key(it->key());
    CHECK(key > last);
    last = key;
    ++visited;
    f.store->Put(key, "changed");
    f.store->Remove("k100");
    f.store->Put("a" + std::to_string(visited), "behind the iterator");
  }
  CHECK(visited == 50);
}

TEST_CASE("TaskStore: at its budget it asks for a write-back; afterwards hot keys stay cached") {
  constexpr int64_t kBudget = 64 << 10;
  Fixture f(kBudget);
  int written = 0;
  while (!f.store->over_budget()) f.store->Put("key" + std::to_string(written++), "value");
  CHECK(written > 100);
  CHECK(f.store->overlay_bytes() <= kBudget);
  f.Commit(100 + written);
  REQUIRE(f.store->WriteBack().ok());
  CHECK_FALSE(f.store->over_budget());

  // Many cold keys pass by; ten hot ones are read again and again.
  for (int i = 0; i < 20000; ++i) {
    (void)f.store->Get("cold" + std::to_string(i));
    (void)f.store->Get("key" + std::to_string(i % 10));
    CHECK(f.store->overlay_bytes() <= kBudget + 1024);
  }
  const int gets = f.engine->gets;
  for (int i = 0; i < 10; ++i) CHECK(f.store->Get("key" + std::to_string(i)) == "value");
  CHECK(f.engine->gets == gets);
}

TEST_CASE("TaskStore: a thousand stores keep to the budget of one") {
  constexpr int64_t kBudget = 4 << 20;
  constexpr int kStores = 1000;
  OverlayBudget budget(kBudget);
  std::vector<MemoryEngine::Disk> disks(kStores);
  std::vector<std::unique_ptr<TaskStore>> stores;
  for (int i = 0; i < kStores; ++i) {
    stores.push_back(std::make_unique<TaskStore>(
        TaskStore::Options{.spec = {.name = "s"}, .budget = &budget},
        std::make_unique<MemoryEngine>(&disks[static_cast<size_t>(i)])));
  }
  // What each holds and has not told yet.
  constexpr int64_t kUntold = kStores * OverlayBudget::kStep;
  const auto commit = [](TaskStore& store) {
    REQUIRE(store.TakeChanges([](auto, auto) { return Status::Ok(); }).ok());
    store.Committed(std::nullopt, WallTime(), {});
  };
  int64_t held_most = 0;
  int write_backs = 0;
  for (int round = 0; round < 100; ++round) {
    for (auto& store : stores) {
      for (int key = 0; key < 8; ++key)
        store->Put("key" + std::to_string(key + 8 * round), std::string(100, 'v'));
      commit(*store);
      if (store->over_budget()) {
        REQUIRE(store->WriteBack().ok());
        ++write_backs;
      }
    }
    int64_t held = 0;
    for (const auto& store : stores) held += store->overlay_bytes();
    held_most = std::max(held_most, held);
  }
  CHECK(held_most <= kBudget + kUntold);
  CHECK(write_backs < 100 * kStores);  // not all of them for the sake of one
  // Those that are not used any more give room to one that is.
  for (auto& store : stores) REQUIRE(store->WriteBack().ok());
  TaskStore& busy = *stores.front();
  MonotonicTime now;
  for (int i = 0; i < 400'000 && busy.overlay_bytes() < kBudget / 2; ++i) {
    (void)busy.Get("cold" + std::to_string(i));
    if (i % 100 == 0) {
      now += std::chrono::milliseconds(20);
      for (auto& store : stores) store->NoteTime(now);
    }
  }
  CHECK(busy.overlay_bytes() >= kBudget / 2);
  CHECK(budget.bytes() <= kBudget + OverlayBudget::kStep);
  stores.clear();
  CHECK(budget.bytes() == 0);
}

TEST_CASE("TaskStore: a value that its changelog would refuse is refused at once, and told") {
  Fixture f(1 << 20, true, 103);  // 3 bytes are ours
  f.store->Put("a", "before");
  f.store->Put("a", std::string(100, 'v'));
  CHECK(f.store->refused());
  CHECK(f.store->Get("a") == "before");
  const Status status = f.store->TakeRefused();
  CHECK(status.code() == Code::kInvalidRecord);
  CAPTURE(status.ToString());
  for (const char* part :
       {"store s", "value of 100 bytes", "key of 1 bytes", "is 100 bytes", "topic topic"})
    CHECK(status.message().find(part) != std::string::npos);
  CHECK(f.store->TakeRefused().ok());
  f.store->Put("a", std::string(99, 'v'));  // with the key exactly as large as it may be
  CHECK_FALSE(f.store->refused());
  CHECK(f.store->status().ok());
}

TEST_CASE("TaskStore: a key that its changelog would refuse is refused in a removal, too") {
  Fixture f(1 << 20, true, 103);
  f.store->Remove(std::string(101, 'k'));
  CHECK(f.store->refused());
  CHECK(f.Take().empty());
}

TEST_CASE("TaskStore: knows what is in no file and in no flush") {
  Fixture f;
  const auto at = [](int64_t n) { return MonotonicTime(Duration(n)); };
  f.store->NoteTime(at(1));
  f.store->Put("a", "1");
  f.Commit(101);
  REQUIRE(f.store->WriteBack().ok());
  CHECK(f.store->unflushed_since() == at(1));
  f.store->NoteTime(at(2));
  f.store->Put("b", "1");
  CHECK(f.store->unflushed_since() == at(1));
  f.Commit(102);
  REQUIRE(f.store->StartFlush().ok());
  CHECK(f.store->unflushed_since() == at(2));
  REQUIRE(f.store->WriteBack().ok());
  REQUIRE(f.store->StartFlush().ok());
  CHECK_FALSE(f.store->unflushed_since().has_value());
}

TEST_CASE("TaskStore: a value of another serde is an error, and never read as this one") {
  Fixture f;
  KeyValueStore<std::string_view, int64_t> counts;
  f.store->Put("a", "abc");
  REQUIRE(counts.Bind(f.store.get()).ok());
  SUBCASE("asked for") { CHECK_FALSE(counts.Get("a").has_value()); }
  SUBCASE("in a range") {
    counts.All([](const std::string&, int64_t) {
      FAIL("there is no value");
      return true;
    });
  }
  CHECK(f.store->status().code() == Code::kCorruption);
  CHECK(f.store->status().message().find("3 bytes is no int64") != std::string::npos);
}

TEST_CASE("TaskStore: a write-back out of turn ends the process, and says of which store") {
  Fixture f;
  f.store->Put("a", "12345678");
  const std::string words = test::LastWordsOf([&] { (void)f.store->WriteBack(); });
  CHECK(words.find("store s, partition 3, at 100, is written back before its values are committed: "
                   "1 changed keys, 0 iterators") != std::string::npos);
  f.Commit(101);
  const auto it = f.store->Range({}, {});
  CHECK(test::LastWordsOf([&] { (void)f.store->WriteBack(); }).find("open iterators") !=
        std::string::npos);
}

}  // namespace
}  // namespace coho
