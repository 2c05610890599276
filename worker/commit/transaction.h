// A run loop's commit (DESIGN 4.3): makes outputs, changelogs and input offsets durable together. The order of the steps is in
// this file and nowhere else:
//
//   ExactlyOnce   changelog records ─► offsets into the transaction ─► commit it ─► stores and inputs hear of it
//   AtLeastOnce   changelog records ─► flush ─► commit offsets ─► stores and inputs hear of it
//
// A crash in between loses nothing: a store's engine is written only after that, by a write-back.
//
// Thread rule: the run loop's thread. Errors: kAborted (Abort, then restore and rewind), kFenced (write nothing more),
// kUnavailable or kDeadlineExceeded only when `keep_trying` gave up; others end the worker.
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
#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"
#include "common/model/job.h"
#include "worker/input/task_inputs.h"
#include "worker/store/task_store.h"

namespace coho {

// A store with what its commits need. Stays at its address while the producer has records of it under way.
struct CommitStore {
  std::unique_ptr<TaskStore> store;
  kafka::Producer::Topic changelog;  // of a store with changelog
  kafka::DeliverySlot slot;
  std::optional<MonotonicTime> unflushed_since;
};

// One task's part of a commit.
struct CommitPart {
  TaskId task;
  TaskInputs* inputs = nullptr;
  std::vector<CommitStore>* stores = nullptr;
};

class Transaction {
 public:
  struct Options {
    Guarantee guarantee = Guarantee::kExactlyOnce;
    std::string group;
    // Its group offset (always 0) is committed where a proof has no other offset to send.
    TopicPartition witness;
    // Asked before a broker that does not answer is asked again; also the place to say that the loop lives.
    std::function<bool()> keep_trying;
  };
  // Producer and consumer outlive the transaction; the producer has been initialised.
  Transaction(Options options, kafka::Producer* producer, kafka::Consumer* consumer);

  // Begins a Kafka transaction if none is open; called before each send. Cheap when one is.
  [[nodiscard]] Status Open() { return open_ || !exactly_once_ ? Status::Ok() : Begin(); }
  [[nodiscard]] bool open() const { return open_; }

  // Commits the parts. Does nothing when nothing was sent, changed or moved. REQUIRES: stores' status() was looked at.
  // `prove`: a Kafka transaction is committed in any case, so that OK means that nobody had fenced the producer before.
  [[nodiscard]] Status Commit(std::span<const CommitPart> parts, WallTime now, bool prove = false);
  // Takes back what was sent since the last commit. kFenced as above.
  [[nodiscard]] Status Abort();

 private:
  [[nodiscard]] Status Begin();
  [[nodiscard]] Status SendChanges(std::span<const CommitPart> parts);
  [[nodiscard]] Status CommitExactlyOnce(const std::map<TopicPartition, int64_t>& offsets);
  [[nodiscard]] Status CommitAtLeastOnce(const std::map<TopicPartition, int64_t>& offsets);
  [[nodiscard]] Status Retry(const std::function<Status()>& step);

  Options options_;
  bool exactly_once_;
  kafka::Producer* producer_;
  kafka::Consumer* consumer_;
  bool open_ = false;
};

}  // namespace coho
