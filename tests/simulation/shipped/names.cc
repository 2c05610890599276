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
      {"ack-without-proof", {kLateTwin, kFreezeWorker}},
      {"adopted-without-fence", {kNewLife, kLateTwin, kFreezeWorker}},
      {"only-wanted-workers-fenced", {kNewLife, kLateTwin, kScale}},
      {"unclaimed-topic-is-free", {kRemakeCoordinatorTopic, kRivalInstallation}},
      {"later-records-not-read", {kCompact, kRivalInstallation, kThrottleOperator, kKillOperator}},
      {"claim-not-read-again-after-a-fence", {kForeignOperator, kFreezeOperator, kRivalOperator}},
      {"fenced-loop-takes-grants", {kDoubleWorker, kScale, kCutWorker}},
      {"named-without-having-read", {kRestartStorm, kCutWorker, kFreezeWorker}},
      {"bad-edit-stops-coordination", {kBadEdit, kKillWorker, kScale}},
      {"first-one-back-gets-all", {kPowerCut}},
      {"foreign-ids-recorded", {kStrangeHeartbeat, kScale, kKillWorker}},
      {"goodbye-proves-all", {kUnheardTwin}},
      {"heard-before-read", {kThrottleOperator}},
      {"older-incarnation-speaks", {kFreezeWorker, kDoubleWorker}},
      {"compacted-claims-forgotten", {kDoubleWorker, kForeignOperator, kCompact}},
      {"session-clock-runs-while-deaf", {kKafkaAway, kFreezeOperator, kCutOperator}},
      {"unknown-cluster-is-another", {kKillOperator}},
      {"input-id-not-compared", {kRemakeInput, kKillWorker}},
      {"input-ids-not-asked", {kRemakeInput, kKillWorker}},
      {"input-ids-of-long-ago", {kRemakeInput, kFreezeWorker}},
      {"lease-not-asked", {kMuteWorker, kFreezeWorker, kKillWorker}},
      {"known-generation-kept-at-rejoin", {kLongFreeze}},
      {"doubtful-write-taken-for-lost", {kCutWrite}},
      {"doubtful-write-taken-for-written", {kCutWrite}},
      {"lease-epoch-not-compared", {kHungTask}},
      {"lease-not-waited-for", {kScale, kFreezeWorker}},
      {"model-without-generation", {kLateInput}},
      {"resume-without-reading", {kCutWrite}},
      {"old-fold-kept-at-rejoin", {kLongFreeze}},
      {"positions-before-changelog", {kLeaderAway, kKillWorker, kKillAll}},
      {"proof-of-one-id-counts-for-all", {kHalfTwin}},
      {"prove-without-commit", {kLateTwin, kFreezeWorker}},
      {"stable-end-taken-for-the-end", {kLateMarkers}},
      {"start-not-durable", {kKillWorker, kCoordinatorAway}},
      {"state-without-positions", {kLoseRecords}},
      {"unreadable-record-skipped", {kSpoilRecord, kScale, kKillWorker}},
      {"two-coordinator-ids", {kForeignOperator, kFreezeOperator, kKillWorker}},
      {"vanished-changelog-made-anew", {kDeleteChangelog, kKillWorker, kKillOperator}},
      {"wipe-when-changelog-vanished", {kLoseEnds}},
  };
  const auto found = kFaults.find(mutant);
  return found == kFaults.end() ? std::set<FaultKind>() : found->second;
}

std::string OutOfReach(const std::string& name) {
  // Never destroyed: the last line of a run is printed when statics are gone.
  static const auto& kReasons = *new const std::map<std::string, std::string>{
      {"topic-id-not-compared",
       "the coordinator refuses a changelog that was made anew before a worker restores from it "
       "(vanished-changelog-made-anew); tests/unit/worker_restore/plan_test"},
      {"no positions near the end of their topic",
       "it takes 32 aborts of one task in a row; tests/unit/worker_restore"},
  };
  // Not done: no seed that was tried finds them, nor is it shown that none could.
  static const auto& kNotYet = *new const std::set<std::string>{
      "a worker outlived its coordinator topic", "compacted-claims-forgotten"};
  if (kNotYet.contains(name)) return "no world leads there yet";
  const auto found = kReasons.find(name);
  return found == kReasons.end() ? "" : found->second;
}

}  // namespace coho::simulation
