// Partitions whose reader stands at an offset that does not exist: asks what there is instead,
// again and again until somebody knows. Never waits. Include only from .cc files of common/kafka.
//
// Thread rule: as the consumer that owns it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/kafka/partition_list.h"

namespace coho::kafka {

class MissingOffsets {
 public:
  void Add(const TopicPartition& partition, int64_t offset);
  void Forget(const TopicPartition& partition) { asked_.erase(partition); }
  [[nodiscard]] bool empty() const { return asked_.empty(); }

  struct Found {
    TopicPartition partition;
    int64_t offset = 0;         // that does not exist
    Result<OffsetRange> range;  // what there is; an error: one that stays
  };
  // What became known since the last call; asks where it is time to.
  [[nodiscard]] std::vector<Found> Take(rd_kafka_t* client, bool read_committed, MonotonicTime now);

 private:
  struct Question {
    int64_t offset = 0;
    std::unique_ptr<PendingRanges> pending;
    MonotonicTime not_before;
    Backoff retry{std::chrono::milliseconds(200), std::chrono::seconds(5)};
  };
  std::map<TopicPartition, Question> asked_;
};

}  // namespace coho::kafka
