// The restorer's thread and its callers, on stores without changelog: no broker. With one:
// tests/integration/restore.
#include "worker/restore/restorer.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/seed.h"
#include "tests/support/temp_directory.h"

namespace coho {
namespace {

struct World {
  World() {
    job.id = {"test", "job"};
    job.stores = {{.name = "a", .changelog = false}, {.name = "b", .changelog = false}};
    factory = EngineFactory::Create({.directory = directory.path().string()}).value();
    restorer = Restorer::Create({.kafka = {.bootstrap_servers = "127.0.0.1:1"},
                                 .job = &job,
                                 .model = &model,
                                 .engines = factory.get()})
                   .value();
  }
  test::TempDirectory directory;
  Job job;
  JobModel model;
  std::unique_ptr<EngineFactory> factory;
  std::unique_ptr<Restorer> restorer;
};

TEST_CASE("Restorer: hands over the stores in the order of the spec") {
  World world;
  std::promise<Result<RestoredTask>> promise;
  world.restorer->Restore({.task = TaskId(3), .progress = nullptr, .done = [&](auto restored) {
                             promise.set_value(std::move(restored));
                           }});
  const auto restored = promise.get_future().get();
  REQUIRE(restored.ok());
  CHECK(restored->task == TaskId(3));
  REQUIRE(restored->stores.size() == 2);
  CHECK(restored->stores[0]->spec().name == "a");
  CHECK(restored->stores[1]->spec().name == "b");
  CHECK(restored->source == RestoreSource::kLocal);
}

TEST_CASE("Restorer: a store that is open elsewhere fails its task alone, and can be tried again") {
  World world;
  auto engine = world.factory->Open("b", TaskId(0)).value();
  const auto restore = [&](TaskId task) {
    std::promise<Status> promise;
    world.restorer->Restore({.task = task, .progress = nullptr, .done = [&](auto restored) {
                               promise.set_value(restored.status());
                             }});
    return promise.get_future().get();
  };
  const Status refused = restore(TaskId(0));
  CAPTURE(refused.ToString());
  CHECK_FALSE(refused.ok());
  CHECK(refused.message().find("task 0") != std::string::npos);
  CHECK(restore(TaskId(1)).ok());
  engine.reset();
  CHECK(restore(TaskId(0)).ok());
}

TEST_CASE("Restorer: may be asked for more, or told to cancel, from within done") {
  World world;
  std::promise<void> second;
  world.restorer->Restore(
      {.task = TaskId(0), .progress = nullptr, .done = [&](auto first) {
         first =
             Status(Code::kInternal, "closed");  // its engines, so that they can be opened again
         world.restorer->Cancel(TaskId(0));
         world.restorer->Restore({.task = TaskId(0), .progress = nullptr, .done = [&](auto again) {
                                    CHECK(again.ok());
                                    second.set_value();
                                  }});
       }});
  second.get_future().get();
}

class Calls {
 public:
  void Add() {
    const std::lock_guard lock(mutex_);
    ++number_;
    added_.notify_all();
  }
  bool Await(Duration most) {
    std::unique_lock lock(mutex_);
    return added_.wait_for(lock, most, [this] { return number_ > 0; });
  }
  [[nodiscard]] int number() const {
    const std::lock_guard lock(mutex_);
    return number_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable added_;
  int number_ = 0;  // guarded by mutex_
};

TEST_CASE("Restorer: done is called once, or never after Cancel has returned") {
  const auto seed = static_cast<unsigned>(test::Seed());
  CAPTURE(seed);
  World world;
  std::vector<std::thread> callers;
  std::atomic<int> broken{0};
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&, caller] {
      std::mt19937 random(seed + static_cast<unsigned>(caller));
      const TaskId task(caller);
      for (int round = 0; round < 30; ++round) {
        const auto calls = std::make_shared<Calls>();
        world.restorer->Restore(
            {.task = task, .progress = nullptr, .done = [&, calls](auto restored) {
               if (!restored.ok()) ++broken;
               calls->Add();
             }});
        // When it is done, or at any moment before.
        const bool when_done = random() % 2 == 0;
        const Duration most = when_done ? Duration(std::chrono::minutes(1))
                                        : Duration(std::chrono::microseconds(random() % 5000));
        if (!calls->Await(most) && when_done) ++broken;
        world.restorer->Cancel(task);
        const int seen = calls->number();
        if (seen > 1 || calls->number() != seen) ++broken;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(broken == 0);
  // Nothing holds an engine of theirs for long.
  for (int task = 0; task < 3; ++task) {
    while (!world.factory->Open("a", TaskId(task)).ok()) std::this_thread::yield();
  }
}

TEST_CASE("Restorer: requests under way are dropped when it ends") {
  World world;
  std::atomic<int> called{0};
  for (int i = 0; i < 50; ++i) {
    world.restorer->Restore(
        {.task = TaskId(i), .progress = nullptr, .done = [&](auto) { ++called; }});
  }
  world.restorer.reset();
  const int calls = called;
  CHECK(calls <= 50);
  for (const auto& entry : world.factory->List())
    CHECK(world.factory->Open(entry.store, entry.task).ok());
  CHECK(called == calls);
}

}  // namespace
}  // namespace coho
