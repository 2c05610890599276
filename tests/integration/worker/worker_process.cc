#include "tests/integration/worker/worker_process.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "common/http/client.h"
#include "tests/integration/broker.h"

namespace coho::test {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  path_ = (std::filesystem::temp_directory_path() / UniqueName("coho-worker-test")).string();
  std::filesystem::create_directories(path_);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
  std::filesystem::remove_all(path_, ignored);
}

void WriteFile(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

void AwaitThat(const std::string& what, Duration most, const std::function<bool()>& condition,
               const std::function<std::string()>& context) {
  const auto deadline = std::chrono::steady_clock::now() + most;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) {
      FAIL("waited in vain: " << what << "\n" << (context ? context() : ""));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

WorkerProcess::WorkerProcess(std::vector<std::string> arguments, std::string log)
    : log_(std::move(log)) {
  arguments.insert(arguments.begin(), COHO_WORKER_BINARY);
  arguments.insert(arguments.end(), {"--http-address", "127.0.0.1:0", "--log-format", "text"});
  std::error_code missing;
  const auto size = std::filesystem::file_size(log_, missing);
  log_from_ = missing ? 0 : size;
  const int out = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  REQUIRE(out >= 0);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(out);
}

WorkerProcess::~WorkerProcess() {
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
}

bool WorkerProcess::running() {
  if (exit_) return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return true;
  exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return false;
}

void WorkerProcess::Signal(int signal) const { REQUIRE(::kill(pid_, signal) == 0); }

int WorkerProcess::AwaitExit(Duration most) {
  AwaitThat(
      "the worker ends", most, [this] { return !running(); }, [this] { return Log(); });
  return *exit_;
}

std::string WorkerProcess::Log() const { return ReadFile(log_).substr(log_from_); }

std::optional<std::string> WorkerProcess::Get(const std::string& path) {
  if (port_ == 0) {
    const std::string log = Log();
    const size_t at = log.find(" port=");
    if (log.find("serving http") == std::string::npos || at == std::string::npos)
      return std::nullopt;
    port_ = std::atoi(log.c_str() + at + 6);
  }
  auto client = http::Client::Create({.host = "127.0.0.1", .port = port_, .use_tls = false});
  if (!client.ok()) return std::nullopt;
  const auto answer = (*client)->Send("GET", path, {}, "");
  if (!answer.ok() || answer->status != 200) return std::nullopt;
  return answer->body;
}

void WorkerProcess::AwaitReady(Duration most) {
  AwaitThat(
      "the worker is ready", most,
      [this] {
        REQUIRE_MESSAGE(running(), "the worker ended:\n" << Log());
        return Get("/readyz").has_value();
      },
      [this] { return Log(); });
}

double WorkerProcess::Metric(const std::string& name) {
  const std::string page = Get("/metrics").value_or("");
  const size_t at = page.find("\n" + name + " ");
  REQUIRE_MESSAGE(at != std::string::npos, "no metric " << name << ":\n" << page << Log());
  return std::atof(page.c_str() + at + name.size() + 2);
}

std::vector<int> WorkerProcess::RunningTasks() {
  std::vector<int> tasks;
  const auto page = nlohmann::json::parse(Get("/v1/tasks").value_or("{}"));
  for (const auto& task : page.value("tasks", nlohmann::json::array())) {
    if (task["state"] == "Running") tasks.push_back(task["task"]);
  }
  return tasks;
}

TopicReader::TopicReader(const std::string& topic, int32_t partitions)
    : topic_(topic), partitions_(partitions) {}

const std::vector<ReadRecord>& TopicReader::ReadToEnd() {
  if (!consumer_) {
    auto consumer = kafka::Consumer::Create(BrokerConfig(), {});
    REQUIRE_MESSAGE(consumer.ok(), consumer.status().ToString());
    consumer_ = std::move(consumer).value();
  }
  std::map<int32_t, int64_t> ends;
  for (int32_t p = 0; p < partitions_; ++p) {
    const auto range = consumer_->QueryRange({topic_, p}, std::chrono::seconds(10));
    if (!range.ok()) return records_;  // not created yet
    ends[p] = range->end;
    if (positions_.contains(p)) continue;
    positions_[p] = range->begin;
    REQUIRE(consumer_->Assign({{{topic_, p}, range->begin}}).ok());
  }
  const auto behind = [&] {
    for (const auto& [p, end] : ends) {
      if (positions_[p] < end) return true;
    }
    return false;
  };
  kafka::RecordBatch batch(1000);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (behind() && std::chrono::steady_clock::now() < deadline) {
    REQUIRE(consumer_->Poll(std::chrono::milliseconds(50), &batch).ok());
    for (size_t i = 0; i < batch.size(); ++i) {
      const kafka::Record record = batch[i];
      if (record.is_end_of_partition()) {
        positions_[record.partition()] = std::max(positions_[record.partition()], record.offset());
        continue;
      }
      positions_[record.partition()] = record.offset() + 1;
      ReadRecord& out = records_.emplace_back();
      out.partition = record.partition();
      out.key = record.key();
      out.value = record.value();
      for (const kafka::Header& h : record.headers())
        out.headers[std::string(h.name)] = std::string(h.value);
    }
    batch.Clear();
  }
  return records_;
}

TopicWriter::TopicWriter(const std::string& topic) {
  auto producer = kafka::Producer::Create(BrokerConfig(), {});
  REQUIRE_MESSAGE(producer.ok(), producer.status().ToString());
  producer_ = std::move(producer).value();
  topic_ = producer_->OpenTopic(topic).value();
}

void TopicWriter::Send(const std::string& key, const std::string& value, int32_t partition) {
  REQUIRE(producer_->Send(topic_, partition, {.key = key, .value = value, .has_key = !key.empty()})
              .ok());
}

void TopicWriter::Flush() { REQUIRE(producer_->Flush(std::chrono::seconds(30)).ok()); }

}  // namespace coho::test
