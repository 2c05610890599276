// Consumer::ReadToEnd: made of its other calls alone.
#include <string>

#include "common/base/mutant.h"
#include "common/kafka/consumer.h"

namespace coho::kafka {

namespace {

constexpr Duration kReadSlice = std::chrono::milliseconds(200);

}  // namespace

Status Consumer::ReadToEnd(const TopicPartition& partition, Duration timeout,
                           const std::function<Status(const Record&)>& take) {
  const std::string where =
      "topic " + partition.topic + " partition " + std::to_string(partition.partition);
  const MonotonicTime deadline = Clock::Real().Now() + timeout;
  COHO_ASSIGN_OR_RETURN(const auto ends, QueryHighWatermarks({partition}, timeout));
  const auto end = ends.find(partition);
  if (end == ends.end()) {
    return Unavailable(where + ": its leader did not say where it ends");
  }
  if (end->second == 0) return Status::Ok();
  COHO_RETURN_IF_ERROR(Assign({{partition, kBegin}}));
  RecordBatch batch(512);
  Status status;
  bool done = false;
  while (status.ok() && !done) {
    status = Poll(kReadSlice, &batch);
    for (size_t i = 0; i < batch.size() && status.ok() && !done; ++i) {
      const Record& record = batch[i];
      // Left over from an earlier reading.
      if (record.partition() != partition.partition || record.topic() != partition.topic) continue;
      if (record.is_end_of_partition()) {
        done = record.offset() >= end->second;
      } else if (record.offset() < end->second || !COHO_MUTANT("later-records-not-read")) {
        // Later ones, too: the cleaner may have removed an earlier record of a key because of one
        // that came while this was reading, and the key would seem to have none.
        status = take(record);
      }
    }
    if (!done && status.ok() && Clock::Real().Now() > deadline) {
      status = DeadlineExceeded(where + " could not be read to its end in time");
    }
  }
  batch.Clear();
  Unassign({partition}).IgnoreError("a partition that Poll took out is none of ours");
  return status;
}

}  // namespace coho::kafka
