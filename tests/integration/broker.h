// The real broker that integration tests run against: COHO_KAFKA (127.0.0.1:19092), with SASL
// COHO_KAFKA_SASL (127.0.0.1:19093); `hack/kafka up` starts it. Without a broker the tests fail.
// Names are unique, so runs do not disturb each other.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>

#include "common/kafka/admin.h"
#include "common/kafka/config.h"

namespace coho::test {

inline std::string Environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

inline std::string Bootstrap() { return Environment("COHO_KAFKA", "127.0.0.1:19092"); }
inline std::string SaslBootstrap() { return Environment("COHO_KAFKA_SASL", "127.0.0.1:19093"); }

inline kafka::ClientConfig BrokerConfig() { return {.bootstrap_servers = Bootstrap()}; }

inline kafka::ClientConfig SaslConfig(const std::string& password) {
  return {.bootstrap_servers = SaslBootstrap(),
          .properties = {{"security.protocol", "SASL_PLAINTEXT"},
                         {"sasl.mechanism", "PLAIN"},
                         {"sasl.username", "coho"}},
          .secrets = {{"sasl.password", password}}};
}

inline std::string UniqueName(const std::string& prefix) {
  std::random_device random;
  return prefix + "-" + std::to_string(random()) + "-" + std::to_string(random());
}

// A topic is acknowledged by the controller; the broker that is asked next may not know it yet.
inline void AwaitDescribed(kafka::Admin& admin, const std::string& name) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  bool there = false;
  while (!there && std::chrono::steady_clock::now() < deadline) {
    const auto found = admin.Describe({name}, std::chrono::seconds(30));
    REQUIRE_MESSAGE(found.ok(), found.status().ToString());
    there = found->contains(name);
  }
  REQUIRE_MESSAGE(there, "the broker does not know topic " << name);
}

// Creates a topic with a unique name, and returns the name.
inline std::string NewTopic(const std::string& prefix, int32_t partitions = 1,
                            std::map<std::string, std::string> config = {}) {
  const std::string name = UniqueName(prefix);
  const auto admin = kafka::Admin::Create(BrokerConfig());
  REQUIRE_MESSAGE(admin.ok(), admin.status().ToString());
  const Status created =
      (*admin)->Create({{.name = name, .partitions = partitions, .config = std::move(config)}},
                       std::chrono::seconds(30));
  REQUIRE_MESSAGE(created.ok(), "is the broker up (hack/kafka up)? " << created.ToString());
  AwaitDescribed(**admin, name);
  return name;
}

}  // namespace coho::test
