// Clients of the test broker, and reading until something was seen.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"
#include "tests/integration/broker.h"

namespace coho::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

#define REQUIRE_OK(expr)                                 \
  do {                                                   \
    const ::coho::Status required = (expr);              \
    REQUIRE_MESSAGE(required.ok(), required.ToString()); \
  } while (false)

inline std::unique_ptr<kafka::Consumer> NewConsumer(kafka::ConsumerOptions options = {}) {
  auto consumer = kafka::Consumer::Create(BrokerConfig(), options);
  REQUIRE_MESSAGE(consumer.ok(), consumer.status().ToString());
  return *std::move(consumer);
}

inline std::unique_ptr<kafka::Producer> NewProducer(kafka::ProducerOptions options = {}) {
  auto producer = kafka::Producer::Create(BrokerConfig(), options);
  REQUIRE_MESSAGE(producer.ok(), producer.status().ToString());
  if (!options.transactional_id.empty()) REQUIRE_OK((*producer)->InitTransactions(seconds(30)));
  return *std::move(producer);
}

inline kafka::Producer::Topic Open(kafka::Producer& producer, const std::string& topic) {
  auto opened = producer.OpenTopic(topic);
  REQUIRE(opened.ok());
  return *opened;
}

// A record, copied out of its batch.
struct Seen {
  std::string key;
  std::string value;
  int32_t partition = 0;
  int64_t offset = 0;
  bool end = false;
};

// Reads until `done` says so of a record; fails after half a minute. Returns all records but ends
// of partitions.
inline std::vector<Seen> ReadUntil(kafka::Consumer& consumer,
                                   const std::function<bool(const Seen&)>& done) {
  std::vector<Seen> seen;
  kafka::RecordBatch batch(100);
  const auto deadline = std::chrono::steady_clock::now() + seconds(30);
  while (std::chrono::steady_clock::now() < deadline) {
    REQUIRE_OK(consumer.Poll(milliseconds(100), &batch));
    bool finished = false;
    for (size_t i = 0; i < batch.size(); ++i) {
      const kafka::Record& record = batch[i];
      const Seen one{std::string(record.key()), std::string(record.value()), record.partition(),
                     record.offset(), record.is_end_of_partition()};
      finished = done(one) || finished;
      if (!one.end) seen.push_back(one);
    }
    if (finished) return seen;
  }
  FAIL("what the test waits for was not read within 30 s");
  return seen;
}

// All of a one-partition topic, from `from` to its end. `end` gets the end's offset. Kafka answers
// a commit when it is decided, and writes its markers later: until then what was committed is not
// shown, and the last stable offset is before it. So the end is the high watermark of now, which
// markers still to come push further; what is promised is that they come.
inline std::vector<Seen> ReadAll(const std::string& topic, bool read_committed = true,
                                 int64_t* end = nullptr, int64_t from = kafka::Consumer::kBegin) {
  const auto consumer = NewConsumer({.read_committed = read_committed});
  const auto ends = consumer->QueryHighWatermarks({{topic, 0}}, seconds(30));
  REQUIRE_OK(ends.status());
  const int64_t all = ends->at({topic, 0});
  REQUIRE_OK(consumer->Assign({{{topic, 0}, from}}));
  return ReadUntil(*consumer, [&](const Seen& one) {
    if (one.end && end != nullptr) *end = one.offset;
    return one.end && one.offset >= all;
  });
}

// Waits until the partition ends there, for this consumer's isolation: markers come after the
// answer to a commit or an abort.
inline void AwaitEnd(kafka::Consumer& consumer, const TopicPartition& partition, int64_t end) {
  const auto deadline = std::chrono::steady_clock::now() + seconds(30);
  int64_t seen = -1;
  while (seen != end && std::chrono::steady_clock::now() < deadline) {
    const auto range = consumer.QueryRange(partition, seconds(30));
    REQUIRE_OK(range.status());
    seen = range->end;
    REQUIRE(seen <= end);
  }
  CHECK(seen == end);
}

inline std::vector<std::string> Values(const std::vector<Seen>& records) {
  std::vector<std::string> values;
  for (const Seen& one : records) values.push_back(one.value);
  return values;
}

}  // namespace coho::test
