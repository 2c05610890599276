// How a run loop commits, and what it does when that fails.
#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "worker/loop/failure.h"
#include "worker/loop/run_loop.h"

namespace coho {
namespace {

constexpr Duration kIdleWriteBackCheck = std::chrono::seconds(1);
// Aborted transactions without a commit in between.
constexpr int kAbortsMost = 8;
constexpr Duration kFirstPause = std::chrono::milliseconds(25);
constexpr Duration kLongestPause = std::chrono::seconds(5);

}  // namespace

CommitFacts RunLoop::Facts(bool asked) const {
  return {.last_commit = last_commit_,
          .work = work_,
          .moved_since = moved_since_,
          .over_budget = over_budget_,
          .asked = asked};
}

void RunLoop::MaybeCommit() {
  // A message that waits is answered between batches; a revocation commits then.
  if (CommitDue(options_.commit, Facts(false), now_)) {
    if (Commit()) WriteBackDue();
  } else if (!work_ && now_ - wrote_back_at_ >= kIdleWriteBackCheck) {
    WriteBackDue();  // everything is committed, and no commit is to come that would ask
  }
}

bool RunLoop::Commit(bool prove) {
  std::vector<CommitPart> parts;
  for (auto& [id, task] : tasks_) {
    if (!task.runtime) continue;
    if (const Status status = task.runtime->StoreStatus(); !status.ok()) {
      Fail(kExitStore, status.ToString());
      batch_.Clear();
      return false;
    }
    parts.push_back(task.runtime->commit_part());
  }
  if (LeaseOver()) {
    Fenced("no heartbeat was acknowledged within spec.failover.sessionTimeout");
    return false;
  }
  const MonotonicTime begin = clock_.Now();
  const Status status = clients_.transaction().Commit(parts, clock_.WallNow(), prove);
  if (!status.ok()) {
    OnClientFailure(status);
    return false;
  }
  now_ = clock_.Now();
  last_commit_ = now_;
  if (work_) status_.commits.Add(std::chrono::duration<double>(now_ - begin).count());
  work_ = false;
  moved_since_.reset();
  aborts_in_a_row_ = 0;
  return true;
}

void RunLoop::WriteBackDue() {
  over_budget_ = false;
  wrote_back_at_ = now_;
  std::vector<CommitStore*> stores;
  std::vector<StoreFacts> facts;
  for (auto& [id, task] : tasks_) {
    if (!task.runtime) continue;
    for (CommitStore& s : task.runtime->stores()) {
      if (!s.unflushed_since) s.unflushed_since = s.store->dirty_since();
      stores.push_back(&s);
      facts.push_back({.dirty_bytes = s.store->dirty_bytes(),
                       .over_budget = s.store->over_budget(),
                       .unflushed_since = s.unflushed_since});
    }
  }
  if (stores.empty()) return;
  const std::vector<WriteBackDecision> decisions = DecideWriteBack(options_.commit, facts, now_);
  for (size_t i = 0; i < stores.size(); ++i) {
    if (!decisions[i].write_back) continue;
    Status status = stores[i]->store->WriteBack();
    if (status.ok() && decisions[i].flush) {
      status = stores[i]->store->Flush();
      stores[i]->unflushed_since.reset();
    }
    if (!status.ok()) {
      Fail(kExitStore, "writing store " + stores[i]->store->spec().name + ": " + status.ToString());
      batch_.Clear();
      return;
    }
    (void)Alive();
  }
}

bool RunLoop::LeaseOver() {
  if (options_.lease == nullptr || tasks_.empty()) return false;
  return !options_.lease->Valid(clock_.Now()) || options_.lease->epoch() != lease_epoch_;
}

void RunLoop::OnClientFailure(const Status& status) {
  switch (status.retry_class()) {
    case RetryClass::kAbort:
      Rewind(status);
      return;
    case RetryClass::kFenced:
      Fenced(status.ToString());
      return;
    case RetryClass::kRetry:  // given up
    case RetryClass::kFatal:
      break;
  }
  Fail(ExitCodeOfKafka(status),
       "run loop " + std::to_string(options_.index) + ": " + status.ToString());
  batch_.Clear();
}

void RunLoop::Rewind(const Status& why) {
  batch_.Clear();
  LogWarn("transaction aborted, tasks begin again at the last commit",
          {{"loop", options_.index}, {"reason", why}});
  ++status_.commit_aborts;
  // Nothing may be under way that still points to a store's slot.
  const Status aborted = options_.job->processing.guarantee == Guarantee::kExactlyOnce
                             ? clients_.transaction().Abort()
                             : clients_.RenewProducer();
  if (aborted.retry_class() == RetryClass::kFenced && !aborted.ok()) {
    Fenced(aborted.ToString());
    return;
  }
  if (!aborted.ok()) {
    Fail(ExitCodeOfKafka(aborted), "aborting a transaction: " + aborted.ToString());
    return;
  }
  clients_.collector().ClearFailure();
  // Something that no repetition puts right, such as a record that is too large for its topic.
  if (++aborts_in_a_row_ >= kAbortsMost) {
    Fail(kExitKafkaUnavailable, "nothing could be committed in " + std::to_string(kAbortsMost) +
                                    " attempts: " + why.message());
    return;
  }
  const Duration pause = std::min<Duration>(kLongestPause, kFirstPause * (1 << aborts_in_a_row_));
  for (auto& [id, task] : tasks_) {
    if (!task.runtime) continue;
    Detach(&task);
    AskForRestore(id, &task);
    task.not_before = clock_.Now() + pause;
  }
  work_ = over_budget_ = false;
  moved_since_.reset();
  last_commit_ = clock_.Now();
}

void RunLoop::Fenced(const std::string& reason) {
  LogWarn("fenced: tasks are dropped without another write",
          {{"loop", options_.index}, {"reason", reason}});
  ++status_.fenced;
  fenced_ = true;
  DropAll();
  options_.on_event(options_.index, LoopFenced{reason});
}

void RunLoop::DropAll() {
  batch_.Clear();
  // The producer goes first: nothing under way may point to a store that is gone.
  clients_.DropProducer();
  for (auto& [id, task] : tasks_) Detach(&task);
  while (!tasks_.empty()) Forget(tasks_.begin()->first);
  work_ = over_budget_ = false;
  moved_since_.reset();
}

void RunLoop::RenewProducer() {
  if (!fenced_) {
    LogWarn("another run loop was fenced: tasks are dropped without another write",
            {{"loop", options_.index}});
    DropAll();
  }
  if (const Status status = clients_.RenewProducer(); !status.ok()) {
    if (!given_up_) Fail(ExitCodeOfKafka(status), status.ToString());
    return;
  }
  fenced_ = false;
  last_commit_ = clock_.Now();
  options_.on_event(options_.index, LoopReady{});
}

}  // namespace coho
