#include "tests/simulation/shipped/names.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

namespace coho::simulation {

std::set<std::string> NamesIn(const std::string& macro) {
  std::set<std::string> names;
  const std::string begin = macro + "(\"";
  for (const char* area : {"common", "worker"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(area)) {
      const std::string extension = entry.path().extension();
      if ((extension != ".cc" && extension != ".h") || entry.path().filename() == "mutant.h")
        continue;
      std::ifstream file(entry.path());
      const std::string text((std::istreambuf_iterator<char>(file)),
                             std::istreambuf_iterator<char>());
      for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
        const size_t first = at + begin.size();
        names.insert(text.substr(first, text.find('"', first) - first));
      }
    }
  }
  return names;
}

std::set<FaultKind> FaultsFor(const std::string& mutant) {
  using enum FaultKind;
  static const std::map<std::string, std::set<FaultKind>> kFaults = {
      {"ack-without-proof",
       {kFreezeWorker, kDoubleWorker, kKillWorker, kStopWorker, kCoordinatorAway}},
      {"generation-not-checked", {kFreezeWorker, kScale, kKillWorker}},
      {"goodbye-proves-all", {kFreezeWorker, kDoubleWorker, kStopWorker}},
      {"input-id-not-compared", {kRemakeInput, kKillWorker}},
      {"proof-of-one-id-counts-for-all", {kFreezeWorker, kDoubleWorker, kKillWorker, kStopWorker}},
      {"start-not-durable", {kKillWorker, kCoordinatorAway}},
      {"state-without-positions", {kExpireOffsets, kKillWorker, kWipeDisk}},
      {"time-passes-while-deaf", {kKafkaAway, kKillOperator}},
      {"topic-id-not-compared", {kDeleteChangelog, kRemakeInput, kKillWorker}},
      {"two-coordinator-ids", {kForeignOperator, kFreezeOperator, kKillWorker}},
      {"claim-not-read-again-after-a-fence", {kForeignOperator, kFreezeOperator, kRivalOperator}},
      {"vanished-changelog-made-anew", {kDeleteChangelog, kKillWorker, kKillOperator}},
      {"wipe-when-changelog-vanished", {kDeleteChangelog, kKillWorker, kKillOperator}},
  };
  const auto found = kFaults.find(mutant);
  return found == kFaults.end() ? std::set<FaultKind>() : found->second;
}

std::string OutOfReach(const std::string& name) {
  static const std::map<std::string, std::string> kReasons = {};
  const auto found = kReasons.find(name);
  return found == kReasons.end() ? "" : found->second;
}

}  // namespace coho::simulation
