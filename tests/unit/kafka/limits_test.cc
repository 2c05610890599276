// librdkafka counts payload alone; what each record costs beside it is bounded by their number.
#include <doctest/doctest.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>

#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"

namespace coho::kafka {
namespace {

TEST_CASE("Producer: small records are limited by their number, not only by their bytes") {
  constexpr int64_t kBytes = 1 << 20;
  const auto producer =
      Producer::Create({.bootstrap_servers = "127.0.0.1:1"},
                       {.queued_bytes_max = kBytes, .keep_waiting = [] { return false; }});
  REQUIRE(producer.ok());
  const Producer::Topic topic = (*producer)->OpenTopic("t").value();
  int64_t sent = 0;
  Status status;
  for (; status.ok() && sent < kBytes; ++sent)
    status = (*producer)->Send(topic, 0, {.key = "k", .value = "v"});
  CHECK(status.code() == Code::kUnavailable);
  // At some hundred bytes each, about what was allowed.
  CHECK(sent >= kBytes / 512);
  CHECK(sent <= kBytes / 128);
}

int64_t SettingOf(const Consumer& consumer, const char* name) {
  char value[64] = "";
  size_t size = sizeof value;
  REQUIRE(rd_kafka_conf_get(rd_kafka_conf(static_cast<rd_kafka_t*>(consumer.native())), name, value,
                            &size) == RD_KAFKA_CONF_OK);
  return std::atoll(value);
}

TEST_CASE("Consumer: a small share of memory is not overshot by one fetch, nor by small records") {
  for (const int64_t bytes : {4 << 20, 16 << 20, 64 << 20}) {
    CAPTURE(bytes);
    const auto consumer =
        Consumer::Create({.bootstrap_servers = "127.0.0.1:1"}, {.queued_bytes_max = bytes});
    REQUIRE(consumer.ok());
    CHECK(SettingOf(**consumer, "queued.max.messages.kbytes") == bytes >> 10);
    // It is taken in whole, on top of what is queued.
    CHECK(SettingOf(**consumer, "fetch.max.bytes") <= bytes / 4);
    CHECK(SettingOf(**consumer, "fetch.max.bytes") >= bytes / 8);
    // At some hundred bytes each beside their own.
    CHECK(SettingOf(**consumer, "queued.min.messages") * 512 <= bytes);
  }
}

}  // namespace
}  // namespace coho::kafka
