// coho-worker as a child process, and the topics around it.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"

namespace coho::test {

// A directory that is gone with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] std::string path(const std::string& name = "") const {
    return name.empty() ? path_ : path_ + "/" + name;
  }

 private:
  std::string path_;
};

void WriteFile(const std::string& path, const std::string& text);

// Calls until it says yes; the test fails with `what` and the context after `most`.
void AwaitThat(const std::string& what, Duration most, const std::function<bool()>& condition,
               const std::function<std::string()>& context = {});

class WorkerProcess {
 public:
  // `log` is appended to. The HTTP port is chosen by the system.
  WorkerProcess(std::vector<std::string> arguments, std::string log);
  ~WorkerProcess();  // kills
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  void Signal(int signal) const;
  // Exit code, or the negative number of the signal that ended it.
  int AwaitExit(Duration most = std::chrono::seconds(60));
  [[nodiscard]] bool running();
  [[nodiscard]] std::string Log() const;  // of this process only
  // Body of an answer with status 200; nullopt: another status, or no answer.
  [[nodiscard]] std::optional<std::string> Get(const std::string& path);
  void AwaitReady(Duration most = std::chrono::seconds(60));
  // A metric without labels.
  [[nodiscard]] double Metric(const std::string& name);
  // From /v1/tasks: the tasks that run here.
  [[nodiscard]] std::vector<int> RunningTasks();

 private:
  int pid_ = -1;
  std::optional<int> exit_;
  std::string log_;
  size_t log_from_ = 0;
  int port_ = 0;
};

// What was read from all partitions of a topic.
struct ReadRecord {
  int32_t partition = 0;
  std::string key;
  std::string value;
  std::map<std::string, std::string> headers;
};

// Reads a topic from its begin on, read_committed, more at each call.
class TopicReader {
 public:
  TopicReader(const std::string& topic, int32_t partitions);
  // To the ends as of now.
  const std::vector<ReadRecord>& ReadToEnd();

 private:
  std::string topic_;
  int32_t partitions_;
  std::unique_ptr<kafka::Consumer> consumer_;
  std::map<int32_t, int64_t> positions_;
  std::vector<ReadRecord> records_;
};

// Sends keyed records and waits until they are there.
class TopicWriter {
 public:
  explicit TopicWriter(const std::string& topic);
  void Send(const std::string& key, const std::string& value,
            int32_t partition = kafka::Producer::kByKey);
  void Flush();

 private:
  std::unique_ptr<kafka::Producer> producer_;
  kafka::Producer::Topic topic_;
};

}  // namespace coho::test
