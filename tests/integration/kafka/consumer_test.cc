#include <doctest/doctest.h>

#include "common/kafka/admin.h"
#include "tests/integration/kafka/clients.h"

namespace coho::test {
namespace {

// Values 0 .. n-1 in a partition.
void Fill(const std::string& topic, int32_t partition, int n) {
  const auto producer = NewProducer();
  const auto out = Open(*producer, topic);
  for (int i = 0; i < n; ++i)
    REQUIRE_OK(producer->Send(out, partition, {.key = "k", .value = std::to_string(i)}));
  REQUIRE_OK(producer->Flush(seconds(30)));
}

TEST_CASE("Consumer: reads from the offset it was assigned at, and says where the end is") {
  const std::string topic = NewTopic("c-assign", 2);
  Fill(topic, 0, 10);
  Fill(topic, 1, 5);
  const auto consumer = NewConsumer();
  CHECK(consumer->CachedRange({topic, 0}) == std::nullopt);
  REQUIRE_OK(consumer->Assign({{{topic, 0}, 7}, {{topic, 1}, kafka::Consumer::kBegin}}));
  std::map<int32_t, int64_t> ends;
  const auto seen = ReadUntil(*consumer, [&](const Seen& one) {
    if (one.end) ends[one.partition] = one.offset;
    return ends.size() == 2;
  });
  CHECK(ends == std::map<int32_t, int64_t>{{0, 10}, {1, 5}});
  std::map<int32_t, std::vector<int64_t>> offsets;
  for (const Seen& one : seen) {
    offsets[one.partition].push_back(one.offset);
    CHECK(one.value == std::to_string(one.offset));
  }
  CHECK(offsets == std::map<int32_t, std::vector<int64_t>>{{0, {7, 8, 9}}, {1, {0, 1, 2, 3, 4}}});
  REQUIRE(consumer->CachedRange({topic, 0}).has_value());
  CHECK(consumer->CachedRange({topic, 0})->end == 10);
}

TEST_CASE("Consumer: from the latest on, only new records") {
  const std::string topic = NewTopic("c-latest");
  Fill(topic, 0, 3);
  const auto consumer = NewConsumer();
  REQUIRE_OK(consumer->Assign({{{topic, 0}, kafka::Consumer::kEnd}}));
  CHECK(ReadUntil(*consumer, [](const Seen& one) { return one.end; }).empty());
  Fill(topic, 0, 1);
  CHECK(ReadUntil(*consumer, [](const Seen& one) { return !one.end; }).front().offset == 3);
}

TEST_CASE("Consumer: a partition can be assigned once only") {
  const std::string topic = NewTopic("c-twice");
  const auto consumer = NewConsumer();
  REQUIRE_OK(consumer->Assign({{{topic, 0}, 0}}));
  CHECK_FALSE(consumer->Assign({{{topic, 0}, 0}}).ok());
}

TEST_CASE("Consumer: nothing of an unassigned partition comes any more, the others go on") {
  const std::string topic = NewTopic("c-unassign", 2);
  Fill(topic, 0, 20'000);
  Fill(topic, 1, 20'000);
  for (int round = 0; round < 10; ++round) {
    const auto consumer = NewConsumer();
    REQUIRE_OK(consumer->Assign({{{topic, 0}, 0}, {{topic, 1}, 0}}));
    // Both partitions lie fetched in librdkafka's queues now.
    bool first = false;
    bool second = false;
    (void)ReadUntil(*consumer, [&](const Seen& one) {
      (one.partition == 0 ? first : second) = true;
      return first && second;
    });
    REQUIRE_OK(consumer->Unassign({{topic, 0}}));
    const auto rest =
        ReadUntil(*consumer, [](const Seen& one) { return one.partition == 1 && one.end; });
    for (const Seen& one : rest) REQUIRE(one.partition == 1);

    REQUIRE_OK(consumer->Assign({{{topic, 0}, 100}}));
    const auto again = ReadUntil(*consumer, [](const Seen& one) { return one.partition == 0; });
    REQUIRE(again.front().offset == 100);
  }
}

TEST_CASE("Consumer: after a seek the next record is the one asked for") {
  const std::string topic = NewTopic("c-seek");
  Fill(topic, 0, 20'000);
  const auto consumer = NewConsumer();
  REQUIRE_OK(consumer->Assign({{{topic, 0}, 0}}));
  REQUIRE_OK(consumer->Seek({topic, 0}, 5000));  // at once
  CHECK(ReadUntil(*consumer, [](const Seen& one) { return !one.end; }).front().offset == 5000);
  for (const int64_t offset : {100, 19'999, 0, 12'345}) {
    REQUIRE_OK(consumer->Seek({topic, 0}, offset));
    CHECK(ReadUntil(*consumer, [](const Seen& one) { return !one.end; }).front().offset == offset);
  }
}

TEST_CASE("Consumer: an offset beyond the end is an error, not a silent jump") {
  const std::string topic = NewTopic("c-beyond");
  Fill(topic, 0, 3);
  const auto consumer = NewConsumer();
  REQUIRE_OK(consumer->Assign({{{topic, 0}, 1000}}));
  kafka::RecordBatch batch(10);
  Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) status = consumer->Poll(milliseconds(100), &batch);
  CHECK(status.code() == Code::kCorruption);
  CHECK(status.message() == "topic " + topic +
                                " partition 0: offset 1000 lies beyond the end 3: the topic lost "
                                "records or was created anew");
}

TEST_CASE("Consumer: a topic that is missing, or deleted while it is read, is NotFound") {
  const auto consumer = NewConsumer();
  const std::string missing = UniqueName("c-missing");
  const Status range = consumer->QueryRange({missing, 0}, seconds(10)).status();
  CAPTURE(range.ToString());
  CHECK(range.code() == Code::kNotFound);
  CHECK(range.message().find(missing) != std::string::npos);

  const std::string topic = NewTopic("c-deleted");
  REQUIRE_OK(consumer->Assign({{{topic, 0}, 0}}));
  (void)ReadUntil(*consumer, [](const Seen& one) { return one.end; });
  const auto admin = kafka::Admin::Create(BrokerConfig());
  REQUIRE(admin.ok());
  REQUIRE_OK((*admin)->Delete({topic}, seconds(30)));
  kafka::RecordBatch batch(10);
  Status status;
  const auto deadline = std::chrono::steady_clock::now() + seconds(60);
  while (status.ok() && std::chrono::steady_clock::now() < deadline) {
    status = consumer->Poll(milliseconds(100), &batch);
  }
  CAPTURE(status.ToString());
  CHECK(status.code() == Code::kNotFound);
  CHECK(status.message().find(topic) != std::string::npos);
}

TEST_CASE(
    "Consumer: offsets committed without a transaction are read back; none where none were "
    "committed") {
  const std::string topic = NewTopic("c-commit", 2);
  const auto consumer = NewConsumer({.group_id = UniqueName("group")});
  REQUIRE_OK(consumer->Commit({{{topic, 0}, 42}}));
  CHECK(consumer->Committed({{topic, 0}, {topic, 1}}, seconds(30)).value() ==
        std::map<TopicPartition, int64_t>{{{topic, 0}, 42}});
}

TEST_CASE("Consumer: a topic that was made anew has another id, one that is missing has none") {
  const std::string topic = NewTopic("c-topic-id");
  const std::string missing = topic + "-missing";
  const auto made = kafka::Admin::Create(BrokerConfig());
  REQUIRE(made.ok());
  kafka::Admin* admin = made->get();
  const auto consumer = NewConsumer();
  const auto ids = [&] {
    REQUIRE_OK(consumer->AskTopicIds({topic, missing}, seconds(30)));
    auto answer = consumer->TakeTopicIds();
    while (!answer) {
      kafka::RecordBatch batch(1);
      REQUIRE_OK(consumer->Poll(milliseconds(10), &batch));
      answer = consumer->TakeTopicIds();
    }
    REQUIRE_MESSAGE(answer->ok(), answer->status().ToString());
    return **std::move(answer);
  };
  const auto first = ids();
  REQUIRE(first.contains(topic));
  CHECK_FALSE(first.contains(missing));
  CHECK(first.at(topic) == admin->Describe({topic}, seconds(30))->at(topic).id);
  REQUIRE_OK(admin->Delete({topic}, seconds(30)));
  while (ids().contains(topic)) {
  }
  REQUIRE_OK(admin->Create({{.name = topic}}, seconds(30)));
  auto second = ids();
  while (!second.contains(topic)) second = ids();
  CHECK(second.at(topic) != first.at(topic));
}

TEST_CASE("Consumer: keys, values, tombstones, headers and timestamps arrive as they were sent") {
  const std::string topic = NewTopic("c-content");
  const auto producer = NewProducer();
  const auto out = Open(*producer, topic);
  const std::string binary("\0\xff\n", 3);
  const kafka::Header headers[] = {{"origin", "here"}, {"empty", ""}, {"origin", binary}};
  REQUIRE_OK(producer->Send(
      out, 0,
      {.key = "k", .value = binary, .timestamp_ms = 1'234'567'890'123, .headers = headers}));
  REQUIRE_OK(producer->Send(out, 0, {.key = "k", .has_value = false}));
  REQUIRE_OK(producer->Send(out, 0, {.value = "no key", .has_key = false}));
  REQUIRE_OK(producer->Send(out, 0, {.key = "", .value = ""}));
  REQUIRE_OK(
      producer->Send(out, 0, {.key = "k", .has_value = false, .headers = std::span(headers, 1)}));
  REQUIRE_OK(producer->Flush(seconds(30)));

  auto consumer = NewConsumer();
  REQUIRE_OK(consumer->Assign({{{topic, 0}, 0}}));
  std::vector<std::unique_ptr<kafka::RecordBatch>> batches;
  std::vector<kafka::Record> batch;
  while (batch.size() < 6) {
    batches.push_back(std::make_unique<kafka::RecordBatch>(6));
    REQUIRE_OK(consumer->Poll(seconds(30), batches.back().get()));
    REQUIRE(batches.back()->size() > 0);
    for (size_t i = 0; i < batches.back()->size(); ++i) batch.push_back((*batches.back())[i]);
  }
  consumer.reset();  // records outlive the consumer that read them
  CHECK(batch[0].topic() == topic);
  CHECK(batch[0].topic_handle() == batch[1].topic_handle());
  CHECK(batch[0].key() == "k");
  CHECK(batch[0].value() == binary);
  CHECK(batch[0].timestamp_ms() == 1'234'567'890'123);
  const auto read = batch[0].headers();
  REQUIRE(read.size() == 3);
  CHECK(read[0].name == "origin");
  CHECK(read[0].value == "here");
  CHECK(read[1].value == "");
  CHECK(read[2].value == binary);
  CHECK(batch[1].is_tombstone());
  CHECK(batch[1].headers().empty());
  CHECK_FALSE(batch[2].has_key());
  CHECK(batch[2].value() == "no key");
  CHECK(batch[3].has_key());
  CHECK_FALSE(batch[3].is_tombstone());
  CHECK(batch[3].value() == "");
  CHECK(batch[4].is_tombstone());
  CHECK(batch[4].headers().size() == 1);
  CHECK(batch[5].is_end_of_partition());
  CHECK(batch[5].offset() == 5);
  CHECK(batch[5].topic() == topic);
}

TEST_CASE("Consumer: a poll does not wait for a full batch") {
  const std::string topic = NewTopic("c-latency");
  Fill(topic, 0, 1);
  const auto consumer = NewConsumer();
  REQUIRE_OK(consumer->Assign({{{topic, 0}, 0}}));
  kafka::RecordBatch batch(1000);
  // Longer than this program may run.
  REQUIRE_OK(consumer->Poll(std::chrono::hours(1), &batch));
  CHECK(batch.size() >= 1);
}

TEST_CASE("Producer: a key's partition is the one that Kafka's own clients choose") {
  // 21, foobar, ... with their murmur2 as Kafka's own tests have them; partition = (hash &
  // 0x7fffffff) % count.
  const std::pair<const char*, uint32_t> vectors[] = {
      {"21", static_cast<uint32_t>(-973932308)},
      {"foobar", static_cast<uint32_t>(-790332482)},
      {"a-little-bit-long-string", static_cast<uint32_t>(-985981536)},
      {"a-little-bit-longer-string", static_cast<uint32_t>(-1486304829)},
      {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", static_cast<uint32_t>(-58897971)},
      {"abc", 479470107},
  };
  constexpr int32_t kPartitions = 97;
  const std::string topic = NewTopic("p-murmur2", kPartitions);
  const auto producer = NewProducer();
  const auto out = Open(*producer, topic);
  const auto consumer = NewConsumer({.end_of_partition = false});
  std::map<TopicPartition, int64_t> all;
  for (int32_t p = 0; p < kPartitions; ++p) all[{topic, p}] = 0;
  REQUIRE_OK(consumer->Assign(all));
  for (const auto& [key, hash] : vectors) {
    REQUIRE_OK(producer->Send(out, kafka::Producer::kByKey, {.key = key, .value = "v"}));
  }
  REQUIRE_OK(producer->Flush(seconds(30)));
  std::map<std::string, int32_t> partitions;
  (void)ReadUntil(*consumer, [&](const Seen& one) {
    partitions[one.key] = one.partition;
    return partitions.size() == std::size(vectors);
  });
  for (const auto& [key, hash] : vectors) {
    CAPTURE(key);
    CHECK(partitions[key] == static_cast<int32_t>((hash & 0x7fffffff) % kPartitions));
  }
}

TEST_CASE("Producer: a full queue is waited for, not an error") {
  const std::string topic = NewTopic("p-full");
  const auto producer = NewProducer({.queued_bytes_max = 64 << 10});
  const auto out = Open(*producer, topic);
  kafka::DeliverySlot slot;
  const std::string value(1000, 'x');
  for (int i = 0; i < 2000; ++i)
    REQUIRE_OK(producer->Send(out, 0, {.key = "k", .value = value}, &slot));
  REQUIRE_OK(producer->Flush(seconds(30)));
  CHECK(slot.last_offset == 1999);
}

}  // namespace
}  // namespace coho::test
