// The mutants and sightings that the shipped sources name (common/base/mutant.h), found by reading
// the sources: one that is added is asked for at once.
#pragma once

#include <set>
#include <string>

#include "tests/simulation/shipped/world.h"

namespace coho::simulation {

[[nodiscard]] std::set<std::string> NamesIn(const std::string& macro);
// Faults among which a mutant shows soonest; empty: any.
[[nodiscard]] std::set<FaultKind> FaultsFor(const std::string& mutant);
// Why a mutant or sighting is out of the simulation's reach; empty: it is not.
[[nodiscard]] std::string OutOfReach(const std::string& name);

}  // namespace coho::simulation
