#include "worker/loop/loop_state.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/check.h"
#include "common/base/mutant.h"
#include "common/base/overloaded.h"
#include "worker/commit/lease.h"
#include "worker/loop/failure.h"

namespace coho {
namespace {

using S = LoopTaskState;
constexpr size_t kStates = 8;

constexpr unsigned Bit(S state) { return 1U << static_cast<unsigned>(state); }
constexpr unsigned Bits() { return 0; }
template <class... More>
constexpr unsigned Bits(S state, More... more) {
  return Bit(state) | Bits(more...);
}

// To where each state may lead, in the order of the enum.
constexpr std::array<unsigned, kStates> kEdges = {
    /* kGone */ Bits(S::kRestoring),
    /* kRestoring */ Bits(S::kWaiting, S::kPositioning, S::kClosing, S::kGone),
    /* kWaiting */ Bits(S::kRestoring, S::kClosing, S::kGone),
    /* kPositioning */ Bits(S::kRecording, S::kRunning, S::kClosing, S::kGone),
    /* kRecording */ Bits(S::kRunning, S::kClosing, S::kGone),
    /* kRunning */ Bits(S::kRewound, S::kClosing, S::kGone),
    /* kRewound */ Bits(S::kRunning, S::kClosing, S::kGone),
    /* kClosing */ Bits(S::kGone),
};
constexpr std::array<std::string_view, kStates> kNames = {
    "Gone", "Restoring", "Waiting", "Positioning", "Recording", "Running", "Rewound", "Closing"};

bool Holds(MonotonicTime now, const std::optional<MonotonicTime>& not_before) {
  return not_before && *not_before > now;
}

}  // namespace

std::string_view LoopTaskStateName(LoopTaskState state) {
  return kNames[static_cast<size_t>(state)];
}

bool IsLegal(LoopTaskState from, LoopTaskState to) {
  return (kEdges[static_cast<size_t>(from)] & Bit(to)) != 0;
}

void LoopState::Move(Task* task, LoopTaskState to) {
  COHO_CHECK(IsLegal(task->state, to), "no way of a run loop's task leads from " +
                                           std::string(LoopTaskStateName(task->state)) + " to " +
                                           std::string(LoopTaskStateName(to)));
  task->state = to;
  task->not_before.reset();
}

bool LoopState::takes_grants() const {
  return !draining_ && (phase_ == Phase::kWorking || COHO_MUTANT("fenced-loop-takes-grants"));
}

LoopState::Task* LoopState::Find(TaskId task, LoopTaskState state) {
  const auto found = tasks_.find(task);
  return found != tasks_.end() && found->second.state == state ? &found->second : nullptr;
}

LoopTaskState LoopState::state(TaskId task) const {
  const auto found = tasks_.find(task);
  return found == tasks_.end() ? LoopTaskState::kGone : found->second.state;
}

std::vector<TaskId> LoopState::tasks() const {
  std::vector<TaskId> out;
  for (const auto& [id, task] : tasks_) out.push_back(id);
  return out;
}

std::optional<MonotonicTime> LoopState::next_tick() const {
  std::optional<MonotonicTime> next = commit_not_before_;
  for (const auto& [id, task] : tasks_) {
    if (task.not_before && (!next || *task.not_before < *next)) next = task.not_before;
  }
  return next;
}

LoopActions LoopState::On(const LoopInput& input, MonotonicTime now) {
  Actions out;
  if (phase_ == Phase::kEnded) return out;
  std::visit([&](const auto& in) { Handle(in, now, &out); }, input);
  Pump(now, &out);
  return out;
}

void LoopState::Handle(const TaskGranted& in, MonotonicTime /*now*/, Actions* out) {
  if (!takes_grants()) {
    COHO_SOMETIMES("a grant came to a loop that was fenced or drained meanwhile");
    return;
  }
  COHO_CHECK(!tasks_.contains(in.task),
             "task " + ToString(in.task) + " is granted to a run loop that has it");
  Task& task = tasks_[in.task];
  task.grant = in.grant;
  Move(&task, S::kRestoring);
  out->push_back(AskRestore{in.task});
}

void LoopState::Handle(const TaskRestored& in, MonotonicTime /*now*/, Actions* out) {
  Task* task = Find(in.task, S::kRestoring);
  if (task == nullptr) return;
  task->backoff.Reset();
  Move(task, S::kPositioning);
  out->push_back(ChooseStart{in.task});
}

void LoopState::Handle(const TaskRestoreFailed& in, MonotonicTime now, Actions* out) {
  Task* task = Find(in.task, S::kRestoring);
  if (task == nullptr) return;
  if (!MayPass(in.status)) {
    Fail(ExitCodeOfRestore(in.status),
         "restoring task " + ToString(in.task) + ": " + in.status.ToString(), out);
    return;
  }
  Move(task, S::kWaiting);
  task->not_before = now + task->backoff.Next();
}

void LoopState::Handle(const StartChosen& in, MonotonicTime /*now*/, Actions* out) {
  Task* task = Find(in.task, S::kPositioning);
  if (task == nullptr) return;
  if (in.durable || COHO_MUTANT("start-not-durable")) {
    Move(task, S::kRunning);
    out->push_back(StartTask{in.task});
  } else {
    Move(task, S::kRecording);
  }
}

void LoopState::Handle(const StartFailed& in, MonotonicTime now, Actions* out) {
  Task* task = Find(in.task, S::kPositioning);
  if (task == nullptr) return;
  if (!MayPass(in.status)) {
    Fail(ExitCodeOfStart(in.status),
         "starting task " + ToString(in.task) + ": " + in.status.ToString(), out);
    return;
  }
  COHO_SOMETIMES("a start position could not be chosen at once");
  task->not_before = now + task->backoff.Next();
}

void LoopState::Close(TaskId id, Task* task, Actions* out) {
  if (task->state == S::kClosing) return;
  // A commit that is under way may hold what these have.
  const bool has_stores =
      task->state == S::kRunning || task->state == S::kRewound || task->state == S::kRecording;
  Move(task, S::kClosing);
  task->covered = false;
  if (!has_stores) out->push_back(ForgetTask{id});
}

void LoopState::Handle(const TaskRevoked& in, MonotonicTime /*now*/, Actions* out) {
  const auto found = tasks_.find(in.task);
  if (found == tasks_.end() || found->second.grant != in.grant) {
    // A grant that is over already is answered like one that just ended.
    out->push_back(Tell{TaskClosed{.task = in.task, .grant = in.grant}});
    return;
  }
  Close(in.task, &found->second, out);
}

void LoopState::Handle(const ProveAsked& in, MonotonicTime /*now*/, Actions* out) {
  if (phase_ != Phase::kWorking) return;  // whoever rejoins is asked again
  if (COHO_MUTANT("prove-without-commit")) {
    out->push_back(Tell{LoopProved{.generation = in.generation}});
    return;
  }
  prove_ = std::max(prove_.value_or(in.generation), in.generation);
}

void LoopState::Handle(const CommitDue& /*in*/, MonotonicTime now, Actions* out) {
  if (phase_ != Phase::kWorking || doing_ != Doing::kNothing || Holds(now, commit_not_before_))
    return;
  BeginCommit(out);
}

void LoopState::BeginCommit(Actions* out) {
  bool closing = false;
  for (auto& [id, task] : tasks_) {
    task.covered = task.state == S::kClosing || task.state == S::kRecording;
    closing = closing || task.state == S::kClosing;
  }
  proving_ = std::exchange(prove_, std::nullopt);
  doing_ = Doing::kCommit;
  commit_not_before_.reset();
  out->push_back(StartCommit{.prove = closing || proving_.has_value()});
}

void LoopState::Handle(const CommitEnded& in, MonotonicTime /*now*/, Actions* out) {
  if (doing_ != Doing::kCommit) return;
  doing_ = Doing::kNothing;
  if (in.status.ok()) {
    OnCommitted(out);
    return;
  }
  // Asked again: whatever this commit was to prove or to cover is still open.
  if (proving_) prove_ = std::max(prove_.value_or(*proving_), *proving_);
  proving_.reset();
  OnFailure(in.status, options_.name, in.counts, in.own_timeout, out);
}

void LoopState::OnCommitted(Actions* out) {
  aborts_.Reset();
  std::vector<TaskId> closed;
  for (auto& [id, task] : tasks_) {
    if (!std::exchange(task.covered, false)) continue;
    if (task.state == S::kRecording) {
      Move(&task, S::kRunning);
      out->push_back(StartTask{id});
    } else if (task.state == S::kClosing) {
      out->push_back(CloseTask{id});
      closed.push_back(id);
    }
  }
  for (const TaskId id : closed) {
    Task& task = tasks_.at(id);
    out->push_back(Tell{TaskClosed{.task = id, .grant = task.grant}});
    Move(&task, S::kGone);
    tasks_.erase(id);
  }
  if (proving_) out->push_back(Tell{LoopProved{.generation = *proving_}});
  proving_.reset();
}

void LoopState::OnFailure(const Status& status, const std::string& what, bool counts,
                          bool own_timeout, Actions* out) {
  switch (status.retry_class()) {
    case RetryClass::kAbort:
      doing_ = Doing::kUndo;
      abort_counts_ = counts;
      abort_why_ = status.message();
      out->push_back(StartUndo{.why = status.ToString()});
      return;
    case RetryClass::kFenced:
      Fence(status.ToString(), own_timeout, out);
      return;
    case RetryClass::kRetry:
    case RetryClass::kFatal:
      Fail(ExitCodeOfKafka(status), what + ": " + status.ToString(), out);
      return;
  }
}

void LoopState::Handle(const UndoEnded& in, MonotonicTime now, Actions* out) {
  if (doing_ != Doing::kUndo) return;
  doing_ = Doing::kNothing;
  if (!in.status.ok()) {
    if (in.status.retry_class() == RetryClass::kFenced) {
      Fence(in.status.ToString(), in.own_timeout, out);
    } else {
      Fail(ExitCodeOfKafka(in.status), "aborting a transaction: " + in.status.ToString(), out);
    }
    return;
  }
  const Duration pause = aborts_.Next();
  if (!abort_counts_) {
    COHO_SOMETIMES("an abort that does not count");
    aborts_.Reset();
  }
  if (aborts_.failures() >= options_.aborts_most) {
    Fail(kExitKafkaUnavailable,
         "nothing could be committed in " + std::to_string(options_.aborts_most) +
             " attempts: " + abort_why_,
         out);
    return;
  }
  for (auto& [id, task] : tasks_) {
    task.covered = false;
    if (task.state == S::kRunning) Move(&task, S::kRewound);
    if (task.state == S::kRewound) task.not_before = now + pause;
  }
  commit_not_before_ = now + pause;
}

void LoopState::Handle(const ClientFailed& in, MonotonicTime /*now*/, Actions* out) {
  if (phase_ == Phase::kFenced || doing_ == Doing::kUndo) return;
  doing_ = Doing::kNothing;
  OnFailure(in.status, in.what.empty() ? options_.name : in.what, true, in.own_timeout, out);
}

void LoopState::Handle(const TaskFailed& in, MonotonicTime /*now*/, Actions* out) {
  Fail(in.exit_code, in.message, out);
}

void LoopState::Handle(const LeaseOver& /*in*/, MonotonicTime /*now*/, Actions* out) {
  if (phase_ != Phase::kWorking) return;
  Fence(kLeaseIsOver, false, out);
}

void LoopState::Fence(std::string why, bool own_timeout, Actions* out) {
  if (phase_ == Phase::kFenced) return;
  COHO_SOMETIMES("a run loop was fenced");
  if (COHO_MUTANT("fenced-loop-writes-on")) return;
  if (own_timeout) {
    why =
        "it took longer than Kafka lets a transaction be open until what was begun could be "
        "committed (a record's processing that takes seconds?): " +
        why;
  }
  Forget({.why = why}, out);
  phase_ = Phase::kFenced;
  out->push_back(
      Tell{LoopFenced{.reason = std::move(why), .own_timeout = own_timeout, .join = join_}});
}

void LoopState::Forget(DropAll drop, Actions* out) {
  for (auto& [id, task] : tasks_) Move(&task, S::kGone);
  tasks_.clear();
  prove_.reset();
  proving_.reset();
  commit_not_before_.reset();
  doing_ = Doing::kNothing;
  out->push_back(std::move(drop));
}

// Also while one joins: what was begun before the question may have been fenced since.
void LoopState::Handle(const RejoinAsked& in, MonotonicTime /*now*/, Actions* out) {
  join_ = in.join;
  if (phase_ == Phase::kWorking) {
    COHO_SOMETIMES("a loop rejoins because another one was fenced");
    Forget({.why = "another run loop was fenced", .fenced = false}, out);
  }
  phase_ = Phase::kConnecting;
  out->push_back(RenewProducer{});
}

void LoopState::Handle(const ProducerReady& /*in*/, MonotonicTime /*now*/, Actions* out) {
  if (phase_ != Phase::kConnecting) return;
  phase_ = Phase::kWorking;
  aborts_.Reset();
  out->push_back(Tell{LoopReady{.join = join_}});
}

void LoopState::Handle(const DrainAsked& /*in*/, MonotonicTime /*now*/, Actions* out) {
  draining_ = true;
  for (auto& [id, task] : tasks_) Close(id, &task, out);
}

void LoopState::Handle(const GaveUp& /*in*/, MonotonicTime /*now*/, Actions* out) {
  if (tasks_.empty()) out->push_back(Tell{LoopStopped{}});
  End(out);
}

void LoopState::Handle(const Ticked& /*in*/, MonotonicTime now, Actions* out) {
  for (auto& [id, task] : tasks_) {
    if (!task.not_before || *task.not_before > now) continue;
    // What its Init stores would be in no commit set, and an undo would take it back behind it.
    if (task.state == S::kRewound && doing_ != Doing::kNothing) continue;
    task.not_before.reset();
    if (task.state == S::kWaiting) {
      Move(&task, S::kRestoring);
      out->push_back(AskRestore{id});
    } else if (task.state == S::kPositioning) {
      out->push_back(ChooseStart{id});
    } else if (task.state == S::kRewound) {
      Move(&task, S::kRunning);
      out->push_back(StartTask{id});
    }
  }
}

void LoopState::Pump(MonotonicTime now, Actions* out) {
  if (draining_ && tasks_.empty() && doing_ == Doing::kNothing && phase_ != Phase::kEnded &&
      !(prove_ && phase_ == Phase::kWorking)) {
    out->push_back(Tell{LoopStopped{}});
    End(out);
    return;
  }
  if (phase_ != Phase::kWorking || doing_ != Doing::kNothing) return;
  const bool wanted =
      prove_ || std::any_of(tasks_.begin(), tasks_.end(), [](const auto& item) {
        return item.second.state == S::kClosing || item.second.state == S::kRecording;
      });
  if (!wanted) return;
  if (Holds(now, commit_not_before_)) return;
  BeginCommit(out);
}

void LoopState::Fail(int exit_code, std::string message, Actions* out) {
  out->push_back(Tell{LoopFailed{.exit_code = exit_code, .message = std::move(message)}});
  End(out);
}

void LoopState::End(Actions* out) {
  phase_ = Phase::kEnded;
  doing_ = Doing::kNothing;
  out->push_back(EndLoop{});
}

}  // namespace coho
