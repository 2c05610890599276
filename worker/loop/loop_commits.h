// A run loop's commits and undos, over all of its tasks: begun when LoopState says so, gone on with
// in every turn, and told to it when their outcome is known. After a commit the stores write back
// what is due.
//
// Thread rule: the run loop's thread.
#pragma once

#include <optional>
#include <vector>

#include "common/base/clock.h"
#include "common/model/job.h"
#include "worker/commit/committer.h"
#include "worker/loop/loop_clients.h"
#include "worker/loop/loop_schedule.h"
#include "worker/loop/loop_state.h"
#include "worker/loop/loop_status.h"
#include "worker/loop/loop_tasks.h"

namespace coho {

class LoopCommits {
 public:
  struct Parts {  // all outlive the object
    const Clock* clock = nullptr;
    Committer* committer = nullptr;
    LoopTasks* tasks = nullptr;
    LoopClients* clients = nullptr;
    LoopSchedule* schedule = nullptr;
  };
  LoopCommits(Guarantee guarantee, const Parts& parts)
      : exactly_once_(guarantee == Guarantee::kExactlyOnce), parts_(parts) {}

  // Each answers with what LoopState is to hear of it, in order.
  using Inputs = std::vector<LoopInput>;
  // REQUIRES: nothing is under way.
  [[nodiscard]] Inputs Begin(bool prove);
  // Stops the tasks. REQUIRES: as Begin; nobody reads any more.
  [[nodiscard]] Inputs BeginUndo();
  [[nodiscard]] Inputs GoOn();
  // REQUIRES: everything is committed.
  [[nodiscard]] Inputs WriteBack();

  [[nodiscard]] bool busy() const { return parts_.committer->busy(); }
  [[nodiscard]] bool Due(MonotonicTime now) const {
    return parts_.schedule->CommitDue(parts_.committer->opened_at(), now);
  }
  // Of commits that had something to commit.
  [[nodiscard]] const CommitTimes& times() const { return times_; }

 private:
  void TellEndOfUndo(CommitOutcome outcome, Inputs* out);
  void TellEndOfCommit(const CommitOutcome& outcome, Inputs* out);

  const bool exactly_once_;
  const Parts parts_;
  bool undo_ = false;  // what is under way
  MonotonicTime begun_;
  CommitTimes times_;
};

}  // namespace coho
