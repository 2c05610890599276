#include "operator/options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <utility>

namespace coho {

Status ParseListenAddress(const std::string& text, std::string* host, int* port) {
  const size_t colon = text.rfind(':');
  const Status bad = InvalidArgument(
      "found \"" + text + "\", need HOST:PORT or :PORT with a port from 0 (any free one) to 65535");
  if (colon == std::string::npos) return bad;
  std::string name = text.substr(0, colon);
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  const char* end = text.data() + text.size();
  int number = -1;
  const auto [parsed, error] = std::from_chars(text.data() + colon + 1, end, number);
  if (error != std::errc() || parsed != end || number < 0 || number > 65535) return bad;
  *host = name.empty() ? "0.0.0.0" : name;
  *port = number;
  return Status::Ok();
}

namespace {

// What is wrong with it; empty: nothing.
std::string CheckInstallationId(const std::string& id) {
  constexpr char kAllowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
  if (!id.empty() && id.size() <= 128 && id.find_first_not_of(kAllowed) == std::string::npos) {
    return {};
  }
  return "found \"" + id + "\", need 1 to 128 letters, digits, dots and dashes";
}

}  // namespace

ParsedOptions ParseOptions(int argc, const char* const* argv) {
  OperatorOptions options;
  std::string metrics_address = ":8080";
  std::string log_level = "info";
  std::string log_format = "auto";

  CLI::App app("Runs StreamJobs: keeps their workers and assigns their tasks.", "coho-operator");
  app.add_option("--kubeconfig", options.kubeconfig,
                 "File with the cluster's address and credentials (default: in a pod its service "
                 "account, else "
                 "$KUBECONFIG or ~/.kube/config)");
  app.add_option("--context", options.context,
                 "Context of the kubeconfig (default: its current one)");
  app.add_option("--namespace", options.ns,
                 "Watch StreamJobs of this namespace only (default: all)");
  app.add_flag("--leader-elect,!--no-leader-elect", options.leader_elect,
               "Take a Lease before acting, so that several operators may run (default: yes)");
  app.add_option("--leader-election-namespace", options.lease_namespace,
                 "Namespace of the Lease (default: the operator's own)");
  app.add_option("--lease-name", options.lease_name, "Name of the Lease")->capture_default_str();
  app.add_option("--metrics-address", metrics_address,
                 "Where /metrics, /livez and /readyz are served")
      ->capture_default_str();
  app.add_option("--log-level", log_level, "debug, info, warn or error")->capture_default_str();
  app.add_option("--log-format", log_format, "json, text, or auto: text on a terminal")
      ->check(CLI::IsMember({"auto", "json", "text"}))
      ->capture_default_str();
  app.add_option(
         "--installation-id", options.installation_id,
         "Names this installation in the claims with which it marks its jobs' topics in Kafka; "
         "letters, digits, dots and dashes")
      ->capture_default_str();
  app.add_option("--worker-image-pull-policy", options.image_pull_policy,
                 "imagePullPolicy of worker pods")
      ->check(CLI::IsMember({"Always", "IfNotPresent", "Never"}))
      ->capture_default_str();
  app.get_option("--metrics-address")->check([&options](const std::string& text) {
    return ParseListenAddress(text, &options.metrics_host, &options.metrics_port).message();
  });
  app.get_option("--log-level")->check([&options](const std::string& text) {
    const Result<LogLevel> level = ParseLogLevel(text);
    if (level.ok()) options.log_level = *level;
    return level.status().message();
  });
  app.get_option("--installation-id")->check(CheckInstallationId);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return {.options = std::nullopt, .exit_code = app.exit(e)};
  }
  options.log_format = log_format == "json"   ? LogFormat::kJson
                       : log_format == "text" ? LogFormat::kText
                                              : LogFormat::kAuto;
  return {.options = std::move(options), .exit_code = 0};
}

}  // namespace coho
