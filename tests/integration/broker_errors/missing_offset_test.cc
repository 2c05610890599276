// A reader that stands at an offset that is not there.
#include <doctest/doctest.h>

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
    kafka.MakeTopic("t");
    auto writes = kafka::Producer::Create(kafka.config(), {.compression = "none"});
    REQUIRE(writes.ok());
    producer = *std::move(writes);
    auto reads = kafka::Consumer::Create(kafka.config(), {.read_committed = false});
    REQUIRE(reads.ok());
    consumer = *std::move(reads);
  }
  void Write(int records, size_t bytes) {
    const auto topic = producer->OpenTopic("t").value();
    const std::string value(bytes, 'v');
    for (int i = 0; i < records; ++i) {
      REQUIRE(producer->Send(topic, 0, {.key = "k", .value = value}).ok());
      REQUIRE(producer->Flush(seconds(10)).ok());
    }
  }
  // Polls until it has a record or fails, or the time is over; never waits longer than it was told.
  void Read(Duration most) {
    const MonotonicTime deadline = Clock::Real().Now() + most;
    while (status.ok() && !first && Clock::Real().Now() < deadline) {
      const MonotonicTime before = Clock::Real().Now();
      status = consumer->Poll(milliseconds(50), &batch);
      longest = std::max(longest, Clock::Real().Now() - before);
      for (const kafka::Record& record : batch.records()) {
        if (!record.is_end_of_partition() && !first) first = record.offset();
      }
    }
  }

  MockKafka kafka;
  std::unique_ptr<kafka::Producer> producer;
  std::unique_ptr<kafka::Consumer> consumer;
  kafka::RecordBatch batch{10};
  Status status;
  std::optional<int64_t> first;
  Duration longest{};
};

TEST_CASE("consumer: what there is instead of a missing offset is asked until Kafka says it") {
  World world;
  // The mock cluster keeps five megabytes of a partition.
  world.Write(20, 500'000);
  world.kafka.AnswerAll(R::kListOffsets, E::kNotLeader);
  REQUIRE(world.consumer->Assign({{{"t", 0}, 0}}).ok());
  world.Read(seconds(8));
  CAPTURE(world.status.ToString());
  CHECK(world.status.ok());
  CHECK_FALSE(world.first);
  CHECK(world.longest < seconds(3));  // others are read meanwhile
  CHECK(world.kafka.Count(R::kListOffsets) >= 4);

  world.kafka.AnswerAll(R::kListOffsets, E::kNone);
  world.Read(seconds(20));
  CHECK(world.status.ok());
  REQUIRE(world.first);
  CHECK(*world.first > 0);
  CHECK(world.consumer->records_lost() == static_cast<uint64_t>(*world.first));
}

TEST_CASE("consumer: a leader that gives no answer does not make a partition empty") {
  World world;
  world.Write(3, 10);
  SUBCASE("its connection is cut") { world.kafka.AnswerAll(R::kListOffsets, E::kConnectionCut); }
  SUBCASE("it answers too late") {
    for (int i = 0; i < 8; ++i) world.kafka.AnswerLate(1, R::kListOffsets, E::kNone, seconds(5));
  }
  SUBCASE("its disk is away") { world.kafka.AnswerAll(R::kListOffsets, E::kStorageError); }
  const auto range = world.consumer->QueryRange({"t", 0}, seconds(2));
  REQUIRE_FALSE(range.ok());
  CAPTURE(range.status().ToString());
  CHECK(range.status().retry_class() == RetryClass::kRetry);
  const auto ends = world.consumer->QueryHighWatermarks({{"t", 0}}, seconds(2));
  CHECK((!ends.ok() || ends->empty()));
}

TEST_CASE("consumer: an offset beyond the end is told, and nobody goes on somewhere else") {
  World world;
  world.Write(3, 10);
  REQUIRE(world.consumer->Assign({{{"t", 0}, 10}}).ok());
  world.Read(seconds(20));
  CHECK(world.status.code() == Code::kCorruption);
  CHECK(world.status.message().find("offset 10 lies beyond the end 3") != std::string::npos);
  CHECK_FALSE(world.first);
}

TEST_CASE("consumer: a partition that is let go of is not asked for any more") {
  World world;
  world.Write(3, 10);
  world.kafka.AnswerAll(R::kListOffsets, E::kNotLeader);
  REQUIRE(world.consumer->Assign({{{"t", 0}, 10}}).ok());
  world.Read(seconds(2));
  REQUIRE(world.consumer->Unassign({{"t", 0}}).ok());
  world.kafka.AnswerAll(R::kListOffsets, E::kNone);
  REQUIRE(world.consumer->Assign({{{"t", 0}, 1}}).ok());
  world.Read(seconds(20));
  CHECK(world.status.ok());
  CHECK(world.first == 1);
}

}  // namespace
}  // namespace coho::test
