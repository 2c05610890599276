// A job's changelog on the real broker, a state directory, and the restorer between them.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/kafka/producer.h"
#include "tests/integration/broker.h"
#include "tests/integration/kafka/clients.h"
#include "tests/support/temp_directory.h"
#include "worker/restore/restorer.h"
#include "worker/store/value_format.h"

namespace coho::test {

using Content = std::map<std::string, std::string>;

class RestoreWorld {
 public:
  explicit RestoreWorld(std::map<std::string, std::string> topic_config = {
                            {"cleanup.policy", "compact"}}) {
    topic = NewTopic("restore-changelog", 2, std::move(topic_config));
    job_.id = {"test", topic};
    job_.stores = {{.name = "s"}};
    model_ = {.tasks = 2, .stores = {{"s", {.changelog = topic}}}};
    Restart();
  }

  // A new process on the same directory.
  void Restart() {
    restorer.reset();
    factory.reset();
    auto created = EngineFactory::Create({.directory = directory.path().string()});
    REQUIRE(created.ok());
    factory = *std::move(created);
    auto started = Restorer::Create({.kafka = BrokerConfig(),
                                     .job = &job_,
                                     .model = &model_,
                                     .engines = factory.get(),
                                     .records_total = &records_total,
                                     .wipes_total = &wipes_total});
    REQUIRE(started.ok());
    restorer = *std::move(started);
  }

  // Sends without waiting; nullopt is a tombstone.
  void Send(kafka::Producer& producer, int32_t partition, const std::string& key,
            std::optional<std::string> value) {
    if (value) value->insert(0, kPlainValueHeader);
    REQUIRE_OK(producer.Send(Open(producer, topic), partition,
                             {.key = key,
                              .value = value.value_or(""),
                              .has_value = value.has_value(),
                              .timestamp_ms = now_ms}));
  }

  std::future<Result<RestoredTask>> Begin(TaskId task,
                                          std::shared_ptr<RestoreProgress> progress = nullptr) {
    auto promise = std::make_shared<std::promise<Result<RestoredTask>>>();
    restorer->Restore({.task = task,
                       .progress = std::move(progress),
                       .done = [promise](Result<RestoredTask> restored) {
                         promise->set_value(std::move(restored));
                       }});
    return promise->get_future();
  }

  // The whole way.
  RestoredTask Restore(TaskId task = TaskId(0)) {
    auto future = Begin(task);
    REQUIRE((future.wait_for(std::chrono::seconds(60)) == std::future_status::ready));
    auto restored = future.get();
    REQUIRE_MESSAGE(restored.ok(), restored.status().ToString());
    REQUIRE(restored->stores.size() == 1);
    return *std::move(restored);
  }

  static Content ContentOf(RestoredTask& task) {
    Content content;
    for (const auto it = task.stores[0]->Range({}, {}); it->Valid(); it->Next())
      content.emplace(it->key(), it->value());
    return content;
  }

  TempDirectory directory;
  std::string topic;
  std::unique_ptr<EngineFactory> factory;
  std::unique_ptr<Restorer> restorer;
  std::atomic<int64_t> records_total{0};
  std::atomic<int64_t> wipes_total{0};
  int64_t now_ms = ToUnixMillis(Clock::Real().WallNow());  // of records sent

 private:
  Job job_;
  JobModel model_;
};

}  // namespace coho::test
