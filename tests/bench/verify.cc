// Whether a job's committed output is what its input demands: for pass-through the same records,
// for count each running count of each key exactly once. Both as sums of hashes, so that order does
// not matter and nothing but the input's counts is kept in memory.
#include <absl/container/flat_hash_map.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <numeric>

#include "tests/bench/plain_kafka.h"

namespace coho::bench {
namespace {

uint64_t Hash(std::string_view key, uint64_t value) {
  uint64_t x = std::hash<std::string_view>()(key) ^ (value * 0x9e3779b97f4a7c15ULL);
  x ^= x >> 31;
  x *= 0xbf58476d1ce4e5b9ULL;
  return x ^ (x >> 29);
}

// Every committed record of a topic; gives how many there are.
int64_t ReadAll(const std::string& brokers, const std::string& topic,
                const std::function<void(const rd_kafka_message_t&)>& each) {
  const Client reader = MakeReader(brokers, {{"enable.partition.eof", "true"}});
  const int partitions = PartitionsOf(reader.get(), topic);
  if (partitions == 0) Die("there is no topic " + topic);
  std::vector<int> all(static_cast<size_t>(partitions));
  std::iota(all.begin(), all.end(), 0);
  Assign(reader.get(), topic, all, RD_KAFKA_OFFSET_BEGINNING);
  rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(reader.get());
  std::vector<rd_kafka_message_t*> batch(2000);
  int64_t count = 0;
  for (int ended = 0; ended < partitions;) {
    const ssize_t n = rd_kafka_consume_batch_queue(queue, 1000, batch.data(), batch.size());
    for (size_t i = 0; n > 0 && i < static_cast<size_t>(n); ++i) {
      if (batch[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) ++ended;
      if (batch[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        each(*batch[i]);
        ++count;
      }
      rd_kafka_message_destroy(batch[i]);
    }
  }
  rd_kafka_queue_destroy(queue);
  rd_kafka_consumer_close(reader.get());
  return count;
}

}  // namespace
}  // namespace coho::bench

int main(int argc, char** argv) {
  using namespace coho::bench;
  std::string brokers, input, output, work;
  CLI::App app("Compares a job's output with its input");
  app.add_option("--brokers", brokers)->required();
  app.add_option("--input", input)->required();
  app.add_option("--output", output)->required();
  app.add_option("--work", work)->required()->check(CLI::IsMember({"pass-through", "count"}));
  CLI11_PARSE(app, argc, argv);

  const bool counting = work == "count";
  uint64_t want = 0;
  uint64_t got = 0;
  absl::flat_hash_map<std::string, uint64_t> counts;
  const int64_t in = ReadAll(brokers, input, [&](const rd_kafka_message_t& record) {
    uint64_t value = 0;
    if (counting)
      value = ++counts[absl::string_view(KeyOf(record).data(), KeyOf(record).size())];
    else
      value = std::hash<std::string_view>()(ValueOf(record));
    want += Hash(KeyOf(record), value);
  });
  const int64_t out = ReadAll(brokers, output, [&](const rd_kafka_message_t& record) {
    uint64_t value = 0;
    if (counting) {
      for (const char c : ValueOf(record)) value = value << 8 | static_cast<unsigned char>(c);
    } else {
      value = std::hash<std::string_view>()(ValueOf(record));
    }
    got += Hash(KeyOf(record), value);
  });
  const bool right = in == out && want == got;
  std::printf("{\"input\": %lld, \"output\": %lld, \"right\": %s}\n", static_cast<long long>(in),
              static_cast<long long>(out), right ? "true" : "false");
  return right ? 0 : 1;
}
