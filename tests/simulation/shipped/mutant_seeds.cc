#include "tests/simulation/shipped/mutant_seeds.h"

#include <fstream>
#include <sstream>

#include "tests/simulation/shipped/crowd.h"
#include "tests/simulation/shipped/names.h"

namespace coho::simulation {
namespace {

constexpr const char* kPath = "tests/simulation/shipped/mutants.list";
constexpr const char* kHead =
    "# Which seed finds which mutant, among the faults that suit it (own) or among all. Written "
    "by\n"
    "# COHO_SIMULATION_WRITE_SEEDS=1 ./hack/test simulation\n";

std::set<FaultKind> Faults(const std::string& mutant, const MutantSeed& at) {
  return at.own_faults ? FaultsFor(mutant) : std::set<FaultKind>();
}

}  // namespace

std::map<std::string, MutantSeed> ReadMutantSeeds() {
  std::map<std::string, MutantSeed> seeds;
  std::ifstream file(kPath);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string name;
    std::string faults;
    MutantSeed seed;
    if (line.starts_with("#") || !(words >> name >> faults >> seed.seed)) continue;
    seed.own_faults = faults == "own";
    seeds[name] = seed;
  }
  return seeds;
}

void WriteMutantSeeds(const std::map<std::string, MutantSeed>& seeds) {
  std::ofstream file(kPath);
  file << kHead;
  for (const auto& [name, at] : seeds)
    file << name << (at.own_faults ? " own " : " all ") << at.seed << "\n";
}

std::optional<MutantFinding> FindMutant(const std::string& mutant, std::optional<MutantSeed> listed,
                                        uint64_t most) {
  MutantFinding found;
  if (listed) {
    const WorldOptions options{
        .seed = listed->seed, .only = Faults(mutant, *listed), .without = {}};
    found.violation = RunOne(options, mutant).violation;
    if (!found.violation.empty() && RunOne(options, "").violation.empty()) {
      found.at = *listed;
      found.known = true;
      return found;
    }
  }
  for (const bool own : {true, false}) {
    const std::set<FaultKind> only = own ? FaultsFor(mutant) : std::set<FaultKind>();
    if (own && only.empty()) continue;
    for (uint64_t first = 1; first <= most;) {
      const CrowdResult result =
          RunCrowd({.first = first, .seeds = most + 1 - first, .mutant = mutant, .only = only});
      found.searched += result.seeds;
      if (result.findings.empty()) break;
      found.at = {.seed = result.findings.front().seed, .own_faults = own};
      found.violation = result.findings.front().violation;
      if (RunOne({.seed = found.at.seed, .only = only, .without = {}}, "").violation.empty())
        return found;
      first = found.at.seed + 1;
    }
  }
  return std::nullopt;
}

}  // namespace coho::simulation
