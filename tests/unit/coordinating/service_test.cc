#include "common/coordinating/service.h"

#include <doctest/doctest.h>

#include <condition_variable>
#include <mutex>

namespace coho {
namespace {

using std::chrono::seconds;

Job SomeJob(const std::string& name) {
  Job job;
  job.id = {"web", name};
  job.kafka.bootstrap_servers = "127.0.0.1:1";
  job.kafka.topic_prefix = "coho-web.visits";
  job.inputs = {{"a"}};
  return job;
}

// Nothing listens there: what the service says of a job without Kafka is all that is asked.
TEST_CASE("service: a job that is removed and set again at once is seen again") {
  std::mutex mutex;
  std::condition_variable changed;
  bool told = false;  // guarded by mutex
  const Job job = SomeJob("visits");
  const Job last = SomeJob("last");  // of the same topics, which is said without Kafka
  auto service = CoordinationService::Start({.kafka = {.bootstrap_servers = "127.0.0.1:1"},
                                             .transactional_id = "coho-operator-a",
                                             .on_change =
                                                 [&](const JobId& id) {
                                                   const std::lock_guard lock(mutex);
                                                   told = told || id == last.id;
                                                   changed.notify_all();
                                                 },
                                             .on_event = {}});
  service->SetJob(job);
  for (int i = 0; i < 50; ++i) {
    service->RemoveJob(job.id);
    service->SetJob(job);
  }
  service->SetJob(last);
  {
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, seconds(20), [&] { return told; }));
  }
  CHECK(service->View(job.id).has_value());
  service->RemoveJob(job.id);
}

}  // namespace
}  // namespace coho
