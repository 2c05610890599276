// What the Kafka of kafka.h keeps: records, partitions, topics; and how it refuses.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"

namespace coho::sim {

enum class Error {
  kNone,
  kUnknownTopic,
  kTopicExists,
  kOffsetOutOfRange,
  kInvalidProducerEpoch,
  kProducerFenced,
  kConcurrentTransactions,  // later
  kUnstableOffsets,         // later
  kInvalidTransactionState,
  kInvalidTransactionTimeout,
  kTooLarge,
  kUnavailable,  // leader or coordinator away: later
};
[[nodiscard]] const char* NameOf(Error error);

struct KafkaRecord {
  enum class State { kPlain, kOpen, kCommitted, kAborted, kMarker };
  int64_t offset = 0;
  int64_t timestamp_ms = 0;
  bool has_key = true;
  bool has_value = true;
  State state = State::kPlain;
  int64_t producer = -1;
  std::string key;
  std::string value;
  std::vector<std::pair<std::string, std::string>> headers;
};

struct KafkaPartition {
  std::vector<KafkaRecord> log;  // by offset, with gaps where the cleaner was
  int64_t begin = 0;
  int64_t end = 0;                    // high watermark
  std::map<int64_t, int64_t> open;    // producer -> first offset of its transaction here
  std::map<int64_t, int16_t> epochs;  // producer -> newest epoch seen here
  MonotonicTime away_until{};         // no leader
  std::vector<const void*> watchers;  // notified when something becomes readable
  [[nodiscard]] int64_t StableEnd() const;
};

struct KafkaTopic {
  std::string name;
  std::string id;
  std::vector<KafkaPartition> partitions;
  std::map<std::string, std::string> config;
};

}  // namespace coho::sim
