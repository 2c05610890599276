// By what a run loop reaches Kafka: one reader of inputs, one producer of outputs, both made by
// LoopPorts. (The third port, to the restorer, is RestorePort.) No client shows here, so that a
// simulation runs the loop over a Kafka in memory, turn by turn.
//
// Every call comes back: those that may have to wait have a time-out and say kDeadlineExceeded or
// kUnavailable, and the loop calls again in a later turn. Statuses otherwise: kAborted (the
// transaction must be aborted), kFenced (another producer of this id), kUnauthenticated, kNotFound,
// kInvalidArgument; the rest ends the worker.
//
// Thread rule: the run loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/kafka/record.h"

namespace coho {

using PositionMap = std::map<TopicPartition, int64_t>;  // next offsets
using RangeMap = std::map<TopicPartition, kafka::OffsetRange>;
using TopicIdMap = std::map<std::string, std::string>;

// Reads input partitions, committed records only, by explicit assignment.
class InputPort {
 public:
  virtual ~InputPort() = default;
  // Waits up to `timeout` for the first record, then takes what is there. The views live until the
  // next Poll or Release; records of a partition that was unassigned meanwhile stay readable.
  [[nodiscard]] virtual Status Poll(Duration timeout, std::span<const kafka::Record>* records) = 0;
  virtual void Release() = 0;
  // Partitions already assigned are an error.
  [[nodiscard]] virtual Status Assign(const PositionMap& positions) = 0;
  [[nodiscard]] virtual Status Unassign(const std::vector<TopicPartition>& partitions) = 0;

  // First offsets and stable ends: Ask, then Take in later turns until it has the answer. A new
  // question drops the one before. A partition whose leader is away is not in the answer, and does
  // not keep it from the others.
  [[nodiscard]] virtual Status AskRanges(const std::vector<TopicPartition>& partitions,
                                         Duration timeout) = 0;
  [[nodiscard]] virtual std::optional<Result<RangeMap>> TakeRanges() = 0;
  // The ids of those of these topics that exist; empty: Kafka does not tell. Ask, then Take, in the
  // same way.
  [[nodiscard]] virtual Status AskTopicIds(const std::vector<std::string>& topics,
                                           Duration timeout) = 0;
  [[nodiscard]] virtual std::optional<Result<TopicIdMap>> TakeTopicIds() = 0;
  // From the last fetch, no request; nullopt before the first one. The end may be ahead of the
  // stable one.
  [[nodiscard]] virtual std::optional<kafka::OffsetRange> CachedRange(
      const TopicPartition& partition) const = 0;

  // Shows next offsets to tools that read a group's lag. Waits no longer than `wait`; zero: not at
  // all.
  virtual void Mirror(const PositionMap& positions, Duration wait) = 0;
  // Records that retention deleted before they were read; the port went on with the first that
  // exists.
  [[nodiscard]] virtual uint64_t records_lost() const = 0;
};

// A topic that was opened on an OutputPort, valid as long as that.
struct OutputTopic {
  int32_t index = -1;
};

// One producer: transactional with guarantee ExactlyOnce, otherwise only idempotent, and the
// transaction's verbs are not called.
class OutputPort {
 public:
  virtual ~OutputPort() = default;
  // Fences older producers of the same id. Must succeed before anything else; one attempt.
  [[nodiscard]] virtual Status Init(Duration timeout) = 0;
  [[nodiscard]] virtual Result<OutputTopic> Open(const std::string& topic) = 0;
  [[nodiscard]] virtual Status Begin() = 0;
  // Copies the message. Waits while the queue is full, as long as the loop wants it. `slot`
  // outlives the port or the answer.
  [[nodiscard]] virtual Status Send(OutputTopic topic, int32_t partition,
                                    const kafka::Message& message, kafka::DeliverySlot* slot) = 0;
  // Without transactions: a record that was given up on is told once, by the next Flush.
  [[nodiscard]] virtual Status Flush(Duration timeout) = 0;
  // Adds a group's offset to the transaction: a transaction must hold something to reach the
  // broker. One call, never repeated.
  [[nodiscard]] virtual Status SendGroupOffset(const TopicPartition& partition, int64_t next,
                                               Duration timeout) = 0;
  // May be called again after kDeadlineExceeded or kUnavailable, until it is known how the
  // transaction ended.
  [[nodiscard]] virtual Status Commit(Duration timeout) = 0;
  [[nodiscard]] virtual Status Abort(Duration timeout) = 0;
};

class LoopPorts {
 public:
  virtual ~LoopPorts() = default;
  [[nodiscard]] virtual Result<std::unique_ptr<InputPort>> MakeInputs() = 0;
  // REQUIRES: the one before is gone, and with it everything it had under way. `keep_waiting` is
  // asked while Send waits for room in a full queue; false: Send returns kUnavailable.
  [[nodiscard]] virtual Result<std::unique_ptr<OutputPort>> MakeOutputs(
      std::function<bool()> keep_waiting) = 0;
};

}  // namespace coho
