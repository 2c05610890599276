// A broker that starts or ends may answer that there are topics, but no brokers. Whoever believes
// it has nobody left to ask.
#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/kafka/admin.h"
#include "common/kafka/producer.h"
#include "tests/support/loopback.h"

namespace coho::kafka {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Kafka's wire format, as far as a broker needs it that knows one topic and stores nothing.
class Bytes {
 public:
  template <class Int>
  Bytes& Number(Int value) {
    for (int shift = static_cast<int>(sizeof value) * 8 - 8; shift >= 0; shift -= 8)
      text += static_cast<char>((static_cast<uint64_t>(value) >> shift) & 0xff);
    return *this;
  }
  Bytes& Text(const std::string& value) {
    Number(static_cast<int16_t>(value.size()));
    text += value;
    return *this;
  }
  std::string text;
};

class LonelyBroker {
 public:
  LonelyBroker() : thread_([this] { Run(); }) {}
  ~LonelyBroker() {
    stop_ = true;
    thread_.join();
    CloseAll();
  }
  [[nodiscard]] std::string address() const { return listener_.address(); }

  std::atomic<bool> knows_itself{true};  // in its answers
  std::atomic<bool> hang_up{false};      // on all, once
  std::atomic<int> answers{0};           // about topics, since that was looked at last

 private:
  static constexpr int16_t kMetadata = 3;
  static constexpr int16_t kApiVersions = 18;
  static constexpr int16_t kInitProducerId = 22;

  void Run() {
    while (!stop_) {
      if (hang_up.exchange(false)) CloseAll();
      std::vector<pollfd> sockets{{listener_.fd(), POLLIN, 0}};
      for (const int one : connections_) sockets.push_back({one, POLLIN, 0});
      if (poll(sockets.data(), sockets.size(), 10) <= 0) continue;
      if (sockets[0].revents != 0) connections_.insert(listener_.Accept());
      for (size_t i = 1; i < sockets.size(); ++i) {
        if (sockets[i].revents == 0 || Serve(sockets[i].fd)) continue;
        close(sockets[i].fd);
        connections_.erase(sockets[i].fd);
      }
    }
  }
  void CloseAll() {
    for (const int one : connections_) close(one);
    connections_.clear();
  }
  static std::string Read(int from, size_t size) {
    std::string bytes(size, '\0');
    return recv(from, bytes.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size) ? bytes : "";
  }
  static uint32_t Int(const std::string& bytes, size_t at, size_t size) {
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i)
      value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    return value;
  }
  // One request; false: the connection is over.
  bool Serve(int connection) {
    const std::string size = Read(connection, 4);
    if (size.empty()) return false;
    const std::string request = Read(connection, Int(size, 0, 4));
    if (request.size() < 8) return false;
    const auto kind = static_cast<int16_t>(Int(request, 0, 2));
    Bytes answer;
    answer.Number(static_cast<int32_t>(Int(request, 4, 4)));
    if (kind == kApiVersions) {
      answer.Number(int16_t{0}).Number(int8_t{5});  // four entries
      for (const auto& [api, most] : std::initializer_list<std::pair<int16_t, int16_t>>{
               {0, 7}, {kMetadata, 4}, {kApiVersions, 3}, {kInitProducerId, 1}})
        answer.Number(api).Number(int16_t{0}).Number(most).Number(int8_t{0});
      answer.Number(int32_t{0}).Number(int8_t{0});
    } else if (kind == kMetadata) {
      AnswerMetadata(&answer);
      ++answers;
    } else if (kind == kInitProducerId) {
      answer.Number(int32_t{0}).Number(int16_t{0}).Number(int64_t{1}).Number(int16_t{0});
    } else {
      return false;
    }
    const std::string framed =
        Bytes().Number(static_cast<int32_t>(answer.text.size())).text + answer.text;
    return send(connection, framed.data(), framed.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(framed.size());
  }
  void AnswerMetadata(Bytes* answer) const {
    const bool itself = knows_itself;
    answer->Number(int32_t{0}).Number(int32_t{itself ? 1 : 0});
    if (itself) {
      answer->Number(int32_t{1}).Text("127.0.0.1").Number(static_cast<int32_t>(listener_.port()));
      answer->Number(int16_t{-1});  // no rack
    }
    answer->Text("cluster").Number(int32_t{itself ? 1 : -1}).Number(int32_t{1});
    answer->Number(static_cast<int16_t>(itself ? 0 : 5)).Text("t").Number(int8_t{0});
    answer->Number(int32_t{1}).Number(static_cast<int16_t>(itself ? 0 : 5)).Number(int32_t{0});
    answer->Number(int32_t{itself ? 1 : -1}).Number(int32_t{0}).Number(int32_t{0});
  }

  const test::LoopbackListener listener_;
  std::set<int> connections_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST_CASE("clients: one that heard of no broker at all finds the cluster again") {
  LonelyBroker broker;
  const auto producer =
      Producer::Create({.bootstrap_servers = broker.address(),
                        .properties = {{"topic.metadata.refresh.interval.ms", "50"},
                                       {"reconnect.backoff.ms", "10"},
                                       {"reconnect.backoff.max.ms", "50"}}},
                       {});
  REQUIRE(producer.ok());
  REQUIRE((*producer)->OpenTopic("t").ok());
  const auto await_answers = [&](const char* what) {
    broker.answers = 0;
    const auto deadline = std::chrono::steady_clock::now() + seconds(10);
    while (broker.answers < 3 && std::chrono::steady_clock::now() < deadline)
      (*producer)->Poll(milliseconds(5));
    CHECK_MESSAGE(broker.answers >= 3, what);
  };
  await_answers("it asks");
  for (int round = 0; round < 3; ++round) {
    broker.knows_itself = false;
    await_answers("it asks one that knows no broker");
    broker.hang_up = true;
    broker.knows_itself = true;
    await_answers("it asks again");
  }
}

TEST_CASE("clients: who asks for a topic's id one that knows no broker gets an error") {
  LonelyBroker broker;
  const auto admin = Admin::Create({.bootstrap_servers = broker.address()});
  REQUIRE(admin.ok());
  const auto known = (*admin)->Describe({"t"}, seconds(20));
  REQUIRE_MESSAGE(known.ok(), known.status().ToString());
  CHECK(known->contains("t"));
  broker.knows_itself = false;
  const auto unknown = (*admin)->Describe({"t"}, milliseconds(500));
  REQUIRE_FALSE(unknown.ok());
  CAPTURE(unknown.status().ToString());
  CHECK(unknown.status().retry_class() == RetryClass::kRetry);  // nothing that ends a worker
}

}  // namespace
}  // namespace coho::kafka
