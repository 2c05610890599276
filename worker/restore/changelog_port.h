// By what the restorer reaches Kafka. No client shows here, so that a simulation runs the restorer
// over a Kafka in memory.
//
// Nothing waits but Poll; a question is asked, and its answer taken in a later turn. Thread rule:
// the restorer's thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/kafka/record.h"

namespace coho {

struct ChangelogRange {
  int64_t begin = 0;
  int64_t end = 0;
  // No transaction below the end is open. (A commit is acknowledged before its records can be read:
  // where one is, they would be missed.) REQUIRES of the port: the high watermark was asked for
  // before the stable end.
  bool decided = true;
  // Largest key and value together that the topic takes from this worker's producers; 0: unknown.
  int64_t record_bytes_max = 0;
};
using ChangelogRanges = std::map<TopicPartition, Result<ChangelogRange>>;

class ChangelogPort {
 public:
  virtual ~ChangelogPort() = default;
  // One question for all of them. REQUIRES: the one before was answered.
  [[nodiscard]] virtual Status AskRanges(const std::vector<TopicPartition>& partitions) = 0;
  // nullopt: no answer yet. An answer has every partition that was asked for; one that has none
  // does not keep it from the others.
  [[nodiscard]] virtual std::optional<ChangelogRanges> TakeRanges() = 0;
  // How long the topic keeps tombstones; an answer about one of its partitions brought it along.
  [[nodiscard]] virtual Result<Duration> DeleteRetention(const std::string& topic) = 0;

  // Committed records from these offsets on, and the ends of partitions.
  [[nodiscard]] virtual Status Assign(const std::map<TopicPartition, int64_t>& positions) = 0;
  [[nodiscard]] virtual Status Unassign(const std::vector<TopicPartition>& partitions) = 0;
  // Waits up to `timeout` for the first record, then takes what is there. The views live until the
  // next Poll or Release. A record that cannot be read is never skipped: kCorruption names its
  // offset.
  [[nodiscard]] virtual Status Poll(Duration timeout, std::span<const kafka::Record>* records) = 0;
  virtual void Release() = 0;

  // Forgets everything, and lets connections go; the next question begins anew.
  virtual void Close() = 0;
};

}  // namespace coho
