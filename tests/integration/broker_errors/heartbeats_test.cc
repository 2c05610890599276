// A worker's heartbeats when a broker makes an end of their producer.
#include <doctest/doctest.h>

#include <functional>

#include "tests/support/mock_kafka.h"
#include "worker/member/kafka_member_ports.h"

namespace coho::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using E = KafkaError;
using R = KafkaRequest;

TEST_CASE("heartbeats: a producer that is of no more use is replaced, and the next one is heard") {
  MockKafka kafka;
  Job job;
  job.id = {"test", "job"};
  job.kafka.topic_prefix = "job";
  kafka.MakeTopic(job.HeartbeatsTopic());
  KafkaHeartbeatLog log(job, kafka.config());
  int64_t number = 0;
  Status status;
  // As a member does: one now and then, whatever became of those before.
  const auto beat_until = [&](const std::function<bool()>& done) {
    const MonotonicTime deadline = Clock::Real().Now() + seconds(30);
    while (!done() && Clock::Real().Now() < deadline) {
      status = log.Send(++number, {.key = "0", .value = "beat"});
      log.Flush(milliseconds(100)).IgnoreError("heard is what counts");
    }
    return done();
  };
  REQUIRE(beat_until([&] { return log.Delivered() > 0; }));
  // The broker lost what it had acknowledged: fatal to a producer that must not repeat itself.
  kafka.Answer(R::kProduce, {E::kOutOfOrderSequence});
  REQUIRE(beat_until([&] { return status.code() == Code::kFenced; }));
  const int64_t last = number;
  REQUIRE(beat_until([&] { return log.Delivered() > last; }));
  CHECK(status.ok());
}

}  // namespace
}  // namespace coho::test
