#include "common/contract/exit_codes.h"

#include <algorithm>
#include <array>

namespace coho {
namespace {

constexpr std::array<ExitMeaning, 11> kMeanings = {{
    {kExitOk, "stopped by SIGTERM or SIGINT, everything committed", "ended"},
    {kExitInternal, "a defect of Coho", "stopped because of a defect in Coho"},
    {kExitUsage, "wrong flags",
     "was started with wrong flags; operator and worker image may be of different versions"},
    {kExitJobFile, "broken job file, unknown task, or a job that cannot run", "refused its job"},
    {kExitKafkaUnavailable, "Kafka cannot be reached, or a topic is missing",
     "could not reach Kafka"},
    {kExitTaskFailed, "user code failed", "stopped because its task failed"},
    {kExitStateDirectory, "the state directory cannot be written",
     "cannot write its state directory"},
    {kExitStore, "the state directory's disk fails", "cannot read or write its disk"},
    {kExitStateDirectoryLocked, "another process uses the state directory",
     "found its state directory in use by another process"},
    {kExitStateRefused, "state and topics do not belong together; nothing was touched",
     "found state that does not fit its topics, and left it as it is"},
    {kExitKafkaCredentials, "Kafka refuses the credentials or the rights",
     "was refused by Kafka: check the credentials in spec.kafka.secretRef"},
}};

}  // namespace

std::span<const ExitMeaning> ExitMeanings() { return kMeanings; }

const ExitMeaning* FindExitMeaning(int32_t code) {
  const auto found = std::find_if(kMeanings.begin(), kMeanings.end(),
                                  [&](const ExitMeaning& meaning) { return meaning.code == code; });
  return found == kMeanings.end() ? nullptr : &*found;
}

std::string ExitCodesHelp() {
  std::string text;
  for (const ExitMeaning& meaning : kMeanings) {
    const std::string number = std::to_string(meaning.code);
    text += std::string(4 - number.size(), ' ') + number + "  " + std::string(meaning.cause) + "\n";
  }
  return text;
}

}  // namespace coho
