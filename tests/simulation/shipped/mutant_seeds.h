// Which seed finds which mutant: a list in the tree, so that a run of the tests need not search
// again. COHO_SIMULATION_WRITE_SEEDS=1 writes it anew, searching for what its seeds do not find any
// more.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "tests/simulation/shipped/world.h"

namespace coho::simulation {

struct MutantSeed {
  uint64_t seed = 0;
  bool own_faults = true;  // among FaultsFor(mutant); false: among all
};

[[nodiscard]] std::map<std::string, MutantSeed> ReadMutantSeeds();
void WriteMutantSeeds(const std::map<std::string, MutantSeed>& seeds);

struct MutantFinding {
  MutantSeed at;
  std::string violation;
  bool known = false;  // by the list
  uint64_t searched = 0;
};
// The listed seed, then up to `most` others among its own faults and as many among all. A mutant is
// found where it makes the difference: without it the world holds.
[[nodiscard]] std::optional<MutantFinding> FindMutant(const std::string& mutant,
                                                      std::optional<MutantSeed> listed,
                                                      uint64_t most);

}  // namespace coho::simulation
