// Topics that the user may not read or write: told with the topic, the right and what to do, and
// the matter of that topic alone.
#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <string>

#include "common/coordinating/kafka_cluster.h"
#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"
#include "tests/support/mock_kafka.h"

namespace coho::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using E = KafkaError;
using R = KafkaRequest;

struct World {
  World() {
    for (const char* topic : {"locked", "open"}) kafka.MakeTopic(topic);
    kafka.MoveLeader("locked", 0, 1);
    kafka.MoveLeader("open", 0, 2);
    auto made = kafka::Producer::Create(kafka.config(), {.linger = Duration::zero()});
    REQUIRE(made.ok());
    producer = *std::move(made);
  }
  void Beat(const std::string& topic) {
    REQUIRE(
        producer->Send(producer->OpenTopic(topic).value(), 0, {.key = "0", .value = "beat"}).ok());
    REQUIRE(producer->Flush(seconds(10)).ok());
  }
  // Who reads `locked` is refused from now on.
  void Lock() {
    for (int i = 0; i < 500; ++i)
      kafka.AnswerLate(1, R::kFetch, E::kTopicAuthorizationFailed, Duration::zero());
  }

  MockKafka kafka;
  std::unique_ptr<kafka::Producer> producer;
};

struct Cluster {
  explicit Cluster(const MockKafka& kafka) : cluster(kafka.config(), 2) {}
  void Follow(const std::string& topic) {
    cluster.Ask(++asked, FollowHeartbeats{topic, FromUnixMillis(0)});
  }
  // Until `done`, or for so long.
  void Listen(Duration most, const std::function<bool()>& done) {
    const MonotonicTime deadline = Clock::Real().Now() + most;
    while (!done() && Clock::Real().Now() < deadline) {
      for (ClusterEvent& event : cluster.Take(milliseconds(20), 100)) {
        if (const auto* beat = std::get_if<HeartbeatSeen>(&event)) ++seen[beat->topic];
        if (const auto* gone = std::get_if<HeartbeatsLost>(&event))
          lost[gone->topic] = gone->status;
      }
    }
  }

  KafkaCluster cluster;
  RequestId asked = 0;
  std::map<std::string, int> seen;
  std::map<std::string, Status> lost;
};

TEST_CASE("rights: a heartbeats topic that must not be read makes nobody else deaf") {
  World world;
  Cluster cluster(world.kafka);
  for (const char* topic : {"locked", "open"}) cluster.Follow(topic);
  const auto both = [&] { return cluster.seen["locked"] > 0 && cluster.seen["open"] > 0; };
  for (int i = 0; i < 100 && !both(); ++i) {
    for (const char* topic : {"locked", "open"}) world.Beat(topic);
    cluster.Listen(milliseconds(200), both);
  }
  REQUIRE(both());

  world.Lock();
  cluster.Listen(seconds(20), [&] { return !cluster.lost.empty(); });
  REQUIRE(cluster.lost.contains("locked"));
  CHECK_FALSE(cluster.lost.contains("open"));
  const Status& why = cluster.lost["locked"];
  CAPTURE(why.ToString());
  CHECK(why.code() == Code::kUnauthenticated);
  CHECK(why.message().find("allow Read and Describe on topic locked") != std::string::npos);
  // Nobody reads the other one anew because of it.
  for (int i = 0; i < 4; ++i) {
    const int before = cluster.seen["open"];
    world.Beat("open");
    cluster.Listen(seconds(20), [&] { return cluster.seen["open"] > before; });
    REQUIRE(cluster.seen["open"] > before);
  }
}

TEST_CASE("rights: a topic that must not even be described any more makes nobody else deaf") {
  World world;
  kafka::ConsumerOptions options{.read_committed = false, .lose_partitions = true};
  auto made = kafka::Consumer::Create(world.kafka.config(), options);
  REQUIRE(made.ok());
  kafka::Consumer& consumer = **made;
  REQUIRE(consumer.Assign({{{"locked", 0}, 0}, {{"open", 0}, 0}}).ok());
  kafka::RecordBatch batch(10);
  std::map<std::string, int> seen;
  const auto read = [&](Duration most, const std::function<bool()>& done) {
    const MonotonicTime deadline = Clock::Real().Now() + most;
    while (!done() && Clock::Real().Now() < deadline) {
      const Status status = consumer.Poll(milliseconds(50), &batch);
      REQUIRE_MESSAGE(status.ok(), status.ToString());
      for (const kafka::Record& record : batch.records()) ++seen[std::string(record.topic())];
    }
  };
  // The ends count, too.
  read(seconds(20), [&] { return seen.size() == 2; });
  REQUIRE(seen.size() == 2);
  world.kafka.RefuseTopic("locked", E::kTopicAuthorizationFailed);
  // A client asks again where its topics are every five seconds.
  read(seconds(8), [] { return false; });
  seen.clear();
  world.Beat("open");
  read(seconds(20), [&] { return seen["open"] > 0; });
  CHECK(seen["open"] > 0);
}

TEST_CASE("rights: a run loop's reader and writer say what is missing") {
  World world;
  SUBCASE("to read") {
    auto made = kafka::Consumer::Create(world.kafka.config(), {.read_committed = false});
    REQUIRE(made.ok());
    kafka::RecordBatch batch(10);
    Status status;
    const auto read = [&] {
      const MonotonicTime deadline = Clock::Real().Now() + seconds(20);
      do {
        status = (*made)->Poll(milliseconds(50), &batch);
      } while (status.ok() && batch.size() == 0 && Clock::Real().Now() < deadline);
    };
    REQUIRE((*made)->Assign({{{"locked", 0}, 0}}).ok());
    read();
    REQUIRE(status.ok());
    SUBCASE("when it asks where the topic is") {
      world.kafka.RefuseTopic("locked", E::kTopicAuthorizationFailed);
    }
    SUBCASE("when it fetches") { world.Lock(); }
    read();
    CAPTURE(status.ToString());
    CHECK(status.code() == Code::kUnauthenticated);
    CHECK(status.message().find("allow Read and Describe on topic locked") != std::string::npos);
  }
  SUBCASE("to write") {
    world.kafka.Answer(R::kProduce, {E::kTopicAuthorizationFailed});
    const auto topic = world.producer->OpenTopic("locked").value();
    REQUIRE(world.producer->Send(topic, 0, {.key = "k", .value = "v"}).ok());
    const Status status = world.producer->Flush(seconds(20));
    CAPTURE(status.ToString());
    CHECK(status.code() == Code::kUnauthenticated);
    CHECK(status.message().find("allow Write and Describe on topic locked") != std::string::npos);
  }
}

}  // namespace
}  // namespace coho::test
