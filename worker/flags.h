// The command line of a worker, with the environment that Kubernetes gives it. Values.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "common/base/ids.h"
#include "common/base/log.h"

namespace coho {

struct WorkerFlags {
  std::string job_file;
  WorkerId worker;
  bool in_process_coordinator = true;
  std::string state_dir;  // empty: ./coho-state/<job>/worker-<id>
  std::string http_host = "127.0.0.1";
  int http_port = 8080;
  std::string kafka_secret_dir;
  std::string bootstrap_servers;  // empty: the job's
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kAuto;
  std::string node;  // empty: the host's name
  std::string zone;
  std::string pod;
  std::string volume;
};

// What to run, or the exit code when that is all there is to do (--help, --version, --list-tasks,
// wrong flags); then it has been printed.
[[nodiscard]] std::variant<WorkerFlags, int> ParseFlags(int argc, char** argv);

[[nodiscard]] std::string WorkerVersion();

}  // namespace coho
