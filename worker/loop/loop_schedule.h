// What a run loop did since its last commit, and what is therefore due when: a commit, a window, a
// write-back while nothing happens. Pure: times come in as arguments; what is called per record
// only sets a flag.
#pragma once

#include <optional>

#include "common/base/clock.h"
#include "worker/commit/commit_decision.h"

namespace coho {

class LoopSchedule {
 public:
  // `window_interval` zero: no windows.
  LoopSchedule(const CommitPolicy& policy, Duration window_interval)
      : policy_(policy), window_interval_(window_interval) {}

  // Everything counts from now on.
  void Start(MonotonicTime now);
  // Records were processed, windows run or values changed.
  void NoteWork() { work_ = true; }
  // Positions are not the committed ones any more, though nothing was processed.
  void NoteMoved(MonotonicTime now) {
    if (!moved_since_) moved_since_ = now;
  }
  // A store's overlay is full.
  void NoteOverBudget() { over_budget_ = true; }
  void NoteWriteBack(MonotonicTime now);
  void NoteCommit(MonotonicTime now);
  // What was not committed was taken back.
  void ForgetWork();
  [[nodiscard]] bool work() const { return work_; }

  // `transaction_since`: when the open one was begun.
  [[nodiscard]] bool CommitDue(std::optional<MonotonicTime> transaction_since,
                               MonotonicTime now) const;
  // Everything is committed, and no commit is to come that would ask.
  [[nodiscard]] bool IdleWriteBackDue(MonotonicTime now) const;
  // True: windows run now. A loop that was held up runs one, not all that it missed.
  [[nodiscard]] bool TakeWindow(MonotonicTime now);
  // How long nothing is due, at most `most`.
  [[nodiscard]] Duration Idle(std::optional<MonotonicTime> transaction_since, MonotonicTime now,
                              Duration most) const;

 private:
  [[nodiscard]] CommitFacts Facts(std::optional<MonotonicTime> transaction_since) const;

  const CommitPolicy policy_;
  const Duration window_interval_;
  MonotonicTime last_commit_;
  MonotonicTime next_window_;
  MonotonicTime wrote_back_at_;
  std::optional<MonotonicTime> moved_since_;
  bool work_ = false;
  bool over_budget_ = false;
};

}  // namespace coho
