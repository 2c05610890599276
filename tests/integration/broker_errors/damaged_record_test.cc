// A flipped bit on the way from broker to reader.
#include <doctest/doctest.h>
#include <poll.h>

#include <array>
#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"
#include "tests/support/loopback.h"
#include "tests/support/mock_kafka.h"

namespace coho::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Between clients and a broker: changes a letter of a text that the broker sends.
class BadWire {
 public:
  BadWire(int broker_port, std::string text) : broker_(broker_port), text_(std::move(text)) {
    thread_ = std::thread([this] { Run(); });
  }
  ~BadWire() {
    stop_ = true;
    thread_.join();
    while (!other_end_.empty()) Hang(other_end_.begin()->first);
  }
  [[nodiscard]] int port() const { return listener_.port(); }

 private:
  void Run() {
    while (!stop_) {
      std::vector<pollfd> sockets{{listener_.fd(), POLLIN, 0}};
      for (const auto& [one, other] : other_end_) sockets.push_back({one, POLLIN, 0});
      if (poll(sockets.data(), sockets.size(), 10) <= 0) continue;
      if (sockets[0].revents != 0) Accept();
      for (size_t i = 1; i < sockets.size(); ++i) {
        if (sockets[i].revents != 0 && other_end_.contains(sockets[i].fd)) Forward(sockets[i].fd);
      }
    }
  }
  void Accept() {
    const int client = listener_.Accept();
    const int broker = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = LoopbackAddress(broker_);
    if (connect(broker, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      close(client);
      close(broker);
      return;
    }
    other_end_[client] = broker;
    other_end_[broker] = client;
  }
  void Forward(int from) {
    std::array<char, 65536> bytes;
    const ssize_t size = recv(from, bytes.data(), bytes.size(), 0);
    if (size <= 0) return Hang(from);
    std::string part(bytes.data(), static_cast<size_t>(size));
    if (const size_t at = part.find(text_); at != std::string::npos) part[at] ^= 1;
    const int to = other_end_.at(from);
    if (send(to, part.data(), part.size(), MSG_NOSIGNAL) != size) Hang(from);
  }
  void Hang(int one) {
    const int other = other_end_.at(one);
    other_end_.erase(one);
    other_end_.erase(other);
    close(one);
    close(other);
  }

  const int broker_;
  const std::string text_;
  const LoopbackListener listener_;
  std::map<int, int> other_end_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST_CASE("consumer: a damaged record is told with its place, and never read over") {
  MockKafka kafka;
  kafka.MakeTopic("t");
  kafka.MoveLeader("t", 0, 1);
  auto producer = kafka::Producer::Create(kafka.config(), {.compression = "none"});
  REQUIRE(producer.ok());
  const auto topic = (*producer)->OpenTopic("t").value();
  for (const char* value : {"before", "damaged on the way", "after"}) {
    REQUIRE((*producer)->Send(topic, 0, {.key = "k", .value = value}).ok());
    REQUIRE((*producer)->Flush(seconds(10)).ok());  // a batch each
  }
  const BadWire wire(kafka.PortOf(1), "damaged on the way");
  kafka.Divert(1, wire.port());

  auto consumer = kafka::Consumer::Create(kafka.config(), {.read_committed = false});
  REQUIRE(consumer.ok());
  REQUIRE((*consumer)->Assign({{{"t", 0}, 0}}).ok());
  kafka::RecordBatch batch(10);
  std::vector<std::string> values;
  Status status;
  const auto deadline = std::chrono::steady_clock::now() + seconds(20);
  while (status.ok() && std::chrono::steady_clock::now() < deadline) {
    status = (*consumer)->Poll(milliseconds(50), &batch);
    for (const kafka::Record& record : batch.records()) {
      if (!record.is_end_of_partition()) values.emplace_back(record.value());
    }
  }
  CAPTURE(status.ToString());
  CHECK(status.code() == Code::kCorruption);
  CHECK(status.message().find("topic t partition 0") != std::string::npos);
  CHECK(status.message().find("offset 1") != std::string::npos);
  REQUIRE_FALSE(values.empty());
  CHECK(values[0] == "before");
}

}  // namespace
}  // namespace coho::test
