#include "worker/loop/loop_schedule.h"

#include <algorithm>

namespace coho {
namespace {

constexpr Duration kIdleWriteBackCheck = std::chrono::seconds(1);

}  // namespace

void LoopSchedule::Start(MonotonicTime now) {
  last_commit_ = now;
  next_window_ = now + window_interval_;
}

void LoopSchedule::NoteWriteBack(MonotonicTime now) {
  over_budget_ = false;
  wrote_back_at_ = now;
}

void LoopSchedule::NoteCommit(MonotonicTime now) {
  last_commit_ = now;
  ForgetWork();
}

void LoopSchedule::ForgetWork() {
  work_ = over_budget_ = false;
  moved_since_.reset();
}

CommitFacts LoopSchedule::Facts(std::optional<MonotonicTime> transaction_since) const {
  return {.last_commit = last_commit_,
          .work = work_,
          .moved_since = moved_since_,
          .over_budget = over_budget_,
          .transaction_since = transaction_since};
}

bool LoopSchedule::CommitDue(std::optional<MonotonicTime> transaction_since,
                             MonotonicTime now) const {
  return IsCommitDue(policy_, Facts(transaction_since), now);
}

bool LoopSchedule::IdleWriteBackDue(MonotonicTime now) const {
  return !work_ && now - wrote_back_at_ >= kIdleWriteBackCheck;
}

bool LoopSchedule::TakeWindow(MonotonicTime now) {
  if (window_interval_ <= Duration::zero() || now < next_window_) return false;
  next_window_ = std::max(next_window_ + window_interval_, now + window_interval_ / 2);
  return true;
}

Duration LoopSchedule::Idle(std::optional<MonotonicTime> transaction_since, MonotonicTime now,
                            Duration most) const {
  Duration idle = most;
  if (const auto commit = NextCommit(policy_, Facts(transaction_since)))
    idle = std::min(idle, std::max(*commit, now) - now);
  if (window_interval_ > Duration::zero()) idle = std::min(idle, next_window_ - now);
  return std::max(idle, Duration::zero());
}

}  // namespace coho
