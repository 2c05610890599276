// What LoopState is told and what it has done. Values.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/status.h"
#include "worker/loop/loop_event.h"

namespace coho {

// What comes in.
struct TaskGranted {
  TaskId task;
  int64_t grant = 0;
};
struct TaskRestored {
  TaskId task;
};
struct TaskRestoreFailed {
  TaskId task;
  Status status;
};
struct StartChosen {  // `durable`: by its positions; else it must become so before a record is read
  TaskId task;
  bool durable = false;
};
struct StartFailed {
  TaskId task;
  Status status;
};
struct TaskRevoked {
  TaskId task;
  int64_t grant = 0;
};
struct ProveAsked {
  int64_t generation = 0;
};
struct CommitDue {};
struct CommitEnded {
  Status status;
  bool counts = true;        // an abort of Kafka's own house-keeping says nothing about the records
  bool own_timeout = false;  // kFenced, but the transaction was older than Kafka lets one be
};
struct UndoEnded {  // the transaction is aborted, stores and positions are as committed
  Status status;
  bool own_timeout = false;  // as above
};
struct ClientFailed {
  Status status;
  std::string what;
  bool own_timeout = false;  // as above
};
struct TaskFailed {  // user code, or a store
  int exit_code = 1;
  std::string message;
};
struct LeaseOver {};
struct RejoinAsked {
  int64_t join = 0;
};
struct ProducerReady {};
struct DrainAsked {};
struct GaveUp {};
struct Ticked {};
using LoopInput =
    std::variant<TaskGranted, TaskRestored, TaskRestoreFailed, StartChosen, StartFailed,
                 TaskRevoked, ProveAsked, CommitDue, CommitEnded, UndoEnded, ClientFailed,
                 TaskFailed, LeaseOver, RejoinAsked, ProducerReady, DrainAsked, GaveUp, Ticked>;

// What is to be done, in order.
struct AskRestore {
  TaskId task;
  friend bool operator==(const AskRestore&, const AskRestore&) = default;
};
struct ForgetTask {  // not running: its restore is cancelled, its stores are closed
  TaskId task;
  friend bool operator==(const ForgetTask&, const ForgetTask&) = default;
};
struct ChooseStart {  // answered by StartChosen or StartFailed
  TaskId task;
  friend bool operator==(const ChooseStart&, const ChooseStart&) = default;
};
struct StartTask {  // the user's object is made, the inputs are read from the task's positions
  TaskId task;
  friend bool operator==(const StartTask&, const StartTask&) = default;
};
struct CloseTask {  // everything of it is committed: write back, flush, let go
  TaskId task;
  friend bool operator==(const CloseTask&, const CloseTask&) = default;
};
struct
    StartCommit {  // answered by CommitEnded; `prove`: by a transaction that is begun from now on
  bool prove = false;
  friend bool operator==(const StartCommit&, const StartCommit&) = default;
};
struct StartUndo {  // answered by UndoEnded; inputs are not read meanwhile
  std::string why;
  friend bool operator==(const StartUndo&, const StartUndo&) = default;
};
struct RenewProducer {  // answered by ProducerReady or ClientFailed
  friend bool operator==(const RenewProducer&, const RenewProducer&) = default;
};
struct DropAll {  // producer and tasks, without a write
  std::string why;
  bool fenced = true;  // false: another loop was
  friend bool operator==(const DropAll&, const DropAll&) = default;
};
struct Tell {
  LoopEvent event;
  friend bool operator==(const Tell&, const Tell&) = default;
};
struct EndLoop {  // nothing more is done
  friend bool operator==(const EndLoop&, const EndLoop&) = default;
};
using LoopAction = std::variant<AskRestore, ForgetTask, ChooseStart, StartTask, CloseTask,
                                StartCommit, StartUndo, RenewProducer, DropAll, Tell, EndLoop>;
using LoopActions = std::vector<LoopAction>;

}  // namespace coho
