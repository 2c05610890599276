// How far a task is in each of its inputs: the next offset to process, what Kafka has committed of it, and how much is left.
// Task i reads partition i of every input that has that many partitions. Values and arithmetic; no IO, no clock.
//
// Thread rule: the run loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/kafka/consumer.h"
#include "common/model/assignment.h"
#include "common/model/job.h"

namespace coho {

// Where a task begins to read a partition, and why; for the log.
struct StartPosition {
  int64_t offset = 0;
  std::string_view reason;  // static text
  int64_t lost = 0;         // records that the topic's retention deleted before they were processed
};

// `committed`: the group's next offset, nullopt when there is none. Without one: the input's startFrom. Below the range: its
// begin, and `lost` says how many are gone. Above it the topic was re-created under the same name: InvalidArgument.
[[nodiscard]] Result<StartPosition> ChooseStart(const InputSpec& input,
                                                const TopicPartition& partition,
                                                std::optional<int64_t> committed,
                                                const kafka::OffsetRange& range);

struct InputPosition {
  TopicPartition partition;
  const InputSpec* spec = nullptr;
  int64_t next = 0;        // next offset to process
  int64_t committed = -1;  // next offset as Kafka's group has it; -1: none
  int64_t end = -1;        // highest end seen, -1: unknown yet
};

class TaskInputs {
 public:
  // `job` outlives the object.
  TaskInputs(const Job& job, const JobModel& model, TaskId task);

  [[nodiscard]] std::vector<InputPosition>& positions() { return positions_; }
  [[nodiscard]] const std::vector<InputPosition>& positions() const { return positions_; }
  [[nodiscard]] std::vector<TopicPartition> partitions() const;

  // Some position differs from what is committed.
  [[nodiscard]] bool uncommitted() const;
  // Adds what differs.
  void Collect(std::map<TopicPartition, int64_t>* offsets) const;
  // What Collect gave is committed. REQUIRES: no position moved since.
  void MarkCommitted();

  // Records between the positions and the ends; never negative, -1 while an end is unknown.
  [[nodiscard]] int64_t Lag() const;

 private:
  std::vector<InputPosition> positions_;
};

}  // namespace coho
