// COHO_SIMULATION_SEED=n replays one seed; COHO_SIMULATION_SEEDS=n sets how many are run.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "tests/simulation/coordination/world.h"

namespace coho::simulation {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::string RunSeed(uint64_t seed, Bug bug) { return World(seed, bug).Run(); }

TEST_CASE("coordination: every invariant holds for every seed, and everything comes to rest") {
  const char* one = std::getenv("COHO_SIMULATION_SEED");
  const uint64_t first = one == nullptr ? 1 : FromEnvironment("COHO_SIMULATION_SEED", 1);
  const uint64_t count = one == nullptr ? FromEnvironment("COHO_SIMULATION_SEEDS", 3000) : 1;
  int64_t generations = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    World world(seed, Bug::kNone);
    const std::string violation = world.Run();
    generations += world.generations();
    INFO("replay with COHO_SIMULATION_SEED=" << seed);
    REQUIRE_MESSAGE(violation.empty(), "seed " << seed << ": " << violation);
  }
  MESSAGE(count << " seeds, " << generations << " generations");
}

TEST_CASE("coordination: a seed gives the same trace twice") {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    World once(seed, Bug::kNone);
    World twice(seed, Bug::kNone);
    CHECK(once.Run() == twice.Run());
    CHECK_MESSAGE(once.trace_hash() == twice.trace_hash(), "seed " << seed);
  }
}

TEST_CASE("coordination: the simulator finds each planted bug") {
  struct Row {
    Bug bug;
    const char* name;
  };
  const Row rows[] = {
      {Bug::kAckBeforeClose, "worker acknowledges before it closes"},
      {Bug::kAckUnverified, "worker obeys without knowing whether it is fenced"},
      {Bug::kReadBeforeInit, "worker reads before it initialises"},
      {Bug::kIgnoresForeignIds, "worker leaves an older process's other ids unfenced"},
      {Bug::kUsesUnrecordedIds, "worker uses ids that are not recorded"},
      {Bug::kFenceBeforeCommit, "driver fences before the revocation is committed"},
      {Bug::kFenceSkipped, "driver does not fence"},
      {Bug::kDriverReadsBeforeInit, "driver reads before it fences its predecessor"},
  };
  for (const Row& row : rows) {
    std::string violation;
    uint64_t seed = 0;
    while (violation.empty() && seed < 5000) violation = RunSeed(++seed, row.bug);
    CHECK_MESSAGE(!violation.empty(), std::string(row.name) << ": not found in " << seed << " seeds");
    MESSAGE(std::string(row.name) << ": seed " << seed << ": " << violation);
  }
}

}  // namespace
}  // namespace coho::simulation
