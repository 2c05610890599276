#include "worker/flags.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "common/contract/exit_codes.h"
#include "common/contract/worker_command.h"
#include "worker/sdk/task.h"

namespace coho {
namespace {

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// "HOST:PORT", ":PORT" for all interfaces.
std::string ParseAddress(const std::string& text, WorkerFlags* flags) {
  const size_t colon = text.rfind(':');
  int port = -1;
  if (colon != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, port);
    if (error != std::errc() || stop != end) port = -1;
  }
  if (port < 0 || port > 65535)
    return "found \"" + text + "\", need HOST:PORT, or :PORT for all addresses";
  flags->http_host = colon == 0 ? "0.0.0.0" : text.substr(0, colon);
  flags->http_port = port;
  return "";
}

}  // namespace

std::string WorkerVersion() { return COHO_VERSION; }

std::variant<WorkerFlags, int> ParseFlags(int argc, char** argv) {
  WorkerFlags flags;
  int worker = 0;
  bool list_tasks = false;
  std::string coordinator = kCoordinatorInProcess;
  std::string address = "127.0.0.1:8080";
  std::string level = "info";
  std::string format = "auto";
  CLI::App app("Runs tasks of a Coho job.", "coho-worker");
  app.footer("Exit codes:\n" + ExitCodesHelp() + "A second signal ends the process at once (143).");
  app.set_version_flag("--version", WorkerVersion());
  app.add_flag("--list-tasks", list_tasks, "Print the names that spec.task.name may have, and end");
  app.add_option(kFlagJob, flags.job_file, "Job file, YAML or JSON")->type_name("FILE");
  app.add_option(kFlagWorkerId, worker, "Number of this worker, 0 to spec.workers.count - 1")
      ->envname(kEnvWorkerId)
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option(
         kFlagCoordinator, coordinator,
         "in-process: decide here which worker runs what; elsewhere: another worker's process "
         "or the operator does")
      ->check(CLI::IsMember({kCoordinatorInProcess, kCoordinatorElsewhere}))
      ->capture_default_str();
  app.add_option(kFlagStateDir, flags.state_dir,
                 "Where stores live (default ./coho-state/<job>/worker-<id>)")
      ->type_name("DIR");
  app.add_option(kFlagHttpAddress, address, "Metrics, health and /v1/tasks; :8080 is all addresses")
      ->type_name("HOST:PORT")
      ->check([&flags](const std::string& text) { return ParseAddress(text, &flags); })
      ->capture_default_str();
  app.add_option(kFlagKafkaSecretDir, flags.kafka_secret_dir,
                 "Directory with a file per secret Kafka property")
      ->type_name("DIR");
  app.add_option("--bootstrap-servers", flags.bootstrap_servers,
                 "Instead of spec.kafka.bootstrapServers")
      ->type_name("HOST:PORT,...");
  app.add_option("--log-level", level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  app.add_option("--log-format", format, "text, json, or auto: text on a terminal")
      ->check(CLI::IsMember({"auto", "text", "json"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitOk : kExitUsage;
  }
  if (list_tasks) {
    for (const std::string& name : RegisteredTasks()) std::printf("%s\n", name.c_str());
    return kExitOk;
  }
  if (flags.job_file.empty()) {
    std::fprintf(
        stderr,
        "--job is required: a job file, YAML or JSON\nRun with --help for more information.\n");
    return kExitUsage;
  }
  flags.worker = WorkerId(worker);
  flags.in_process_coordinator = coordinator == kCoordinatorInProcess;
  flags.log_level = ParseLogLevel(level).value();
  flags.log_format = format == "json"   ? LogFormat::kJson
                     : format == "text" ? LogFormat::kText
                                        : LogFormat::kAuto;
  flags.node = FromEnvironment(kEnvNode);
  flags.zone = FromEnvironment(kEnvZone);
  flags.pod = FromEnvironment(kEnvPod);
  flags.volume = FromEnvironment(kEnvVolume);
  return flags;
}

}  // namespace coho
