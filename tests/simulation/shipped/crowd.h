// Runs many worlds in processes of their own, as many at a time as there are processors: a killed
// worker of the simulation leaves its memory behind, and a broken invariant ends the process that
// found it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/simulation/shipped/world.h"

namespace coho::simulation {

struct Finding {
  uint64_t seed = 0;
  std::string violation;
};

struct CrowdOptions {
  uint64_t first = 1;
  uint64_t seeds = 1;
  std::string mutant;        // switched on in all of them
  std::set<FaultKind> only;  // WorldOptions::only
  bool all = false;          // goes on after a finding
};

struct CrowdResult {
  uint64_t seeds = 0;
  std::vector<Finding> findings;              // by seed
  std::map<std::string, uint64_t> sightings;  // COHO_SOMETIMES
};

[[nodiscard]] CrowdResult RunCrowd(const CrowdOptions& options);
// One world in a process of its own: violation and hash of the trace.
struct OneResult {
  std::string violation;
  uint64_t hash = 0;
};
[[nodiscard]] OneResult RunOne(const WorldOptions& options, const std::string& mutant);
// The faults that cannot be left out.
[[nodiscard]] WorldOptions Shrink(WorldOptions options, const std::string& mutant);

}  // namespace coho::simulation
