// One processing thread of a worker (DESIGN 4.2): it owns its consumer, its producer, its tasks and their stores, and shares nothing.
//
//   messages ─► start what is restored ─► poll ─► process each record ─► windows due ─► commit due ─► publish ─┐
//      ▲──────────────────────────────────────────────────────────────────────────────────────────────────────┘
//
// A task's way on the loop:
//
//   Grant ─► Restoring ─► Starting ─► Running ─── Revoke: commit, write back, flush, close ──► TaskClosed
//                ▲            offsets, Init   │
//                └── transaction aborted ─────┘        fenced or lease over: all tasks dropped without a write ──► LoopFenced
//
// Thread rule: public methods from any thread. Events are called on the loop's thread and must not block.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/model/job.h"
#include "worker/commit/commit_decision.h"
#include "worker/commit/lease.h"
#include "worker/input/record_router.h"
#include "worker/loop/loop_clients.h"
#include "worker/loop/loop_event.h"
#include "worker/loop/loop_status.h"
#include "worker/loop/loop_task.h"
#include "common/base/mailbox.h"
#include "worker/loop/record_processor.h"
#include "worker/loop/task_runtime.h"
#include "worker/restore/restorer.h"
#include "worker/sdk/lifecycle.h"

namespace coho {

class RunLoop {
 public:
  struct Options {
    int32_t index = 0;
    const Job* job = nullptr;  // outlives the loop, like everything pointed to
    TaskFactory factory;
    LoopClients::Options clients;  // without keep_trying
    CommitPolicy commit;
    const Lease* lease = nullptr;  // guarantee AtLeastOnce
    const Clock* clock = &Clock::Real();
    std::function<void(int32_t loop, LoopEvent)> on_event;
    std::function<void(const LifecycleStep&)> on_step;
  };
  // Starts the thread, which connects first.
  explicit RunLoop(Options options);
  ~RunLoop();  // gives up what is under way, without a commit
  RunLoop(const RunLoop&) = delete;
  RunLoop& operator=(const RunLoop&) = delete;

  void GrantTask(const TaskGrant& grant);
  // A grant that is over already is answered like one that just ended.
  void RevokeTask(TaskId task, int64_t grant);
  // Initialises a new producer after LoopFenced, then LoopReady.
  void Rejoin();
  // Commits and closes everything, then LoopStopped.
  void Drain();
  // Stops waiting for Kafka: whatever is under way ends as if the process had been killed.
  void GiveUp() { given_up_ = true; }

  [[nodiscard]] LoopStatus status() const;
  // When the loop last went round, or was heard from while it waited for Kafka.
  [[nodiscard]] MonotonicTime progress() const { return MonotonicTime(Duration(progress_.load())); }

 private:
  struct Revocation {
    TaskId task;
    int64_t grant = 0;
  };
  struct RejoinMessage {};
  struct DrainMessage {};
  struct RestoredMessage {
    TaskId task;
    Result<RestoredTask> result;
  };
  using Message = std::variant<TaskGrant, Revocation, RejoinMessage, DrainMessage, RestoredMessage>;

  // run_loop.cc
  void Run();
  void Turn();
  void HandleMessages();
  void PollAndProcess();
  void ProcessRecord(const kafka::Record& record);
  void RunWindows();
  [[nodiscard]] Duration PollTimeout() const;
  void Publish(bool now);
  void Fail(int exit_code, std::string message);
  bool Alive();  // notes progress; false when given up

  // run_loop_tasks.cc
  void AskForRestore(TaskId id, LoopTask* task);
  void TakeRestored(RestoredMessage message);
  void RetryRestores();
  void StartRestored();
  struct Offsets {
    const std::map<TopicPartition, int64_t>& committed;
    const std::map<TopicPartition, kafka::OffsetRange>& ranges;
  };
  [[nodiscard]] Status StartTask(TaskId id, LoopTask* task, const Offsets& offsets);
  void CloseTasks(const std::vector<Revocation>& revocations);
  void CloseCommitted(TaskId id, LoopTask* task);
  void Detach(LoopTask* task);  // from consumer and router; drops the runtime
  void Forget(TaskId id);       // cancels its restore, erases it
  void SetState(LoopTask* task, TaskState state);

  // run_loop_commit.cc
  [[nodiscard]] CommitFacts Facts(bool asked) const;
  void MaybeCommit();
  // False: the loop's tasks are not what they were. `prove`: see Transaction::Commit.
  [[nodiscard]] bool Commit(bool prove = false);
  void WriteBackDue();
  void OnClientFailure(const Status& status);
  void Rewind(const Status& why);
  void Fenced(const std::string& reason);
  void DropAll();  // producer and tasks, without a write
  void RenewProducer();
  [[nodiscard]] bool LeaseOver();

  const Options options_;
  const Clock& clock_;
  LoopClients clients_;
  RecordProcessor processor_;
  std::vector<std::string> outputs_;

  Mailbox<Message> mailbox_;
  std::atomic<int64_t> progress_;
  std::atomic<bool> given_up_{false};
  mutable std::mutex published_mutex_;
  LoopStatus published_;

  // The thread's own.
  std::map<TaskId, LoopTask> tasks_;
  RecordRouter router_;
  kafka::RecordBatch batch_;
  LoopStatus status_;
  std::vector<Revocation> revoked_;
  int running_ = 0;
  bool draining_ = false;
  bool ended_ = false;
  bool failed_ = false;
  bool fenced_ = false;  // until Rejoin
  int aborts_in_a_row_ = 0;
  int64_t lease_epoch_ = 0;  // oldest of the grants
  MonotonicTime now_;
  MonotonicTime last_commit_;
  MonotonicTime next_window_;
  MonotonicTime published_at_;
  MonotonicTime sizes_at_;
  MonotonicTime wrote_back_at_;
  bool work_ = false;
  bool over_budget_ = false;
  std::optional<MonotonicTime> moved_since_;
  std::thread thread_;  // last: starts when everything else is there
};

}  // namespace coho
