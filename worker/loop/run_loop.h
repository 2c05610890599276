// One processing loop of a worker: it owns its clients, its tasks and their stores, and shares
// nothing.
//
//   messages ─► what was under way ─► poll ─► process each record ─► windows due ─► commit due ─► publish ─┐
//      ▲────────────────────────────────────────────────────────────────────────────────────────────────┘
//
// A turn never waits long: what Kafka does not answer is gone on with in a later one. What happens
// to tasks is decided by LoopState, how they commit by Committer. There is no thread here:
// LoopThread is one around it; a simulation turns it by itself.
//
// Thread rule: Turn, WaitForMessage and Close on one thread, public methods else from any. Events
// are called inside Turn and must not block.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mailbox.h"
#include "common/base/status.h"
#include "common/model/job.h"
#include "worker/commit/commit_decision.h"
#include "worker/commit/committer.h"
#include "worker/commit/lease.h"
#include "worker/commit/ports.h"
#include "worker/loop/loop_board.h"
#include "worker/loop/loop_clients.h"
#include "worker/loop/loop_commits.h"
#include "worker/loop/loop_event.h"
#include "worker/loop/loop_schedule.h"
#include "worker/loop/loop_state.h"
#include "worker/loop/loop_status.h"
#include "worker/loop/loop_tasks.h"
#include "worker/loop/output_collector.h"
#include "worker/loop/record_processor.h"
#include "worker/sdk/lifecycle.h"

namespace coho {

class RunLoop {
 public:
  struct Options {
    int32_t index = 0;
    const Job* job = nullptr;  // outlives the loop, like everything pointed to
    TaskFactory factory;
    LoopPorts* ports = nullptr;
    Duration transaction_timeout = std::chrono::seconds(20);  // of the ports' producers
    CommitPolicy commit;
    const Lease* lease = nullptr;  // guarantee AtLeastOnce
    const Clock* clock = &Clock::Real();
    std::function<void(int32_t loop, LoopEvent)> on_event;
    std::function<void(const LifecycleStep&)> on_step;
  };
  explicit RunLoop(Options options);
  ~RunLoop();  // as if the process had been killed
  RunLoop(const RunLoop&) = delete;
  RunLoop& operator=(const RunLoop&) = delete;

  void GrantTask(const TaskGrant& grant) { mailbox_.Post(grant); }
  // A grant that is over already is answered like one that just ended.
  void RevokeTask(TaskId task, int64_t grant) {
    mailbox_.Post(TaskRevoked{.task = task, .grant = grant});
  }
  // Answered by LoopProved, when a transaction that was begun after this message was committed.
  void Prove(int64_t generation) { mailbox_.Post(ProveAsked{.generation = generation}); }
  // Drops what it has and initialises a new producer, then LoopReady with this number.
  void Rejoin(int64_t join = 0) { mailbox_.Post(RejoinAsked{.join = join}); }
  // Commits and closes everything, then LoopStopped.
  void Drain() { mailbox_.Post(DrainAsked{}); }
  // Stops waiting for Kafka: whatever is under way ends as if the process had been killed.
  void GiveUp() { board_.GiveUp(); }

  // Goes round once; the answer is how long there is nothing to do unless a message comes.
  Duration Turn();
  void WaitForMessage(Duration most) { mailbox_.Wait(most); }
  // No turn does anything any more.
  [[nodiscard]] bool ended() const { return board_.ended(); }
  // Lets go of clients and tasks. REQUIRES: nobody turns it any more.
  void Close();

  [[nodiscard]] LoopStatus status() const { return board_.status(); }
  // When the loop last went round, or was heard from while it waited for Kafka.
  [[nodiscard]] MonotonicTime progress() const { return board_.progress(); }

 private:
  struct RestoredMessage {
    TaskId task;
    int64_t attempt = 0;
    Result<RestoredTask> result;
  };
  using Message =
      std::variant<TaskGrant, TaskRevoked, ProveAsked, RejoinAsked, DrainAsked, RestoredMessage>;

  void HandleMessages();
  // Hands the input to the state and performs what it says; inputs that come up meanwhile follow.
  void Feed(LoopInput input);
  void FeedAll(std::vector<LoopInput> inputs);
  void Perform(const LoopAction& action);
  void Connect();
  void StopReading();
  [[nodiscard]] Duration Work();
  void ProcessBatch();
  void OnVerdict(Verdict verdict);
  void RunWindows();
  void MaybeCommit();
  [[nodiscard]] Duration PollTimeout() const;
  [[nodiscard]] bool LeaseIsOver() const;
  bool MayGoOn();  // notes progress; false: given up, or the lease is over
  void NoteTime();
  void Publish(bool at_once);

  const Options options_;
  const Clock& clock_;
  LoopState state_;
  Committer committer_;
  LoopTasks tasks_;
  OutputCollector collector_;
  // After the tasks: records under way point to their stores' slots.
  LoopClients clients_;
  LoopSchedule schedule_;
  RecordProcessor processor_;
  LoopCommits commits_;
  LoopBoard board_;
  Mailbox<Message> mailbox_;

  // The turning thread's own.
  std::deque<LoopInput> to_feed_;
  bool feeding_ = false;
  std::span<const kafka::Record> batch_;
  size_t next_in_batch_ = 0;
  LoopStatus status_;
  MonotonicTime now_;
  MonotonicTime waiting_logged_;
  std::optional<MonotonicTime> careful_until_;
};

}  // namespace coho
