#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "common/coordinating/service.h"
#include "tests/support/loopback.h"

namespace coho {
namespace {

using std::chrono::seconds;

// A broker that can be connected to and never says a word.
class MuteBroker {
 public:
  ~MuteBroker() {
    if (client_ >= 0) close(client_);
  }
  [[nodiscard]] std::string address() const { return listener_.address(); }
  // Until somebody has asked something.
  void AwaitQuestion() {
    client_ = listener_.Accept();
    char byte = 0;
    REQUIRE(recv(client_, &byte, 1, 0) == 1);
  }

 private:
  const test::LoopbackListener listener_;
  int client_ = -1;
};

Duration TimeOf(const std::function<void()>& call) {
  const MonotonicTime begin = Clock::Real().Now();
  call();
  return Clock::Real().Now() - begin;
}

TEST_CASE("service: no call waits for a Kafka that never answers, and its end hardly does") {
  MuteBroker broker;
  auto service = CoordinationService::Start({.kafka = {.bootstrap_servers = broker.address()},
                                             .transactional_id = "coho-operator-main",
                                             .on_change = [](const JobId&) {},
                                             .on_event = [](const JobId&, const EmitEvent&) {}});
  Job job;
  job.id = {"web", "visits"};
  job.kafka.bootstrap_servers = broker.address();
  job.kafka.topic_prefix = "coho-web.visits";
  job.inputs = {{"requests"}};
  Job other = job;
  other.id.name = "other";
  other.kafka.topic_prefix = "coho-web.other";
  service->SetJob(job);
  broker.AwaitQuestion();
  // Kafka's requests are given five seconds and more.
  CHECK(TimeOf([&] {
          service->SetJob(other);
          service->SetPodFacts(job.id, {{WorkerId(0), PodFact{.exists = true}}});
          CHECK_FALSE(service->View(job.id).value_or(JobView()).prepared);
          service->RemoveJob(other.id);
          service->Stop();
          service->RemoveJob(job.id);
          (void)service->View(job.id);
        }) < seconds(3));
  CHECK(TimeOf([&] { service.reset(); }) < seconds(5));
}

}  // namespace
}  // namespace coho
