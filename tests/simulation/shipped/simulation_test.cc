// COHO_SIMULATION_SEEDS=n sets how many seeds are run. COHO_SIMULATION_SEED=n replays one, shrinks
// it if it fails, and prints the trace of what is left; with COHO_SIMULATION_MUTANT=name while that
// mutant is switched on (and COHO_SIMULATION_FAULTS=all: not only among the faults that suit it).
// COHO_SIMULATION_FAULTS="late markers,scale": among these alone.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

#include "tests/simulation/shipped/crowd.h"
#include "tests/simulation/shipped/mutant_seeds.h"
#include "tests/simulation/shipped/names.h"

namespace coho::simulation {
namespace {

// When the listed seed does not find a mutant any more.
constexpr uint64_t kMutantSeeds = 2'000;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::string TextFromEnvironment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

// Of the run, with the mutant that it is about.
std::set<FaultKind> FaultsAsked(const std::string& mutant) {
  const std::string text = TextFromEnvironment("COHO_SIMULATION_FAULTS");
  if (text.empty()) return FaultsFor(mutant);
  std::set<FaultKind> asked;
  for (size_t i = 0; i < kFaultKinds; ++i) {
    const auto kind = static_cast<FaultKind>(i);
    if (("," + text + ",").find("," + std::string(NameOf(kind)) + ",") != std::string::npos)
      asked.insert(kind);
  }
  return asked;
}

bool OneSeedOnly() { return std::getenv("COHO_SIMULATION_SEED") != nullptr; }

// The last line.
struct Summary {
  size_t mutants = 0;
  size_t found = 0;
  size_t not_yet = 0;
  uint64_t seeds = 0;
  std::map<std::string, uint64_t> sightings;
};
Summary& TheSummary() {
  static auto* summary = new Summary;
  return *summary;
}
void PrintSummary() {
  const Summary& summary = TheSummary();
  size_t sometimes = 0;
  size_t sighted = 0;
  for (const std::string& name : NamesIn("COHO_SOMETIMES")) {
    if (!OutOfReach(name).empty()) continue;
    ++sometimes;
    const auto found = summary.sightings.find(name);
    if (found != summary.sightings.end() && found->second > 0) ++sighted;
  }
  if (summary.not_yet > 0)
    std::cout << summary.not_yet << " mutants are in no seed's reach yet" << std::endl;
  std::cout << "mutants " << summary.found << " of " << summary.mutants << " found, seeds "
            << summary.seeds << ", sometimes " << sighted << " of " << sometimes << std::endl;
}

void Explain(uint64_t seed, const std::set<FaultKind>& only, const std::string& mutant, bool tell) {
  WorldOptions options{.seed = seed, .only = only, .without = {}};
  const OneResult whole = RunOne(options, mutant);
  if (!whole.violation.empty()) {
    options = Shrink(options, mutant);
    std::cout << "seed " << seed << ": " << whole.violation << "\nfaults that it takes:\n";
    const World world(options);
    for (size_t i = 0; i < world.faults().size(); ++i) {
      const Fault& fault = world.faults()[i];
      if (options.without.contains(i)) continue;
      std::cout << "  " << i << " at " << fault.at / std::chrono::milliseconds(1)
                << " ms: " << NameOf(fault.kind) << " " << fault.which << " for "
                << fault.lasts / std::chrono::milliseconds(1) << " ms\n";
    }
  }
  options.tell = tell;
  const OneResult left = RunOne(options, mutant);
  std::cout << (left.violation.empty() ? "all held" : left.violation) << std::endl;
}

TEST_CASE("simulation: a seed gives the same trace twice") {
  if (OneSeedOnly()) return;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const OneResult once = RunOne({.seed = seed, .only = {}, .without = {}}, "");
    const OneResult twice = RunOne({.seed = seed, .only = {}, .without = {}}, "");
    CHECK_MESSAGE(once.hash == twice.hash, "seed " << seed);
  }
}

TEST_CASE("simulation: shipped code keeps its promises for every seed") {
  const std::string mutant = TextFromEnvironment("COHO_SIMULATION_MUTANT");
  if (OneSeedOnly()) {
    Explain(FromEnvironment("COHO_SIMULATION_SEED", 1), FaultsAsked(mutant), mutant,
            std::getenv("COHO_SIMULATION_QUIET") == nullptr);
    return;
  }
  const auto begin = std::chrono::steady_clock::now();
  const uint64_t seeds = FromEnvironment("COHO_SIMULATION_SEEDS", 20'000);
  const CrowdResult result = RunCrowd({.first = FromEnvironment("COHO_SIMULATION_FIRST", 1),
                                       .seeds = seeds,
                                       .mutant = mutant,
                                       .only = FaultsAsked(mutant),
                                       .all = true});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  TheSummary().seeds = result.seeds;
  TheSummary().sightings = result.sightings;
  std::cout << result.seeds << " seeds in " << took.count() << " s" << std::endl;
  for (const Finding& finding : result.findings)
    std::cout << "seed " << finding.seed << ": " << finding.violation << std::endl;
  if (!result.findings.empty())
    Explain(result.findings.front().seed, FaultsAsked(mutant), mutant, true);
  CHECK(result.findings.empty());
  for (const std::string& name : NamesIn("COHO_SOMETIMES")) {
    const auto found = result.sightings.find(name);
    const uint64_t times = found == result.sightings.end() ? 0 : found->second;
    std::cout << "sometimes: " << name << ": " << times << "\n";
    if (OutOfReach(name).empty()) CHECK_MESSAGE(times > 0, "no seed came by: " << name);
  }
}

TEST_CASE("simulation: every guard that a mutant takes away is missed") {
  std::atexit(PrintSummary);
  if (OneSeedOnly()) return;
  const uint64_t most = FromEnvironment("COHO_SIMULATION_MUTANT_SEEDS", kMutantSeeds);
  const std::map<std::string, MutantSeed> listed = ReadMutantSeeds();
  std::map<std::string, MutantSeed> seeds;
  const std::string only = TextFromEnvironment("COHO_SIMULATION_MUTANT");
  for (const std::string& mutant : NamesIn("COHO_MUTANT")) {
    if (!only.empty() && mutant != only) {
      if (listed.contains(mutant)) seeds[mutant] = listed.at(mutant);
      continue;
    }
    if (const std::string reason = OutOfReach(mutant); only.empty() && !reason.empty()) {
      std::cout << "mutant " << mutant << ": out of reach: " << reason << std::endl;
      ++TheSummary().not_yet;
      continue;
    }
    ++TheSummary().mutants;
    const auto known = listed.find(mutant);
    const auto begin = std::chrono::steady_clock::now();
    const auto found = FindMutant(
        mutant, known == listed.end() ? std::nullopt : std::optional(known->second), most);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    CHECK_MESSAGE(found.has_value(), "mutant " << mutant << " lives");
    if (!found) {
      std::cout << "mutant " << mutant << ": NOT FOUND, " << took.count() << " s" << std::endl;
      continue;
    }
    ++TheSummary().found;
    seeds[mutant] = found->at;
    std::cout << "mutant " << mutant << ": seed " << found->at.seed
              << (found->at.own_faults ? "" : " of all faults") << ": " << found->violation;
    if (!found->known) std::cout << " (after " << found->searched << " seeds)";
    std::cout << std::endl;
  }
  if (std::getenv("COHO_SIMULATION_WRITE_SEEDS") != nullptr) WriteMutantSeeds(seeds);
}

}  // namespace
}  // namespace coho::simulation
