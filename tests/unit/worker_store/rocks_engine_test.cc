#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/dies.h"
#include "tests/support/temp_directory.h"
#include "worker/store/engine.h"

namespace coho {
namespace {

namespace fs = std::filesystem;
using test::TempDirectory;

const StoreMarker kMarker{"ns.job", "topic", 2, 42, 1000};

std::unique_ptr<EngineFactory> MakeFactory(const fs::path& directory) {
  auto factory = EngineFactory::Create(
      {.directory = directory.string(), .block_cache_bytes = 4 << 20, .memtable_bytes = 8 << 20});
  REQUIRE(factory.ok());
  return std::move(factory).value();
}

std::unique_ptr<Engine> Open(EngineFactory& factory, std::string_view store = "s",
                             TaskId task = TaskId(2)) {
  auto engine = factory.Open(store, task);
  CAPTURE(engine.status().ToString());
  REQUIRE(engine.ok());
  return std::move(engine).value();
}

std::string Read(Engine& engine, std::string_view key) {
  std::string value;
  const auto found = engine.Get(key, &value);
  REQUIRE(found.ok());
  return *found ? value : "(none)";
}

std::vector<fs::path> FilesWith(const fs::path& directory, const std::string& part) {
  std::vector<fs::path> found;
  for (const auto& file : fs::directory_iterator(directory)) {
    if (file.path().filename().string().find(part) != std::string::npos)
      found.push_back(file.path());
  }
  return found;
}

// A closed store whose values need several blocks.
fs::path MakeStore(const fs::path& directory) {
  const auto factory = MakeFactory(directory);
  const auto engine = Open(*factory);
  std::vector<std::pair<std::string, std::string>> entries;
  for (int i = 0; i < 2000; ++i) {
    std::string noise;
    for (int j = 0; j < 20; ++j) noise += std::to_string(i * 7919 + j * 104729);
    entries.emplace_back("key" + std::to_string(i), noise);
  }
  std::vector<EngineWrite> writes;
  for (const auto& [key, value] : entries) writes.push_back({.key = key, .value = value});
  REQUIRE(engine->Write(writes, kMarker).ok());
  REQUIRE(engine->Flush().ok());
  return directory / "stores" / "s" / "2";
}

TEST_CASE("RocksEngine: keeps values and marker over a reopening") {
  const TempDirectory directory;
  {
    const auto factory = MakeFactory(directory.path());
    const auto engine = Open(*factory);
    CHECK_FALSE(engine->ReadMarker().value().has_value());
    const EngineWrite writes[] = {
        {.key = "a", .value = "1"}, {.key = "b", .value = "2"}, {.key = "", .value = "empty key"}};
    REQUIRE(engine->Write(writes, kMarker).ok());
    const EngineWrite more[] = {{.key = "a", .remove = true}};
    REQUIRE(engine->Write(more, kMarker).ok());
    REQUIRE(engine->Flush().ok());
  }
  const auto factory = MakeFactory(directory.path());
  const auto engine = Open(*factory);
  CHECK(engine->ReadMarker().value() == kMarker);
  CHECK(Read(*engine, "a") == "(none)");
  CHECK(Read(*engine, "b") == "2");
  CHECK(Read(*engine, "") == "empty key");
}

TEST_CASE(
    "RocksEngine: a flush that was started is done at some time, and survives like any other") {
  const TempDirectory directory;
  const auto factory = MakeFactory(directory.path());
  const auto engine = Open(*factory);
  CHECK(engine->FlushDone());
  for (int i = 0; i < 3; ++i) {
    const std::string value = std::to_string(i);
    const EngineWrite write{.key = "a", .value = value};
    REQUIRE(engine->Write(std::span(&write, 1), kMarker).ok());
    REQUIRE(engine->StartFlush().ok());
    while (!engine->FlushDone()) std::this_thread::yield();
    CHECK(FilesWith(directory.path() / "stores" / "s" / "2", ".sst").size() >= 1);
  }
  // Nothing to flush is flushed at once.
  REQUIRE(engine->StartFlush().ok());
  CHECK(engine->FlushDone());
}

TEST_CASE("RocksEngine: iterators see neither the marker nor what is written later") {
  const TempDirectory directory;
  const auto factory = MakeFactory(directory.path());
  const auto engine = Open(*factory);
  const EngineWrite writes[] = {
      {.key = "\xff", .value = "last"}, {.key = "b", .value = "2"}, {.key = "m", .value = "mine"}};
  REQUIRE(engine->Write(writes, kMarker).ok());
  const auto all = engine->Range({}, {});
  const auto some = engine->Range("b", "m");
  const EngineWrite later[] = {{.key = "c", .value = "3"}};
  REQUIRE(engine->Write(later, kMarker).ok());
  std::string keys;
  for (; all->Valid(); all->Next())
    keys += std::string(all->key()) + "=" + std::string(all->value()) + " ";
  CHECK(keys == "b=2 m=mine \xff=last ");
  CHECK(all->status().ok());
  REQUIRE(some->Valid());
  CHECK(some->key() == "b");
  some->Next();
  CHECK_FALSE(some->Valid());
  CHECK(engine->ReadMarker().value() == kMarker);
}

TEST_CASE("RocksEngine: corruption is noticed, and gone after a wipe") {
  const TempDirectory directory;
  const fs::path store = MakeStore(directory.path());
  SUBCASE("CURRENT is garbage") { std::ofstream(store / "CURRENT") << "garbage"; }
  SUBCASE("CURRENT names a file that is missing") {
    std::ofstream(store / "CURRENT") << "MANIFEST-999999\n";
  }
  SUBCASE("a table is missing") {
    for (const fs::path& table : FilesWith(store, ".sst")) fs::remove(table);
  }
  SUBCASE("a table is cut off") {
    for (const fs::path& table : FilesWith(store, ".sst"))
      fs::resize_file(table, fs::file_size(table) / 2);
  }
  SUBCASE("the list of files is cut off") {
    for (const fs::path& manifest : FilesWith(store, "MANIFEST")) fs::resize_file(manifest, 10);
  }
  const auto factory = MakeFactory(directory.path());
  const auto refused = factory->Open("s", TaskId(2));
  CAPTURE(refused.status().ToString());
  REQUIRE(refused.status().code() == Code::kCorruption);
  REQUIRE(factory->Wipe("s", TaskId(2)).ok());
  const auto engine = Open(*factory);
  CHECK_FALSE(engine->ReadMarker().value().has_value());
  CHECK(Read(*engine, "key7") == "(none)");
}

TEST_CASE("RocksEngine: corruption found while reading is remembered for the next start") {
  const TempDirectory directory;
  const fs::path store = MakeStore(directory.path());
  for (const fs::path& table : FilesWith(store, ".sst")) {
    std::fstream file(table, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(100);
    file << "rotten bits";
  }
  {
    const auto factory = MakeFactory(directory.path());
    const auto engine = Open(*factory);
    std::string value;
    Code code = Code::kOk;
    for (int i = 0; i < 2000 && code == Code::kOk; ++i) {
      code = engine->Get("key" + std::to_string(i), &value).status().code();
    }
    CHECK(code == Code::kCorruption);
  }
  const auto factory = MakeFactory(directory.path());
  CHECK(factory->Open("s", TaskId(2)).status().code() == Code::kCorruption);
  REQUIRE(factory->Wipe("s", TaskId(2)).ok());
  CHECK(factory->Open("s", TaskId(2)).ok());
}

TEST_CASE("EngineFactory: what is open here cannot be opened twice, and may be soon") {
  TempDirectory directory;
  const auto factory = MakeFactory(directory.path());
  auto engine = Open(*factory);
  REQUIRE(engine->Write({}, kMarker).ok());
  CHECK(factory->Open("s", TaskId(2)).status().code() == Code::kUnavailable);
  std::thread closing([&] { engine.reset(); });
  // Whatever it meets, it never fails for good.
  auto again = factory->Open("s", TaskId(2));
  for (; !again.ok(); again = factory->Open("s", TaskId(2)))
    REQUIRE(again.status().code() == Code::kUnavailable);
  closing.join();
  CHECK((*again)->ReadMarker().value() == kMarker);
}

TEST_CASE("EngineFactory: lists what lies on disk, open or not") {
  const TempDirectory directory;
  MakeStore(directory.path());
  fs::create_directories(directory.path() / "stores" / "s" / ".wiped-9");
  fs::create_directories(directory.path() / "stores" / "s" / "lost+found");
  const auto factory = MakeFactory(directory.path());
  CHECK_FALSE(fs::exists(directory.path() / "stores" / "s" / ".wiped-9"));
  const auto other = Open(*factory, "t", TaskId(5));
  auto listed = factory->List();
  REQUIRE(listed.size() == 2);
  CHECK(listed[0].store == "s");
  CHECK(listed[0].task == TaskId(2));
  CHECK(listed[0].bytes > 100'000);
  CHECK(listed[1].store == "t");
  CHECK(listed[1].task == TaskId(5));

  const auto open = Open(*factory);
  CHECK(open->SizeBytes() > 100'000);
  REQUIRE(factory->List().size() == 2);
  CHECK(factory->List()[0].bytes > 100'000);
}

TEST_CASE("EngineFactory: says how far a closed store is without opening it") {
  const TempDirectory directory;
  const fs::path database = MakeStore(directory.path());
  // As an earlier process left it.
  auto factory = MakeFactory(directory.path());
  REQUIRE(factory->List().size() == 1);
  CHECK(factory->List()[0].position == 42);
  CHECK(factory->List()[0].marker_time_ms == 1000);
  {
    const auto engine = Open(*factory);
    CHECK(factory->List()[0].position == 0);  // it moves
    StoreMarker later = kMarker;
    later.position = 50;
    const EngineWrite write{.key = "k", .value = "v"};
    REQUIRE(engine->Write({&write, 1}, later).ok());
  }
  CHECK(factory->List()[0].position == 50);

  SUBCASE("a process that was killed while it was open leaves nothing that is old") {
    const auto engine = Open(*factory);
    CHECK_FALSE(fs::exists(database / "MARKER"));
  }
  SUBCASE("what cannot be read is not known") {
    std::ofstream(database / "MARKER", std::ios::trunc) << "no marker";
    factory = MakeFactory(directory.path());
    CHECK(factory->List()[0].position == 0);
    CHECK(Open(*factory)->ReadMarker().value()->position == 50);
  }
  SUBCASE("a wiped one is gone with it") {
    REQUIRE(factory->Wipe("s", TaskId(2)).ok());
    CHECK(factory->List().empty());
    CHECK_FALSE(fs::exists(database / "MARKER"));
  }
}

TEST_CASE("EngineFactory: an open store is not wiped from under who has it") {
  const TempDirectory directory;
  const auto factory = MakeFactory(directory.path());
  const auto open = Open(*factory);
  const std::string words = test::LastWordsOf([&] { (void)factory->Wipe("s", TaskId(2)); });
  CHECK(words.find("store s, task 2 is wiped while it is open") != std::string::npos);
}

TEST_CASE("EngineFactory: wiping what does not exist is no error") {
  const TempDirectory directory;
  const auto factory = MakeFactory(directory.path());
  CHECK(factory->Wipe("s", TaskId(1)).ok());
  CHECK(factory->List().empty());
}

TEST_CASE("EngineFactory: a directory that cannot be written is refused with its name") {
  const TempDirectory directory;
  const fs::path file = directory.path() / "file";
  std::ofstream(file) << "not a directory";
  const auto refused = EngineFactory::Create({.directory = (file / "state").string()});
  REQUIRE(refused.status().code() == Code::kInvalidArgument);
  CAPTURE(refused.status().message());
  CHECK(refused.status().message().find((file / "state").string()) != std::string::npos);
  CHECK(refused.status().message().find("cannot be written") != std::string::npos);
}

}  // namespace
}  // namespace coho
