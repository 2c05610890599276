// The life of a worker process: flags, job, signals, exit code. Declared in worker/sdk/task.h.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <variant>

#include "common/base/log.h"
#include "common/contract/exit_codes.h"
#include "common/contract/worker_command.h"
#include "worker/drain_state.h"
#include "worker/flags.h"
#include "worker/sdk/task.h"
#include "worker/tasks/builtin.h"
#include "worker/worker.h"

namespace coho {
namespace {

// The one line that says why, and the same for `kubectl describe pod`.
int Die(const Failure& failure) {
  LogError("worker ends", {{"reason", failure.message}, {"exit_code", failure.exit_code}});
  // Only where it exists: nothing is created outside of a pod.
  const int fd = ::open(kTerminationLog, O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (fd >= 0) {
    const std::string line = failure.message + "\n";
    [[maybe_unused]] const ssize_t written = ::write(fd, line.data(), line.size());
    ::close(fd);
  }
  return failure.exit_code;
}

Result<Job> LoadJob(const std::string& path) {
  std::ifstream in(path);
  if (!in) return InvalidArgument("job file " + path + " cannot be read");
  std::ostringstream text;
  text << in.rdbuf();
  const std::string content = std::move(text).str();
  const size_t first = content.find_first_not_of(" \t\r\n");
  const bool json = first != std::string::npos && content[first] == '{';
  auto job = json ? ParseJobJson(content) : ParseJobYaml(content);
  if (!job.ok()) return job.status().WithContext("job file " + path);
  return job;
}

// The operator empties workers beyond the count before it removes them, and such a pod may be
// restarted meanwhile; a person who starts one has made a mistake.
std::string WorkerIdOutOfRange(const WorkerFlags& flags, const Job& job) {
  if (!flags.pod.empty() || flags.worker.value() < job.workers.count) return "";
  return "--worker-id: found " + ToString(flags.worker) + ", need 0 to " +
         std::to_string(job.workers.count - 1) + ": spec.workers.count of " + flags.job_file +
         " is " + std::to_string(job.workers.count);
}

// Signals arrive at a file descriptor, so that one poll waits for them and for the worker.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);  // threads started later inherit it
    signal(SIGPIPE, SIG_IGN);
    signals_ = ::signalfd(-1, &set_, SFD_CLOEXEC | SFD_NONBLOCK);
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  }
  ~Signals() {
    ::close(signals_);
    ::close(wake_);
  }
  void Wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
  }
  // Waits for a signal, a Wake or the timeout; how many signals came.
  int Wait(Duration timeout) {
    pollfd fds[] = {{.fd = signals_, .events = POLLIN, .revents = 0},
                    {.fd = wake_, .events = POLLIN, .revents = 0}};
    ::poll(
        fds, 2,
        static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count()));
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t woken = ::read(wake_, &count, sizeof count);
    int received = 0;
    signalfd_siginfo info;
    while (::read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) ++received;
    return received;
  }

 private:
  sigset_t set_;
  int signals_ = -1;
  int wake_ = -1;
};

int RunWorker(Worker::Options options) {
  Signals signals;
  options.wake = [&signals] { signals.Wake(); };
  Worker worker(std::move(options));
  if (const Failure failure = worker.Start(); failure.exit_code != kExitOk) return Die(failure);

  for (DrainState state;;) {
    DrainFacts facts{.signals = signals.Wait(std::chrono::milliseconds(500))};
    facts.drained = worker.drained();
    facts.ended = worker.ended();
    facts.failure = worker.failure();
    facts.now = Clock::Real().Now();
    const DrainOrders orders = state.On(facts);
    if (orders.tell) Die(*orders.tell);
    if (orders.drain) {
      const auto most = std::chrono::duration_cast<std::chrono::seconds>(*orders.drain);
      LogInfo("draining", {{"within_seconds", most.count()}});
      worker.Drain();
    }
    if (orders.give_up) worker.GiveUp();
    if (orders.end == DrainOrders::End::kExit) std::_Exit(orders.exit_code);
    if (orders.end == DrainOrders::End::kNotYet) continue;
    if (orders.exit_code == kExitOk) LogInfo("worker ended, everything is committed");
    return orders.exit_code;
  }
}

}  // namespace

int WorkerMain(int argc, char** argv) {
  RegisterBuiltinTasks();
  auto parsed = ParseFlags(argc, argv);
  if (const int* exit_code = std::get_if<int>(&parsed)) return *exit_code;
  WorkerFlags flags = std::get<WorkerFlags>(std::move(parsed));
  InitLogging(flags.log_format, flags.log_level);

  auto job = LoadJob(flags.job_file);
  if (!job.ok()) return Die({kExitJobFile, job.status().message()});
  if (!flags.bootstrap_servers.empty()) job->kafka.bootstrap_servers = flags.bootstrap_servers;
  if (const std::string wrong = WorkerIdOutOfRange(flags, *job); !wrong.empty())
    return Die({kExitUsage, wrong});
  const TaskFactory* factory = FindTask(job->task.name);
  if (factory == nullptr) {
    std::string names;
    for (const std::string& name : RegisteredTasks()) names += (names.empty() ? "" : ", ") + name;
    return Die({kExitJobFile,
                "spec.task.name: found \"" + job->task.name + "\", this worker knows: " + names});
  }
  kafka::ClientConfig kafka{
      .bootstrap_servers = job->kafka.bootstrap_servers,
      .properties = job->kafka.properties,
      .client_id = "coho-" + job->id.ToString() + "-worker-" + ToString(flags.worker)};
  if (!flags.kafka_secret_dir.empty()) {
    auto secrets = kafka::ReadSecretDirectory(flags.kafka_secret_dir);
    if (!secrets.ok())
      return Die({kExitUsage, "--kafka-secret-dir: " + secrets.status().message()});
    kafka.secrets = std::move(secrets).value();
  }
  LogInfo("worker starts",
          {{"job", job->id.ToString()},
           {"task", job->task.name},
           {"worker", flags.worker},
           {"version", WorkerVersion()},
           {"coordinator", flags.in_process_coordinator ? "in-process" : "elsewhere"}});
  return RunWorker({.job = std::move(job).value(),
                    .factory = *factory,
                    .flags = std::move(flags),
                    .kafka = std::move(kafka),
                    .wake = {}});
}

}  // namespace coho
