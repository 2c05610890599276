// A run loop's decisions as a state machine: what its clients, its restorer and its member tell
// comes in as inputs, what to do goes out as actions. The loop around it polls, processes records,
// performs actions, and decides nothing about tasks.
//
// Pure: no clock, no IO, no logging; times come in as arguments. Thread-compatible.
//
//   the loop    Connecting ── producer initialised ──► Working ── drained, failed, given up ──► Ended
//                    ▲                                  │
//                    └── told to rejoin ── Fenced ◄─────┘ fenced, or the lease over: everything dropped without a write
//
//   a task      Restoring ◄─► Waiting        Rewound ── pause over ──┐
//                   │ stores are home           ▲ commit aborted     ▼
//                   ▼                           └───────────────── Running ── revoked, draining ──► Closing ──► gone
//               Positioning ── start known ────────────────────────► ▲
//                   └── start chosen ──► Recording ── durable ───────┘
//
// What it holds to: one commit at a time; a start position is durable before a record is read from
// it; a task is closed, and a generation proved, only by a commit that was asked for after the
// message; after a fence nothing is committed until the member says Rejoin; an abort makes every
// task begin again at its last commit.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "worker/loop/loop_messages.h"

namespace coho {

enum class LoopTaskState {
  kGone,
  kRestoring,    // the restorer has it
  kWaiting,      // for another attempt of its restore
  kPositioning,  // stores are home; where to begin is being found out
  kRecording,    // its start positions are being made durable
  kRunning,
  kRewound,  // as of the last commit; the user's object is made anew after a pause
  kClosing,  // until a commit
};
[[nodiscard]] std::string_view LoopTaskStateName(LoopTaskState state);
[[nodiscard]] bool IsLegal(LoopTaskState from, LoopTaskState to);

class LoopState {
 public:
  struct Options {
    std::string name = "run loop";
    // Aborts without a commit in between: something that no repetition puts right, such as a record
    // that is too large.
    int aborts_most = 8;
  };
  explicit LoopState(Options options) : options_(std::move(options)) {}

  [[nodiscard]] LoopActions On(const LoopInput& input, MonotonicTime now);

  enum class Phase { kConnecting, kWorking, kFenced, kEnded };
  enum class Doing { kNothing, kCommit, kUndo };
  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] Doing doing() const { return doing_; }
  [[nodiscard]] bool ended() const { return phase_ == Phase::kEnded; }
  [[nodiscard]] bool draining() const { return draining_; }
  // A grant to a fenced loop was on its way before the member heard of the fence, and is void.
  [[nodiscard]] bool takes_grants() const;
  [[nodiscard]] LoopTaskState state(TaskId task) const;
  [[nodiscard]] std::vector<TaskId> tasks() const;
  [[nodiscard]] size_t size() const { return tasks_.size(); }
  // When Ticked has something to do at the latest; nullopt: never.
  [[nodiscard]] std::optional<MonotonicTime> next_tick() const;

 private:
  struct Task {
    int64_t grant = 0;
    LoopTaskState state = LoopTaskState::kGone;
    bool covered = false;                          // by the commit under way
    std::optional<MonotonicTime> not_before = {};  // of the next step
    Backoff backoff{std::chrono::milliseconds(500), std::chrono::seconds(10)};
  };
  using Actions = LoopActions;

  void Handle(const TaskGranted& in, MonotonicTime now, Actions* out);
  void Handle(const TaskRestored& in, MonotonicTime now, Actions* out);
  void Handle(const TaskRestoreFailed& in, MonotonicTime now, Actions* out);
  void Handle(const StartChosen& in, MonotonicTime now, Actions* out);
  void Handle(const StartFailed& in, MonotonicTime now, Actions* out);
  void Handle(const TaskRevoked& in, MonotonicTime now, Actions* out);
  void Handle(const ProveAsked& in, MonotonicTime now, Actions* out);
  void Handle(const CommitDue& in, MonotonicTime now, Actions* out);
  void Handle(const CommitEnded& in, MonotonicTime now, Actions* out);
  void Handle(const UndoEnded& in, MonotonicTime now, Actions* out);
  void Handle(const ClientFailed& in, MonotonicTime now, Actions* out);
  void Handle(const TaskFailed& in, MonotonicTime now, Actions* out);
  void Handle(const LeaseOver& in, MonotonicTime now, Actions* out);
  void Handle(const RejoinAsked& in, MonotonicTime now, Actions* out);
  void Handle(const ProducerReady& in, MonotonicTime now, Actions* out);
  void Handle(const DrainAsked& in, MonotonicTime now, Actions* out);
  void Handle(const GaveUp& in, MonotonicTime now, Actions* out);
  void Handle(const Ticked& in, MonotonicTime now, Actions* out);

  void Move(Task* task, LoopTaskState to);
  [[nodiscard]] Task* Find(TaskId task, LoopTaskState state);
  void Close(TaskId id, Task* task, Actions* out);
  void BeginCommit(Actions* out);
  void OnCommitted(Actions* out);
  void OnFailure(const Status& status, const std::string& what, bool counts, bool own_timeout,
                 Actions* out);
  void Fence(std::string why, bool own_timeout, Actions* out);
  void Forget(DropAll drop, Actions* out);
  void Fail(int exit_code, std::string message, Actions* out);
  void End(Actions* out);
  // What waits for a commit gets one as soon as none is under way.
  void Pump(MonotonicTime now, Actions* out);

  const Options options_;
  Phase phase_ = Phase::kConnecting;
  Doing doing_ = Doing::kNothing;
  int64_t join_ = 0;
  std::map<TaskId, Task> tasks_;
  bool draining_ = false;
  std::optional<int64_t> prove_;    // asked for
  std::optional<int64_t> proving_;  // by the commit under way
  bool abort_counts_ = true;        // of the undo under way
  std::string abort_why_;
  Backoff aborts_{std::chrono::milliseconds(50), std::chrono::seconds(5)};
  std::optional<MonotonicTime> commit_not_before_;
};

}  // namespace coho
