// Keyed records for a counting job, and what its output must be.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/broker.h"
#include "tests/integration/worker/worker_process.h"
#include "tests/support/seed.h"

namespace coho::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline uint32_t SaidSeed() {
  const auto seed = static_cast<uint32_t>(Seed());
  MESSAGE("COHO_SEED=" << seed);
  return seed;
}

// Writes keyed records from a thread of its own, some each few milliseconds, and remembers how many
// of each key.
class Traffic {
 public:
  Traffic(const std::string& topic, int records, int keys, uint32_t seed,
          milliseconds every = milliseconds(2))
      : thread_([=, this] {
          std::mt19937 random(seed);
          TopicWriter writer(topic);
          for (int i = 0; i < records && !stop_; ++i) {
            const std::string key = "k" + std::to_string(random() % static_cast<uint32_t>(keys));
            writer.Send(key, "value");
            ++sent_[key];
            if (i % 20 == 19) std::this_thread::sleep_for(every);
          }
          writer.Flush();
        }) {}
  ~Traffic() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  // REQUIRES: called once; waits until everything is written.
  const std::map<std::string, int64_t>& Finish() {
    thread_.join();
    return sent_;
  }

 private:
  std::atomic<bool> stop_{false};
  std::map<std::string, int64_t> sent_;
  std::thread thread_;
};

inline std::map<std::string, std::vector<int64_t>> CountsOf(
    const std::vector<ReadRecord>& records) {
  std::map<std::string, std::vector<int64_t>> counts;
  for (const ReadRecord& record : records)
    counts[record.key].push_back(std::atoll(record.value.c_str()));
  return counts;
}

inline int64_t Total(const std::map<std::string, int64_t>& sent) {
  int64_t total = 0;
  for (const auto& [key, n] : sent) total += n;
  return total;
}

// Every key's running counts are 1..n, each once and in order.
inline void CheckExactlyOnce(const std::map<std::string, int64_t>& sent,
                             const std::vector<ReadRecord>& out) {
  const auto counts = CountsOf(out);
  CHECK(counts.size() == sent.size());
  for (const auto& [key, n] : sent) {
    CAPTURE(key);
    const auto found = counts.find(key);
    REQUIRE(found != counts.end());
    REQUIRE(static_cast<int64_t>(found->second.size()) == n);
    for (int64_t i = 0; i < n; ++i) REQUIRE(found->second[static_cast<size_t>(i)] == i + 1);
  }
}

// Every key was counted up to at least the number of its records.
inline void CheckNothingLost(const std::map<std::string, int64_t>& sent,
                             const std::vector<ReadRecord>& out) {
  const auto counts = CountsOf(out);
  for (const auto& [key, n] : sent) {
    CAPTURE(key);
    const auto found = counts.find(key);
    REQUIRE(found != counts.end());
    CHECK(*std::max_element(found->second.begin(), found->second.end()) >= n);
    CHECK(static_cast<int64_t>(found->second.size()) >= n);
  }
}

inline void AwaitOutputs(TopicReader& out, int64_t at_least, WorkerProcess& worker) {
  AwaitThat(
      std::to_string(at_least) + " outputs", seconds(120),
      [&] { return static_cast<int64_t>(out.ReadToEnd().size()) >= at_least; },
      [&] { return std::to_string(out.ReadToEnd().size()) + " are there\n" + worker.Log(); });
}

inline void AwaitCaughtUp(WorkerProcess& worker, int64_t seconds_most = 120) {
  AwaitThat(
      "no lag", seconds(seconds_most),
      [&] {
        const std::string page = worker.Get("/metrics").value_or("");
        bool any = false;
        for (size_t at = page.find("\ncoho_task_lag_records{"); at != std::string::npos;
             at = page.find("\ncoho_task_lag_records{", at + 1)) {
          any = true;
          if (page.compare(page.find("} ", at) + 2, 2, "0\n") != 0) return false;
        }
        return any;
      },
      [&] { return worker.Log(); });
}

}  // namespace coho::test
