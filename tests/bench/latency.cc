// End-to-end latency of a job that makes one output record of each input record, in order, to the
// same partition: sends keyed records at an even rate, reads the committed output, and prints how
// long records took from send to read.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <numeric>
#include <thread>

#include "tests/bench/plain_kafka.h"

namespace coho::bench {
namespace {

using std::chrono::steady_clock;

class Latency {
 public:
  Latency(std::string brokers, std::string input, std::string output, int partitions)
      : brokers_(std::move(brokers)),
        input_(std::move(input)),
        output_(std::move(output)),
        sent_(static_cast<size_t>(partitions)),
        read_(static_cast<size_t>(partitions)) {}

  void Send(int rate, int seconds) {
    const Client producer = MakeClient(RD_KAFKA_PRODUCER, {{"bootstrap.servers", brokers_},
                                                           {"linger.ms", "0"},
                                                           {"enable.idempotence", "true"},
                                                           {"compression.codec", "lz4"}});
    rd_kafka_topic_t* topic = rd_kafka_topic_new(producer.get(), input_.c_str(), nullptr);
    const auto begin = steady_clock::now();
    const int64_t all = int64_t{rate} * seconds;
    std::string value(84, 'v');
    for (int64_t i = 0; i < all;) {
      const auto now = steady_clock::now();
      const auto due = std::min<int64_t>(
          all, static_cast<int64_t>(std::chrono::duration<double>(now - begin).count() * rate));
      for (; i < due; ++i) {
        // The job sends to the partition of the key, so that output must be there where input was.
        const std::string key = "key-" + std::to_string(i % 10'000);
        const auto partition = static_cast<size_t>(rd_kafka_msg_partitioner_murmur2(
            topic, key.data(), key.size(), static_cast<int32_t>(sent_.size()), nullptr, nullptr));
        {
          const std::lock_guard lock(mutex_);
          sent_[partition].push_back(steady_clock::now());
        }
        while (rd_kafka_produce(topic, static_cast<int32_t>(partition), RD_KAFKA_MSG_F_COPY,
                                value.data(), value.size(), key.data(), key.size(), nullptr) != 0)
          rd_kafka_poll(producer.get(), 1);
      }
      rd_kafka_poll(producer.get(), 0);
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
    Must(rd_kafka_flush(producer.get(), 60'000), "flush");
    rd_kafka_topic_destroy(topic);
    total_ = all;
  }

  // Reads until all that was sent has come, and gives latencies in milliseconds, sorted.
  std::vector<double> Read(double skip_seconds) {
    const Client reader =
        MakeReader(brokers_, {{"fetch.wait.max.ms", "10"}, {"fetch.queue.backoff.ms", "1"}});
    while (PartitionsOf(reader.get(), output_) == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    std::vector<int> all(read_.size());
    std::iota(all.begin(), all.end(), 0);
    Assign(reader.get(), output_, all, RD_KAFKA_OFFSET_BEGINNING);
    reading_ = true;
    std::vector<double> latencies;
    steady_clock::time_point first{};
    auto last_at = steady_clock::now();
    for (int64_t count = 0; total_ < 0 || count < total_;) {
      rd_kafka_message_t* record = rd_kafka_consumer_poll(reader.get(), 100);
      const auto now = steady_clock::now();
      if (record == nullptr) {
        if (total_ >= 0 && now - last_at > std::chrono::seconds(60)) Die("records are missing");
        continue;
      }
      last_at = now;
      if (record->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const auto partition = static_cast<size_t>(record->partition);
        const std::lock_guard lock(mutex_);
        if (read_[partition] >= sent_[partition].size()) Die("more output than input");
        const auto sent = sent_[partition][read_[partition]++];
        if (count++ == 0) first = sent;
        if (sent - first > std::chrono::duration<double>(skip_seconds))
          latencies.push_back(std::chrono::duration<double, std::milli>(now - sent).count());
      }
      rd_kafka_message_destroy(record);
    }
    rd_kafka_consumer_close(reader.get());
    std::sort(latencies.begin(), latencies.end());
    return latencies;
  }

  bool reading() const { return reading_; }

 private:
  const std::string brokers_;
  const std::string input_;
  const std::string output_;
  std::mutex mutex_;
  std::vector<std::vector<steady_clock::time_point>> sent_;  // by partition
  std::vector<size_t> read_;
  std::atomic<int64_t> total_ = -1;
  std::atomic<bool> reading_ = false;
};

}  // namespace
}  // namespace coho::bench

int main(int argc, char** argv) {
  using namespace coho::bench;
  std::string brokers, input, output;
  int rate = 20'000;
  int seconds = 30;
  int partitions = 8;
  CLI::App app("Measures latency at an even rate");
  app.add_option("--brokers", brokers)->required();
  app.add_option("--input", input)->required();
  app.add_option("--output", output)->required();
  app.add_option("--rate", rate);
  app.add_option("--seconds", seconds);
  app.add_option("--partitions", partitions);
  CLI11_PARSE(app, argc, argv);

  Latency latency(brokers, input, output, partitions);
  std::thread sender([&] {
    while (!latency.reading()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    latency.Send(rate, seconds);
  });
  // The first seconds are everybody's start.
  const std::vector<double> sorted = latency.Read(std::min(3.0, seconds / 4.0));
  sender.join();
  const auto at = [&](double share) {
    return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
  };
  std::printf(
      "{\"records\": %zu, \"p50_ms\": %.1f, \"p99_ms\": %.1f, \"p999_ms\": %.1f, \"max_ms\": "
      "%.1f}\n",
      sorted.size(), at(0.5), at(0.99), at(0.999), sorted.back());
  return 0;
}
