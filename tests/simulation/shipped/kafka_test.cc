// The Kafka of the simulation keeps Kafka's contract: what is visible when, who is fenced by what,
// what gets lost and what does not.
#include "tests/support/sim/kafka.h"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "common/kafka/consumer.h"
#include "tests/support/sim/cloud.h"

namespace coho::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Fixture {
  Fixture() : scheduler(7), kafka(&scheduler) {
    kafka.weather.marker_delay_min = kafka.weather.marker_delay_max = milliseconds(100);
    REQUIRE(kafka.CreateTopic("t", 2,
                              {{"cleanup.policy", "compact"}, {"delete.retention.ms", "1000"}}) ==
            Error::kNone);
  }
  void Pass(Duration time) { scheduler.RunUntil(scheduler.now() + time); }
  ProducerIdentity Init(const std::string& id, Duration timeout = seconds(60)) {
    ProducerIdentity producer;
    while (kafka.InitProducerId(id, timeout, {}, &producer) == Error::kConcurrentTransactions)
      Pass(milliseconds(50));
    return producer;
  }
  Error Send(const ProducerIdentity& producer, const std::string& id, const std::string& key,
             const std::string& value, int32_t partition = 0) {
    if (!id.empty()) {
      if (const Error error = kafka.AddPartition(id, producer, {"t", partition});
          error != Error::kNone)
        return error;
    }
    KafkaRecord record;
    record.key = key;
    record.value = value;
    record.has_value = !value.empty();
    int64_t base = 0;
    return kafka.Produce({"t", partition}, producer, id, {record}, &base);
  }
  std::string Read(bool committed = true) {
    std::string out;
    for (const KafkaRecord* record :
         kafka.Fetch({"t", 0}, kafka.Find({"t", 0})->begin, committed, 1000).records)
      out += record->key + "=" + record->value + " ";
    return out;
  }

  Scheduler scheduler;
  Kafka kafka;
};

TEST_CASE(
    "Kafka of the simulation: a commit is acknowledged before it can be read, and holds up the "
    "stable end until then") {
  Fixture f;
  const ProducerIdentity a = f.Init("a");
  REQUIRE(f.Send(a, "a", "k", "1") == Error::kNone);
  REQUIRE(f.Send({}, "", "plain", "2") == Error::kNone);
  CHECK(f.Read(false) == "k=1 plain=2 ");
  CHECK(f.Read() == "");
  REQUIRE(f.kafka.EndTransaction("a", a, true) == Error::kNone);
  CHECK(f.Read() == "");
  CHECK(f.kafka.Find({"t", 0})->StableEnd() == 0);
  CHECK(f.kafka.AddPartition("a", a, {"t", 0}) == Error::kConcurrentTransactions);
  f.Pass(milliseconds(200));
  CHECK(f.Read() == "k=1 plain=2 ");
  CHECK(f.kafka.Find({"t", 0})->StableEnd() == f.kafka.Find({"t", 0})->end);
  CHECK(f.kafka.EndTransaction("a", a, true) == Error::kNone);  // asked again
}

TEST_CASE(
    "Kafka of the simulation: what is initialised anew fences what was, and aborts its "
    "transaction") {
  Fixture f;
  const ProducerIdentity a = f.Init("a");
  REQUIRE(f.Send(a, "a", "k", "1") == Error::kNone);
  ProducerIdentity b;
  CHECK(f.kafka.InitProducerId("a", seconds(60), {}, &b) == Error::kConcurrentTransactions);
  CHECK(f.kafka.EndTransaction("a", a, true) == Error::kProducerFenced);
  CHECK(f.Send(a, "a", "k", "2") == Error::kProducerFenced);
  f.Pass(seconds(1));
  REQUIRE(f.kafka.InitProducerId("a", seconds(60), {}, &b) == Error::kNone);
  CHECK(b.epoch > a.epoch);
  CHECK(f.Read() == "");
  REQUIRE(f.Send(b, "a", "k", "3") == Error::kNone);
  REQUIRE(f.kafka.EndTransaction("a", b, true) == Error::kNone);
  f.Pass(seconds(1));
  CHECK(f.Read() == "k=3 ");
}

TEST_CASE(
    "Kafka of the simulation: a transaction that takes too long is aborted, and its producer may "
    "go on only if nobody else came") {
  Fixture f;
  const ProducerIdentity a = f.Init("a", seconds(20));
  REQUIRE(f.Send(a, "a", "k", "1") == Error::kNone);
  f.Pass(seconds(30));
  CHECK(f.kafka.EndTransaction("a", a, true) == Error::kProducerFenced);
  ProducerIdentity again;
  CHECK(f.kafka.InitProducerId("a", seconds(20), a, &again) == Error::kNone);
  const ProducerIdentity other = f.Init("a");
  CHECK(other.epoch > again.epoch);
  CHECK(f.kafka.InitProducerId("a", seconds(20), again, &again) == Error::kProducerFenced);
  CHECK(f.Read() == "");
}

TEST_CASE(
    "Kafka of the simulation: offsets of a transaction are unstable until it is decided, and old "
    "ones expire") {
  Fixture f;
  const TopicPartition in{"t", 1};
  const ProducerIdentity a = f.Init("a");
  std::optional<int64_t> next;
  REQUIRE(f.kafka.AddOffsets("a", a, "g", {{in, 5}}) == Error::kNone);
  CHECK(f.kafka.FetchOffset("g", in, &next) == Error::kUnstableOffsets);
  REQUIRE(f.kafka.EndTransaction("a", a, true) == Error::kNone);
  CHECK(f.kafka.FetchOffset("g", in, &next) == Error::kUnstableOffsets);
  f.Pass(seconds(1));
  REQUIRE(f.kafka.FetchOffset("g", in, &next) == Error::kNone);
  CHECK(next == 5);
  f.Pass(std::chrono::hours(24 * 8));
  REQUIRE(f.kafka.FetchOffset("g", in, &next) == Error::kNone);
  CHECK_FALSE(next.has_value());
}

TEST_CASE(
    "Kafka of the simulation: the cleaner keeps the last of each key, and tombstones for a while") {
  Fixture f;
  for (const char* value : {"1", "2", "3"}) REQUIRE(f.Send({}, "", "k", value) == Error::kNone);
  REQUIRE(f.Send({}, "", "gone", "1") == Error::kNone);
  REQUIRE(f.Send({}, "", "gone", "") == Error::kNone);
  f.kafka.Compact({"t", 0});
  CHECK(f.Read() == "k=3 gone= ");
  f.Pass(seconds(5));
  f.kafka.Compact({"t", 0});
  CHECK(f.Read() == "k=3 ");
  CHECK(f.kafka.Find({"t", 0})->end == 5);
}

TEST_CASE("Kafka of the simulation: deleted records and topics made anew") {
  Fixture f;
  for (const char* value : {"1", "2", "3"}) REQUIRE(f.Send({}, "", "k", value) == Error::kNone);
  f.kafka.DeleteRecords({"t", 0}, 2);
  CHECK(f.Read() == "k=3 ");
  CHECK(f.kafka.Fetch({"t", 0}, 1, true, 10).error == Error::kOffsetOutOfRange);
  const std::string id = f.kafka.FindTopic("t")->id;
  REQUIRE(f.kafka.DeleteTopic("t") == Error::kNone);
  CHECK(f.kafka.Fetch({"t", 0}, 0, true, 10).error == Error::kUnknownTopic);
  REQUIRE(f.kafka.CreateTopic("t", 1, {}) == Error::kNone);
  CHECK(f.kafka.FindTopic("t")->id != id);
  CHECK(f.kafka.Find({"t", 0})->end == 0);
}

TEST_CASE("reading to the end: no key is missing because it was written anew meanwhile") {
  Cloud cloud(7);
  Kafka& kafka = cloud.kafka;
  REQUIRE(kafka.CreateTopic("t", 1, {{"cleanup.policy", "compact"}}) == Error::kNone);
  const auto write = [&](const std::string& key, const std::string& value) {
    KafkaRecord record;
    record.key = key;
    record.value = value;
    int64_t offset = 0;
    REQUIRE(kafka.Produce({"t", 0}, {}, {}, {record}, &offset) == Error::kNone);
  };
  write("claim", "1");
  write("model", "1");
  std::map<std::string, std::string> read;
  Status status = Status(Code::kInternal, "not read");
  const Process* reader = cloud.scheduler.Start("reader", 1, [&] {
    const auto consumer = kafka::Consumer::Create({}, {});
    REQUIRE(consumer.ok());
    status = (*consumer)->ReadToEnd({"t", 0}, seconds(30), [&](const kafka::Record& record) {
      read[std::string(record.key())] = record.value();
      return Status::Ok();
    });
  });
  // It knows where the topic ends, and its quota keeps it from reading on.
  cloud.network.throttled_until[reader] = cloud.scheduler.now() + seconds(3);
  cloud.scheduler.RunUntil(cloud.scheduler.now() + seconds(1));
  write("claim", "2");
  kafka.Compact({"t", 0});
  cloud.scheduler.RunUntil(cloud.scheduler.now() + seconds(10));
  CHECK(status.ok());
  CHECK(read == std::map<std::string, std::string>{{"claim", "2"}, {"model", "1"}});
}

}  // namespace
}  // namespace coho::sim
