#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "common/coordinating/service.h"

namespace coho {
namespace {

using std::chrono::seconds;

// A broker that can be connected to and never says a word.
class MuteBroker {
 public:
  MuteBroker() {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const bare = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(bind(listener_, bare, size) == 0);
    REQUIRE(listen(listener_, 16) == 0);
    REQUIRE(getsockname(listener_, bare, &size) == 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~MuteBroker() {
    if (client_ >= 0) close(client_);
    close(listener_);
  }
  [[nodiscard]] const std::string& address() const { return address_; }
  // Until somebody has asked something.
  void AwaitQuestion() {
    client_ = accept(listener_, nullptr, nullptr);
    char byte = 0;
    REQUIRE(recv(client_, &byte, 1, 0) == 1);
  }

 private:
  int listener_ = -1;
  int client_ = -1;
  std::string address_;
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
