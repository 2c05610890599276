// Runs a task against in-memory topics and stores: no broker, no files, time that moves only when
// told. For tests of user code.
//
//   const auto job = coho::ParseJobYaml(text);                          // the job file that runs
//   in production auto driver = coho::TestDriver::Start(*job);                        // Init is
//   called CHECK((*driver)->Send("requests", "client", "GET /").ok());         // Process is
//   called, once CHECK((*driver)->Take("visits").front().value == "1");
//
// Not here: partitioning (one task, one partition), transactions, onError (Send returns what
// Process returned). Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/model/job.h"
#include "worker/sdk/task.h"

namespace coho {

// A record that the task sent.
struct TestOutput {
  std::string topic;
  std::string key;
  std::optional<std::string> value;  // nullopt: tombstone
  std::vector<std::pair<std::string, std::string>> headers;
  friend bool operator==(const TestOutput&, const TestOutput&) = default;
};

class TestDriver {
 public:
  // Makes the task that job.task.name is registered as and calls its Init; NotFound names the tasks
  // there are.
  [[nodiscard]] static Result<std::unique_ptr<TestDriver>> Start(Job job);
  [[nodiscard]] static Result<std::unique_ptr<TestDriver>> Start(Job job,
                                                                 std::unique_ptr<StreamTask> task);
  ~TestDriver();

  // Hands the task one record of an input, checked against the input's serdes as a worker does it;
  // the Status is the check's or Process's. nullopt: no key; a tombstone.
  [[nodiscard]] Status Send(std::string_view topic, std::optional<std::string_view> key,
                            std::optional<std::string_view> value);
  // Moves time (of records sent from then on); calls Window as often as
  // spec.processing.windowInterval has passed.
  [[nodiscard]] Status Advance(Duration by);
  [[nodiscard]] Status Close();

  // What was sent to the topic since the last Take of it, in order.
  [[nodiscard]] std::vector<TestOutput> Take(std::string_view topic);

  // Looks into a store, or fills it before the first Send.
  template <class K, class V>
  [[nodiscard]] Status OpenStore(std::string_view name, KeyValueStore<K, V>* store) {
    return context().OpenStore(name, store);
  }
  [[nodiscard]] StreamTask& task();

 private:
  TestDriver();
  [[nodiscard]] TaskContext& context();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coho
