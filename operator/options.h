// The operator's command line. Values.
#pragma once

#include <optional>
#include <string>

#include "common/base/log.h"
#include "common/base/status.h"

namespace coho {

struct OperatorOptions {
  std::string
      kubeconfig;  // empty: the pod's service account, or the usual places outside of a cluster
  std::string context;
  std::string ns;  // the only one that is watched; empty: all
  bool leader_elect = true;
  std::string lease_namespace;  // empty: the pod's or the context's own, else default
  std::string lease_name = "coho-operator";
  std::string metrics_host = "0.0.0.0";
  int metrics_port = 8080;
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kAuto;
  std::string installation_id = "default";
  std::string image_pull_policy = "IfNotPresent";  // of workers
};

// The options, or the exit code when there is nothing more to do (help was printed, or what is
// wrong with the command line).
struct ParsedOptions {
  std::optional<OperatorOptions> options;
  int exit_code = 0;
};
[[nodiscard]] ParsedOptions ParseOptions(int argc, const char* const* argv);

// ":8080" or "127.0.0.1:8080" or "[::1]:8080".
[[nodiscard]] Status ParseListenAddress(const std::string& text, std::string* host, int* port);

}  // namespace coho
