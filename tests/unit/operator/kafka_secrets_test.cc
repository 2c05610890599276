#include "operator/kafka_secrets.h"

#include <doctest/doctest.h>

#include <atomic>

#include "tests/unit/http/scripted_server.h"
#include "tests/unit/kube/local_access.h"

namespace coho {
namespace {

using nlohmann::json;

TEST_CASE("Kafka secret: data becomes properties, as the mounted files do") {
  const auto properties = DecodeSecret(json::parse(
      R"({"data":{"sasl.username":"Y29obw==","sasl.password":"czNjcmV0Cg==",".hidden":"eA=="}})"));
  REQUIRE(properties.ok());
  CHECK(*properties ==
        KafkaSecrets::Properties{{"sasl.username", "coho"}, {"sasl.password", "s3cret"}});
  CHECK(DecodeSecret(json::object())->empty());
  const auto bad = DecodeSecret(json::parse(R"({"data":{"sasl.password":"*"}})"));
  REQUIRE(!bad.ok());
  CHECK(bad.status().message().find("sasl.password") != std::string::npos);
}

TEST_CASE(
    "Kafka secret: read again after a minute, kept while the API server is away, refused when it "
    "is gone") {
  std::atomic<int> reads = 0;
  std::atomic<int> status = 200;
  ScriptedServer server([&](const ScriptedRequest& request, const ScriptedServer::Connection& to) {
    CHECK(request.target == "/api/v1/namespaces/web/secrets/creds");
    ++reads;
    return to.Answer(status, R"({"data":{"a":"Yg=="},"message":"no"})");
  });
  const auto access = kube::LocalAccessSource(server.port());
  prometheus::Registry registry;
  ManualClock clock;
  kube::Api api(*access, clock, {}, registry);
  KafkaSecrets secrets(api, clock);
  const kube::ObjectKey key{"web", "creds"};

  CHECK(secrets.Read(key)->at("a") == "b");
  clock.Advance(std::chrono::seconds(59));
  CHECK(secrets.Read(key).ok());
  CHECK(reads == 1);
  clock.Advance(std::chrono::seconds(1));
  status = 503;
  CHECK(secrets.Read(key)->at("a") == "b");
  CHECK(reads == 2);
  status = 403;
  CHECK(secrets.Read(key).status().code() == Code::kUnauthenticated);
  status = 404;
  const auto gone = secrets.Read(key);
  CHECK(gone.status().code() == Code::kNotFound);
  CHECK(gone.status().message().find(
            "spec.kafka.secretRef: Secret creds of namespace web does not exist") !=
        std::string::npos);
}

}  // namespace
}  // namespace coho
