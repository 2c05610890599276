#include <doctest/doctest.h>

#include "tests/integration/kafka/clients.h"

namespace coho::test {
namespace {

std::unique_ptr<kafka::Admin> NewAdmin(const kafka::ClientConfig& config = BrokerConfig()) {
  auto admin = kafka::Admin::Create(config);
  REQUIRE_MESSAGE(admin.ok(), admin.status().ToString());
  return *std::move(admin);
}

TEST_CASE("Admin: creates topics with their configuration; one that exists is left as it is") {
  const auto admin = NewAdmin();
  const std::string name = UniqueName("a-create");
  const std::string missing = UniqueName("a-missing");
  REQUIRE_OK(admin->Create(
      {{.name = name, .partitions = 3, .config = {{"cleanup.policy", "compact"}}}}, seconds(30)));
  REQUIRE_OK(admin->Create({{.name = name, .partitions = 5}}, seconds(30)));
  AwaitDescribed(*admin, name);
  const auto found = admin->Describe({name, missing}, seconds(30));
  REQUIRE_MESSAGE(found.ok(), found.status().ToString());
  REQUIRE(found->size() == 1);
  CHECK(found->at(name).partitions == 3);
  CHECK(admin->TopicConfig(name, seconds(30)).value().at("cleanup.policy") == "compact");
  CHECK(admin->TopicConfig(missing, seconds(30)).status().code() == Code::kNotFound);
  REQUIRE_OK(admin->Delete({name, missing}, seconds(30)));
  for (int i = 0; i < 300 && !admin->Describe({name}, seconds(30)).value().empty(); ++i) {
  }
  CHECK(admin->Describe({name}, seconds(30)).value().empty());
}

TEST_CASE("Admin: what Kafka does not accept is InvalidArgument and names the topic") {
  const auto admin = NewAdmin();
  const std::string name = UniqueName("a-bad");
  const Status config =
      admin->Create({{.name = name, .config = {{"cleanup.policy", "moonphase"}}}}, seconds(30));
  CHECK(config.code() == Code::kInvalidArgument);
  CHECK(config.message().find(name) != std::string::npos);
  const Status replicas = admin->Create({{.name = name, .replication_factor = 99}}, seconds(30));
  CHECK(replicas.code() == Code::kInvalidArgument);
  CHECK(replicas.message().find(name) != std::string::npos);
}

TEST_CASE("Credentials: right ones work") {
  REQUIRE_OK(NewAdmin(SaslConfig("coho-secret"))->Describe({"x"}, seconds(30)).status());
}

TEST_CASE(
    "Credentials: wrong ones are kUnauthenticated long before the time-out, in every client, and "
    "no message holds the password") {
  const kafka::ClientConfig config = SaslConfig("hunter2");
  // Longer than this program may run.
  constexpr std::chrono::hours kTimeout(1);
  Status status;
  SUBCASE("admin") { status = NewAdmin(config)->Describe({"x"}, kTimeout).status(); }
  SUBCASE("producer") {
    const auto producer = kafka::Producer::Create(config, {.transactional_id = "x"});
    REQUIRE(producer.ok());
    status = (*producer)->InitTransactions(kTimeout);
  }
  SUBCASE("committed offsets") {
    const auto consumer = kafka::Consumer::Create(config, {.group_id = "x"});
    REQUIRE(consumer.ok());
    status = (*consumer)->Committed({{"x", 0}}, kTimeout).status();
  }
  SUBCASE("poll") {
    const auto consumer = kafka::Consumer::Create(config, {.group_id = "x"});
    REQUIRE(consumer.ok());
    REQUIRE_OK((*consumer)->Assign({{{"x", 0}, 0}}));
    kafka::RecordBatch batch(10);
    while (status.ok()) status = (*consumer)->Poll(milliseconds(100), &batch);
  }
  SUBCASE("fencing") { status = kafka::FenceTransactionalId(config, "x", kTimeout); }
  CAPTURE(status.ToString());
  CHECK(status.code() == Code::kUnauthenticated);
  CHECK(status.message().find(SaslBootstrap()) != std::string::npos);
  CHECK(status.message().find("hunter2") == std::string::npos);
}

TEST_CASE("Unreachable: something to try again, and the message names the servers") {
  // Whether nobody listens or nobody answers in time is the library's to tell; both are waited out.
  const auto away = [](const Status& status) {
    return status.code() == Code::kUnavailable || status.code() == Code::kDeadlineExceeded;
  };
  for (const char* servers : {"127.0.0.1:1", "no-such-host.invalid:9092"}) {
    const kafka::ClientConfig config{.bootstrap_servers = servers};
    const Status described = NewAdmin(config)->Describe({"x"}, seconds(3)).status();
    CAPTURE(described.ToString());
    CHECK(away(described));
    CHECK(described.message().find(servers) != std::string::npos);
    const Status fenced = kafka::FenceTransactionalId(config, "x", seconds(3));
    CAPTURE(fenced.ToString());
    CHECK(away(fenced));
    CHECK(fenced.message().find(servers) != std::string::npos);
  }
}

}  // namespace
}  // namespace coho::test
