// How far a task is in each of its inputs: the next offset to process, what Kafka has committed of
// it, and how much is left. Task i reads partition i of every input that has that many partitions.
// Values and arithmetic; no IO, no clock.
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
#include "common/kafka/record.h"
#include "common/model/assignment.h"
#include "common/model/job.h"
#include "worker/store/positions.h"

namespace coho {

// Where a task begins to read a partition, and why; for the log.
struct StartPosition {
  int64_t offset = 0;
  std::string_view reason;  // static text
  int64_t lost = 0;         // records that the topic's retention deleted before they were processed
};

// `stored`: the task's own position there, nullopt when it never had one. Without one: the input's
// startFrom. Below the range: its begin, and `lost` says how many are gone. Above it, or of a topic
// with another id than `topic_id`, the one it has now (empty: unknown), the topic was re-created:
// InvalidArgument.
[[nodiscard]] Result<StartPosition> ChoosePosition(const InputSpec& input,
                                                   const TopicPartition& partition,
                                                   const std::string& topic_id,
                                                   const StoredPosition* stored,
                                                   const kafka::OffsetRange& range);

// `id_now`: of the topic, as Kafka says (empty: it does not). InvalidArgument: not the one that the
// model has.
[[nodiscard]] Status CheckTopicId(const TopicPartition& partition, const std::string& model_id,
                                  const std::string& id_now);

struct InputPosition {
  TopicPartition partition;
  std::string topic_id;  // as the model has it; empty: unknown
  const InputSpec* spec = nullptr;
  int64_t next = 0;        // next offset to process
  int64_t committed = -1;  // next offset as it is durable with the task's state; -1: none
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
  // What a commit makes durable.
  [[nodiscard]] Positions Now() const;
  // These, which Now gave before, are committed.
  void MarkCommitted(const Positions& positions);
  // Back to what is committed. REQUIRES: every position was committed, or chosen and never read
  // from.
  void Rewind();

  // Records between the positions and the ends; never negative, -1 while an end is unknown.
  [[nodiscard]] int64_t Lag() const;

 private:
  std::vector<InputPosition> positions_;
};

}  // namespace coho
