// A run loop's commit (docs/design.md, R1): makes outputs, changelogs and positions durable
// together, and brings stores back when that fails. All four steps, in their order, are in this
// room and nowhere else:
//
//   ExactlyOnce   changelog and positions records ─► commit the transaction ─► stores and inputs hear of it ─► write-back, if due
//   AtLeastOnce   changelog records ─► flush ─► positions records ─► flush ─► stores and inputs hear of it ─► write-back, if due
//
// A crash in between loses nothing: a store's engine is written only by a write-back. An abort
// takes back what the commit set holds: stores undo their changes, positions go back, nothing is
// closed or replayed.
//
// Nothing here waits for Kafka longer than a moment: Step and StepUndo are called turn by turn
// until they give an outcome.
//
// Thread rule: the run loop's thread.
#pragma once

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
#include "common/model/job.h"
#include "worker/commit/commit_decision.h"
#include "worker/commit/ports.h"
#include "worker/input/task_inputs.h"
#include "worker/store/task_store.h"

namespace coho {

// A store with what its commits need. Stays at its address while the producer has records of it
// under way.
struct CommitStore {
  std::unique_ptr<TaskStore> store;
  OutputTopic changelog;  // of a store with changelog
  kafka::DeliverySlot slot = {};
};

// One task's part of a commit.
struct CommitPart {
  TaskId task;
  TaskInputs* inputs = nullptr;
  std::vector<CommitStore>* stores = nullptr;
  OutputTopic positions;                          // where its positions records go
  kafka::DeliverySlot* positions_slot = nullptr;  // the slot of the store whose changelog that is
};

// How a commit or an undo ended.
struct CommitOutcome {
  Status status;             // kAborted: undo; kFenced: write nothing more; else the worker ends
  bool counts = true;        // false: an abort that says nothing about the records
  bool own_timeout = false;  // kFenced, but the transaction was older than Kafka lets one be
};

class Committer {
 public:
  struct Options {
    Guarantee guarantee = Guarantee::kExactlyOnce;
    // Its group offset (always 0) is committed where a proof has nothing else to send.
    TopicPartition witness;
    Duration transaction_timeout = std::chrono::seconds(20);
    Duration flush_timeout = std::chrono::seconds(15);  // AtLeastOnce
    CommitPolicy policy;
    const Clock* clock = nullptr;
    // AtLeastOnce: until when something may be written; asked between the steps.
    std::function<bool()> may_write = [] { return true; };
  };
  explicit Committer(Options options);

  // A new producer, initialised; nullptr: none. Whatever was open is gone with the one before.
  void Attach(OutputPort* outputs);

  // Begins a Kafka transaction if none is open; called before each send. Cheap when one is.
  [[nodiscard]] Status Open() {
    return opened_at_ || !exactly_once_ ? Status::Ok() : BeginTransaction();
  }
  [[nodiscard]] std::optional<MonotonicTime> opened_at() const { return opened_at_; }
  // A send failed for good with this: whether that can be our own transaction's age.
  [[nodiscard]] bool TooOld() const;

  // Freezes what is to be committed. `prove`: OK shall mean that a transaction begun from now on
  // was committed. REQUIRES: nothing under way; the stores' status() was looked at; nobody changes
  // the parts until the outcome.
  void Begin(std::vector<CommitPart> parts, bool prove);
  // nullopt: not known yet, call again.
  [[nodiscard]] std::optional<CommitOutcome> Step();
  // Takes back everything since the last commit. REQUIRES: with AtLeastOnce, the producer is gone.
  void BeginUndo(std::vector<CommitPart> parts);
  [[nodiscard]] std::optional<CommitOutcome> StepUndo();
  // Forgets what is under way, for good.
  void Drop();
  [[nodiscard]] bool busy() const { return phase_ != Phase::kIdle; }

  // Writes back, and flushes, what the policy says. REQUIRES: right after a commit. A failure names
  // the store.
  [[nodiscard]] Status WriteBackDue(std::span<const CommitPart> parts, MonotonicTime now);
  // Everything of a task that is about to be closed. A failure costs its next owner a replay, no
  // more.
  static void WriteBackAll(const CommitPart& part);

 private:
  enum class Phase {
    kIdle,
    kSend,
    kFlushChanges,
    kSendPositions,
    kFlushPositions,
    kCommit,
    kAbort
  };
  struct Frozen {
    CommitPart part;
    Positions positions;
    bool send_positions = false;
  };
  [[nodiscard]] Status BeginTransaction();
  [[nodiscard]] std::optional<CommitOutcome> Advance();
  [[nodiscard]] Status SendChanges();
  [[nodiscard]] Status SendPositions();
  // kOk: done; kUnavailable: not yet.
  [[nodiscard]] Status Flush();
  [[nodiscard]] std::optional<CommitOutcome> Done();
  [[nodiscard]] CommitOutcome Failed(Status status, bool counts = true);

  const Options options_;
  const bool exactly_once_;
  OutputPort* outputs_ = nullptr;
  std::optional<MonotonicTime> opened_at_;
  Phase phase_ = Phase::kIdle;
  std::vector<Frozen> set_;
  bool prove_ = false;
  bool again_ = false;  // the open transaction is older than the question that is to be proved
  MonotonicTime flush_by_;
};

}  // namespace coho
