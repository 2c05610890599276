// librdkafka counts payload alone; what each record costs beside it is bounded by their number.
#include <doctest/doctest.h>

#include <chrono>
#include <string>

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

}  // namespace
}  // namespace coho::kafka
