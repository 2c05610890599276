// kill -9 of a process that writes to a real store. The child is this program again, running the
// case "child" alone; its changelog is a file, which survives it as Kafka would.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/seed.h"
#include "tests/support/temp_directory.h"
#include "worker/store/task_store.h"
#include "worker/store/value_format.h"

namespace coho {
namespace {

namespace fs = std::filesystem;
constexpr const char* kDirectoryVariable = "COHO_CRASH_TEST_DIRECTORY";
constexpr const char* kSeedVariable = "COHO_CRASH_TEST_SEED";

std::unique_ptr<Engine> OpenEngine(EngineFactory& factory) {
  auto engine = factory.Open("s", TaskId(0));
  CAPTURE(engine.status().ToString());
  REQUIRE(engine.ok());
  return std::move(engine).value();
}

std::unique_ptr<EngineFactory> MakeFactory(const fs::path& directory) {
  // Small memtables, so that RocksDB flushes by itself in the middle of things, too.
  auto factory = EngineFactory::Create(
      {.directory = directory.string(), .block_cache_bytes = 1 << 20, .memtable_bytes = 4 << 20});
  REQUIRE(factory.ok());
  return std::move(factory).value();
}

// A line is a record: "<key> <value>", "<key>" alone a tombstone, "." the end of a transaction.
std::vector<std::string> ReadChangelog(const fs::path& directory) {
  std::ifstream file(directory / "changelog");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::map<std::string, std::string> Replay(const std::vector<std::string>& lines, int64_t end) {
  std::map<std::string, std::string> values;
  for (int64_t i = 0; i < end; ++i) {
    std::istringstream line(lines[static_cast<size_t>(i)]);
    std::string key;
    std::string value;
    line >> key >> value;
    if (key == ".") continue;
    if (value.empty()) {
      values.erase(key);
    } else {
      values[key] = value;
    }
  }
  return values;
}

TEST_CASE("child" * doctest::skip()) {
  const char* directory = std::getenv(kDirectoryVariable);
  REQUIRE(directory != nullptr);
  std::mt19937 random(static_cast<unsigned>(std::strtoul(std::getenv(kSeedVariable), nullptr, 10)));
  const auto factory = MakeFactory(directory);
  auto engine = OpenEngine(*factory);
  auto marker = engine->ReadMarker().value().value_or(StoreMarker{"ns.job", "topic", 0, 0, 0});
  TaskStore store({.spec = {.name = "s"}, .marker = marker, .overlay_bytes_max = 256 << 10},
                  std::move(engine));
  std::ofstream changelog(fs::path(directory) / "changelog", std::ios::app);
  auto position = static_cast<int64_t>(ReadChangelog(directory).size());
  for (;;) {
    for (auto n = random() % 200; n > 0; --n) {
      const std::string key = "key" + std::to_string(random() % 5000);
      if (random() % 10 == 0) {
        store.Remove(key);
      } else {
        store.Put(key, "v" + std::to_string(random()) + std::string(random() % 100, 'x'));
      }
    }
    std::string transaction;
    REQUIRE(store
                .TakeChanges([&](std::string_view key, std::optional<std::string_view> value) {
                  StoredValue stored;
                  if (value) REQUIRE(DecodeValue(*value, &stored).ok());
                  transaction +=
                      std::string(key) + (value ? " " : "") + std::string(stored.value) + "\n";
                  ++position;
                  return Status::Ok();
                })
                .ok());
    changelog << transaction << ".\n" << std::flush;
    store.Committed(position++, FromUnixMillis(1), {});
    if (random() % 4 == 0 || store.over_budget()) REQUIRE(store.WriteBack().ok());
    if (random() % 20 == 0) REQUIRE(store.Flush().ok());
  }
}

void RunChildUntilKilled(const fs::path& directory, unsigned seed, size_t kill_at_bytes) {
  const std::string variables[] = {kDirectoryVariable + ("=" + directory.string()),
                                   kSeedVariable + ("=" + std::to_string(seed))};
  const char* environment[] = {variables[0].c_str(), variables[1].c_str(), nullptr};
  const char* arguments[] = {"crash-child", "--test-case=child", "--no-skip", nullptr};
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    execve("/proc/self/exe", const_cast<char**>(arguments), const_cast<char**>(environment));
    _exit(127);
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  std::error_code none_yet;
  for (;;) {
    const auto size = fs::file_size(directory / "changelog", none_yet);
    if (!none_yet && size >= kill_at_bytes) break;
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::yield();
  }
  kill(child, SIGKILL);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
}

TEST_CASE(
    "RocksEngine: after kill -9 the store equals the replay of its changelog up to its marker") {
  const auto seed = static_cast<unsigned>(test::Seed());
  CAPTURE(seed);
  std::mt19937 random(seed);
  const test::TempDirectory directory;
  size_t kill_at = 0;
  int64_t last_position = 0;
  for (int round = 0; round < 6; ++round) {
    CAPTURE(round);
    kill_at += 200'000 + random() % 1'000'000;
    RunChildUntilKilled(directory.path(), seed + static_cast<unsigned>(round), kill_at);
    auto lines = ReadChangelog(directory.path());
    const auto factory = MakeFactory(directory.path());
    const auto engine = OpenEngine(*factory);
    const auto marker = engine->ReadMarker().value();
    const int64_t position = marker ? marker->position : 0;
    REQUIRE(position >= last_position);
    REQUIRE(position <= static_cast<int64_t>(lines.size()));
    std::map<std::string, std::string> found;
    for (const auto it = engine->Range({}, {}); it->Valid(); it->Next())
      found.emplace(it->key(), it->value().substr(kPlainValueHeader.size()));
    // Compared as a whole: a failure of thousands of entries would print nothing readable.
    const bool equal = found == Replay(lines, position);
    REQUIRE(equal);

    // Come home as a restore would, then go on.
    const auto all = Replay(lines, static_cast<int64_t>(lines.size()));
    std::vector<EngineWrite> writes;
    for (const auto& [key, value] : found) {
      if (!all.contains(key)) writes.push_back({.key = key, .remove = true});
    }
    for (const auto& [key, value] : all)
      writes.push_back({.key = key, .value = value, .head = kPlainValueHeader});
    last_position = static_cast<int64_t>(lines.size());
    REQUIRE(engine->Write(writes, {"ns.job", "topic", 0, last_position, 1}).ok());
    REQUIRE(engine->Flush().ok());
  }
  CHECK(last_position > 1000);
}

}  // namespace
}  // namespace coho
