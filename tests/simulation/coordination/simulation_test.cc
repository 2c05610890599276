// COHO_SIMULATION_SEED=n replays one seed and prints its trace; COHO_SIMULATION_SEEDS=n sets how many are run.
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
  const uint64_t count = one == nullptr ? FromEnvironment("COHO_SIMULATION_SEEDS", 2000) : 1;
  int64_t generations = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    World world(seed, Bug::kNone);
    world.tell = one != nullptr;
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
    const char* shows;
  };
  const char* kTwoOwners = "can be written by";
  const Row rows[] = {
      {Bug::kAckBeforeClose, "worker acknowledges before it closes", kTwoOwners},
      {Bug::kAckUnverified, "worker obeys without knowing whether it is fenced", kTwoOwners},
      {Bug::kReadBeforeInit, "worker reads before it initialises", kTwoOwners},
      {Bug::kIgnoresForeignIds, "worker leaves an older process's other ids unfenced", kTwoOwners},
      {Bug::kUsesUnrecordedIds, "worker uses ids that are not recorded", kTwoOwners},
      {Bug::kFenceBeforeCommit, "driver fences before the revocation is committed", kTwoOwners},
      {Bug::kFenceSkipped, "driver does not fence", kTwoOwners},
      {Bug::kDriverReadsBeforeInit, "driver reads before it fences its predecessor",
       "is followed by"},
  };
  for (const Row& row : rows) {
    std::string violation;
    uint64_t seed = 0;
    bool found = false;
    while (!found && seed < 10000) {
      violation = RunSeed(++seed, row.bug);
      found = violation.find(row.shows) != std::string::npos;
    }
    CHECK_MESSAGE(found, std::string(row.name) << ": not found in " << seed << " seeds");
    MESSAGE(std::string(row.name) << ": seed " << seed << ": " << violation);
  }
}

}  // namespace
}  // namespace coho::simulation
