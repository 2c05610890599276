// coho-operator: see --help. Exit codes: 0 ended by SIGTERM or SIGINT; 1 cannot start, or
// leadership was lost; others: the command line is wrong.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "common/base/log.h"
#include "operator/operator.h"
#include "operator/options.h"

namespace {

// Without the destructors of what other threads may still use.
[[noreturn]] void End(coho::Operator& self, int exit_code) {
  (void)self.Stop();
  std::fflush(nullptr);
  std::_Exit(exit_code);
}

int Run(const coho::OperatorOptions& options) {
  coho::Result<std::unique_ptr<coho::Operator>> started = coho::Operator::Start(options);
  if (!started.ok()) {
    coho::LogError("operator cannot start", {{"error", started.status()}});
    return 1;
  }
  coho::Operator& self = **started;

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  constexpr timespec kTick{.tv_sec = 0, .tv_nsec = 200'000'000};
  while (true) {
    const int signal = sigtimedwait(&signals, nullptr, &kTick);
    if (signal == SIGTERM || signal == SIGINT) {
      End(self, 0);
    }
    if (const coho::Status status = self.Tick(); !status.ok()) {
      coho::LogError("operator has to end", {{"error", status}});
      End(self, 1);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const coho::ParsedOptions parsed = coho::ParseOptions(argc, argv);
  if (!parsed.options) return parsed.exit_code;

  // Before any thread starts, so that all of them leave these signals to the main thread.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE,
              // a connection that the server closed is an error of one call, not the process's end
              SIG_IGN);

  coho::InitLogging(parsed.options->log_format, parsed.options->log_level);
  return Run(*parsed.options);
}
