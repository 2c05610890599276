#include "worker/state_directory.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "tests/support/temp_directory.h"

namespace coho {
namespace {

namespace fs = std::filesystem;
using test::TempDirectory;

std::string IdOf(const fs::path& path) {
  const auto directory = StateDirectory::Open(path.string());
  REQUIRE(directory.ok());
  return (*directory)->disk_id();
}

TEST_CASE("StateDirectory: its id stays with what is in it, wherever that goes") {
  const TempDirectory temp;
  const fs::path state = temp.path() / "state";
  const std::string id = IdOf(state);
  CHECK(id.size() == 36);
  CHECK(IdOf(state) == id);
  fs::rename(state, temp.path() / "elsewhere");
  CHECK(IdOf(temp.path() / "elsewhere") == id);
  // What is there now is another one.
  CHECK(IdOf(state) != id);
}

TEST_CASE("StateDirectory: a wiped one has another id") {
  const TempDirectory temp;
  const fs::path state = temp.path() / "state";
  std::set<std::string> seen;
  for (int i = 0; i < 4; ++i) {
    CHECK(seen.insert(IdOf(state)).second);
    for (const auto& entry : fs::directory_iterator(state)) fs::remove_all(entry.path());
  }
}

TEST_CASE("StateDirectory: what is no id is not taken for one, and is replaced for good") {
  const TempDirectory temp;
  for (const char* broken : {"", "\n", "0123", "this is thirty-six characters long!!"}) {
    CAPTURE(broken);
    std::ofstream(temp.path() / "disk-id", std::ios::trunc) << broken;
    const std::string id = IdOf(temp.path());
    CHECK(id.size() == 36);
    CHECK(id.find_first_not_of("0123456789abcdef-") == std::string::npos);
    CHECK(IdOf(temp.path()) == id);
  }
}

TEST_CASE("StateDirectory: what a crash left of writing the id does no harm") {
  const TempDirectory temp;
  std::ofstream(temp.path() / "disk-id.new") << "0123";
  const std::string id = IdOf(temp.path());
  CHECK(IdOf(temp.path()) == id);
}

TEST_CASE("StateDirectory: only one process has it") {
  const TempDirectory temp;
  const auto first = StateDirectory::Open(temp.path().string());
  REQUIRE(first.ok());
  const auto second = StateDirectory::Open(temp.path().string());
  CHECK(second.status().code() == Code::kConflict);
}

}  // namespace
}  // namespace coho
