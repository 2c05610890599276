// A job of its own for each test: topics with unique names, a job file, a state directory a worker.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/integration/broker.h"
#include "tests/integration/worker/worker_process.h"

namespace coho::test {

struct JobOptions {
  std::string task = "count";
  int partitions = 4;
  std::string guarantee = "ExactlyOnce";
  std::string on_error = "Fail";
  std::string input_value = "bytes";
  int run_loops = 2;
  std::string flush_interval = "2s";
  std::string session_timeout = "6s";
  std::string homecoming_timeout = "5m";
  std::string topic;       // of the input; empty: made
  std::string properties;  // of the Kafka clients, as "name: value, name: value"
};

class TestJob {
 public:
  explicit TestJob(JobOptions options = {})
      : options_(std::move(options)),
        name_(UniqueName("j")),
        input_(options_.topic.empty() ? NewTopic("in", options_.partitions) : options_.topic),
        output_(UniqueName("out")) {
    Write(1);
  }

  // The job file, for that many workers.
  void Write(int workers) {
    std::string text =
        "apiVersion: coho.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: " + name_ +
        ", namespace: test}\nspec:\n  image: none\n  task: {name: " + options_.task +
        "}\n  kafka: {bootstrapServers: \"" + Bootstrap() + "\", properties: {" +
        options_.properties + "}}\n  inputs: [{topic: " + input_ +
        ", key: string, value: " + options_.input_value + "}]\n  outputs: [{topic: " + output_ +
        ", value: string, partitions: " + std::to_string(options_.partitions) + "}]\n";
    if (options_.task == "count") text += "  stores: [{name: counts, key: string, value: int64}]\n";
    if (options_.task == "keep") text += "  stores: [{name: kept, key: string, value: bytes}]\n";
    text +=
        "  workers: {count: " + std::to_string(workers) +
        ", runLoops: " + std::to_string(options_.run_loops) +
        "}\n  processing: {guarantee: " + options_.guarantee + ", onError: " + options_.on_error +
        ", commitInterval: 100ms}\n  storage: {flushInterval: " + options_.flush_interval +
        "}\n  failover: {heartbeatInterval: 300ms, sessionTimeout: " + options_.session_timeout +
        ", homecomingTimeout: " + options_.homecoming_timeout + "}\n";
    WriteFile(job_file(), text);
  }

  // Worker 0 with another onError than before.
  std::unique_ptr<WorkerProcess> StartWithOnError(const std::string& on_error) {
    options_.on_error = on_error;
    Write(1);
    return Start();
  }

  // Worker 0 has the coordinator in its process. A flag in `more` wins over one of these.
  std::unique_ptr<WorkerProcess> Start(int worker = 0, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"--job", job_file(), "--worker-id",
                                          std::to_string(worker)};
    if (std::find(more.begin(), more.end(), "--state-dir") == more.end()) {
      arguments.insert(arguments.end(), {"--state-dir", state_dir(worker)});
    }
    if (worker > 0) arguments.insert(arguments.end(), {"--coordinator", "elsewhere"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return std::make_unique<WorkerProcess>(
        arguments, directory_.path("worker-" + std::to_string(worker) + ".log"));
  }

  [[nodiscard]] std::string job_file() const { return directory_.path("job.yaml"); }
  [[nodiscard]] std::string state_dir(int worker = 0) const {
    return directory_.path("state-" + std::to_string(worker));
  }
  [[nodiscard]] const std::string& input() const { return input_; }
  [[nodiscard]] const std::string& output() const { return output_; }
  [[nodiscard]] std::string dead_letter_topic() const {
    return "coho-test." + name_ + "-dead-letter";
  }
  [[nodiscard]] std::string coordinator_topic() const {
    return "coho-test." + name_ + "-coordinator";
  }
  [[nodiscard]] std::string group() const { return "test." + name_; }
  [[nodiscard]] int partitions() const { return options_.partitions; }

 private:
  JobOptions options_;
  const TemporaryDirectory directory_;
  const std::string name_;
  const std::string input_;
  const std::string output_;
};

}  // namespace coho::test
