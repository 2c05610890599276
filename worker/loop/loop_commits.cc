#include "worker/loop/loop_commits.h"

#include "common/contract/exit_codes.h"

namespace coho {

LoopCommits::Inputs LoopCommits::Begin(bool prove) {
  if (const Status status = parts_.tasks->FirstStoreError(); !status.ok())
    return {TaskFailed{.exit_code = kExitStore, .message = status.ToString()}};
  undo_ = false;
  begun_ = parts_.clock->Now();
  parts_.committer->Begin(parts_.tasks->Parts(), prove);
  return GoOn();
}

LoopCommits::Inputs LoopCommits::BeginUndo() {
  undo_ = true;
  parts_.tasks->StopAll();
  // Nothing may be under way any more that points to a store's slot.
  if (!exactly_once_) parts_.clients->DropProducer();
  parts_.committer->BeginUndo(parts_.tasks->Parts());
  parts_.schedule->ForgetWork();
  return GoOn();
}

LoopCommits::Inputs LoopCommits::GoOn() {
  Inputs out;
  if (!busy()) return out;
  const auto outcome = undo_ ? parts_.committer->StepUndo() : parts_.committer->Step();
  if (!outcome) return out;
  if (undo_) {
    TellEndOfUndo(*outcome, &out);
  } else {
    TellEndOfCommit(*outcome, &out);
  }
  return out;
}

void LoopCommits::TellEndOfUndo(CommitOutcome outcome, Inputs* out) {
  // AtLeastOnce goes on with a new producer.
  if (outcome.status.ok() && !parts_.clients->has_producer())
    outcome.status = parts_.clients->Connect();
  out->push_back(UndoEnded{.status = outcome.status, .own_timeout = outcome.own_timeout});
}

void LoopCommits::TellEndOfCommit(const CommitOutcome& outcome, Inputs* out) {
  if (outcome.status.ok()) {
    const MonotonicTime now = parts_.clock->Now();
    if (parts_.schedule->work()) times_.Add(std::chrono::duration<double>(now - begun_).count());
    parts_.schedule->NoteCommit(now);
    *out = WriteBack();
  }
  out->push_back(CommitEnded{
      .status = outcome.status, .counts = outcome.counts, .own_timeout = outcome.own_timeout});
}

LoopCommits::Inputs LoopCommits::WriteBack() {
  const MonotonicTime now = parts_.clock->Now();
  parts_.schedule->NoteWriteBack(now);
  const Status status = parts_.committer->WriteBackDue(parts_.tasks->Parts(), now);
  if (status.ok()) return {};
  return {TaskFailed{.exit_code = kExitStore, .message = status.ToString()}};
}

}  // namespace coho
