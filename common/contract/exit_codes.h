// Exit codes of a worker, by the numbers of sysexits(3). Each non-zero exit is preceded by one line
// that says why. The table is the one place that says what they mean: --help, status, events and
// docs/worker.md take it from here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace coho {

enum ExitCode : int {
  kExitOk = 0,
  kExitInternal = 1,
  kExitUsage = 64,
  kExitJobFile = 65,
  kExitKafkaUnavailable = 69,
  kExitTaskFailed = 70,
  kExitStateDirectory = 73,
  kExitStore = 74,
  kExitStateDirectoryLocked = 75,
  kExitStateRefused = 76,
  kExitKafkaCredentials = 77,
};

struct ExitMeaning {
  ExitCode code;
  // As in --help and documents: "broken job file or unknown task".
  std::string_view cause;
  // What a worker did, as in "worker 1 (pod ...) refused its job".
  std::string_view sentence;
};

// In ascending order of the codes.
[[nodiscard]] std::span<const ExitMeaning> ExitMeanings();
// nullptr: no code of ours.
[[nodiscard]] const ExitMeaning* FindExitMeaning(int32_t code);
// A line per code, for --help.
[[nodiscard]] std::string ExitCodesHelp();

}  // namespace coho
