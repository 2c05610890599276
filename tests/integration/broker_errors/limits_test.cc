// How much a consumer may hold.
#include <doctest/doctest.h>

#include "common/kafka/consumer.h"
#include "tests/support/mock_kafka.h"

namespace coho::test {
namespace {

TEST_CASE("Consumer: a small share of memory is not overshot by one fetch, nor by small records") {
  for (const int64_t bytes : {4 << 20, 16 << 20, 64 << 20}) {
    CAPTURE(bytes);
    const auto made =
        kafka::Consumer::Create({.bootstrap_servers = "127.0.0.1:1"}, {.queued_bytes_max = bytes});
    REQUIRE(made.ok());
    void* const client = (*made)->native();
    CHECK(SettingOf(client, "queued.max.messages.kbytes") == bytes >> 10);
    // It is taken in whole, on top of what is queued.
    CHECK(SettingOf(client, "fetch.max.bytes") <= bytes / 4);
    CHECK(SettingOf(client, "fetch.max.bytes") >= bytes / 8);
    // At some hundred bytes each beside their own.
    CHECK(SettingOf(client, "queued.min.messages") * 512 <= bytes);
  }
}

}  // namespace
}  // namespace coho::test
