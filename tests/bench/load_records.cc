// Fills a topic with keyed records for the benchmarks: keys drawn uniformly or by Zipf's law
// (exponent 1.0), values of random hexadecimal digits, the same for the same seed.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "common/kafka/admin.h"
#include "common/kafka/producer.h"

namespace {

// Draws ranks 0..n-1 with probability proportional to 1 / (rank + 1), by bisection of the summed
// weights.
class Zipf {
 public:
  explicit Zipf(size_t n) : sums_(n) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sums_[i] = sum += 1.0 / static_cast<double>(i + 1);
  }
  size_t operator()(std::mt19937_64& random) const {
    const double at = std::uniform_real_distribution<double>(0, sums_.back())(random);
    return static_cast<size_t>(std::lower_bound(sums_.begin(), sums_.end(), at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

int Fail(const coho::Status& status) {
  std::fprintf(stderr, "bench_load_records: %s\n", status.ToString().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::string brokers = "127.0.0.1:19092", topic, distribution = "uniform";
  int64_t records = 5'000'000;
  size_t keys = 1'000'000, value_bytes = 84, key_bytes = 16;
  int32_t partitions = 8;
  uint64_t seed = 1;
  CLI::App app("Fills a topic with keyed records");
  app.add_option("--brokers", brokers);
  app.add_option("--topic", topic)->required();
  app.add_option("--records", records);
  app.add_option("--keys", keys);
  app.add_option("--value-bytes", value_bytes);
  app.add_option("--key-bytes", key_bytes)->check(CLI::Range(16, 10'000));
  app.add_option("--partitions", partitions);
  app.add_option("--distribution", distribution)->check(CLI::IsMember({"uniform", "zipf"}));
  app.add_option("--seed", seed);
  CLI11_PARSE(app, argc, argv);

  const coho::kafka::ClientConfig config{.bootstrap_servers = brokers, .client_id = "bench-load"};
  auto admin = coho::kafka::Admin::Create(config);
  if (!admin.ok()) return Fail(admin.status());
  if (auto s =
          (*admin)->Create({{.name = topic, .partitions = partitions}}, std::chrono::seconds(20));
      !s.ok())
    return Fail(s);
  auto producer = coho::kafka::Producer::Create(config, {.linger = std::chrono::milliseconds(50)});
  if (!producer.ok()) return Fail(producer.status());
  auto handle = (*producer)->OpenTopic(topic);
  if (!handle.ok()) return Fail(handle.status());

  std::mt19937_64 random(seed);
  const Zipf zipf(distribution == "zipf" ? keys : 1);
  std::string value(value_bytes, ' ');
  std::string key(key_bytes, 'k');
  for (int64_t i = 0; i < records; ++i) {
    const size_t rank = distribution == "zipf" ? zipf(random) : random() % keys;
    // A rank's key is spread by a multiplication, so that busy keys do not lie side by side.
    char number[17];
    std::snprintf(number, sizeof number, "k%015llu",
                  static_cast<unsigned long long>((rank * 2654435761ULL) % 1'000'000'007ULL));
    key.replace(0, 16, number, 16);
    for (size_t at = 0; at < value.size(); at += 16) {
      const uint64_t bits = random();
      for (size_t j = 0; j < 16 && at + j < value.size(); ++j)
        value[at + j] = "0123456789abcdef"[(bits >> (4 * j)) & 15];
    }
    if (auto s =
            (*producer)->Send(*handle, coho::kafka::Producer::kByKey, {.key = key, .value = value});
        !s.ok()) {
      return Fail(s);
    }
  }
  if (auto s = (*producer)->Flush(std::chrono::seconds(120)); !s.ok()) return Fail(s);
  std::printf("%lld records in %s\n", static_cast<long long>(records), topic.c_str());
  return 0;
}
