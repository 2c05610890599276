// The way of the records through a run loop.
#include <algorithm>

#include "common/base/mutant.h"
#include "common/contract/exit_codes.h"
#include "worker/loop/run_loop.h"

namespace coho {
namespace {

constexpr Duration kLongestPoll = std::chrono::milliseconds(50);
constexpr Duration kLookAgain = std::chrono::milliseconds(2);
constexpr Duration kPublishInterval = std::chrono::milliseconds(200);
constexpr Duration kSizesInterval = std::chrono::seconds(1);
constexpr Duration kIdleWriteBackCheck = std::chrono::seconds(1);
// Records between two looks at clock, lease and messages.
constexpr size_t kLookEvery = 16;

}  // namespace

Duration RunLoop::Work() {
  if (committer_.busy()) {
    GoOn();
    return committer_.busy() ? kLookAgain : Duration::zero();
  }
  if (tasks_.placing()) {
    for (LoopInput& input : tasks_.AdvancePlacing()) Feed(std::move(input));
  }
  if (committer_.busy() || state_.phase() != LoopState::Phase::kWorking) return Duration::zero();
  if (tasks_.running() == 0) return tasks_.placing() ? kLookAgain : kLongestPoll;
  if (next_in_batch_ == batch_.size()) {
    if (const Status status = inputs_->Poll(PollTimeout(), &batch_); !status.ok()) {
      StopReading();
      Feed(ClientFailed{.status = status, .what = "reading the inputs"});
      return Duration::zero();
    }
    next_in_batch_ = 0;
    NoteTime();
    tasks_.ForEachRunning([this](TaskRuntime& task) {
      task.NoteTime(now_);
      return true;
    });
  }
  ProcessBatch();
  NoteTime();
  if (committer_.busy() || tasks_.running() == 0) return Duration::zero();
  RunWindows();
  MaybeCommit();
  tasks_.Mirror(now_);
  return Duration::zero();
}

// What ends or rewinds the loop's tasks also clears the batch; a commit that waits for Kafka leaves
// the rest of it for later.
void RunLoop::ProcessBatch() {
  while (next_in_batch_ < batch_.size()) {
    const size_t at = next_in_batch_;
    if (!ProcessRecord(batch_[at])) return;
    ++next_in_batch_;
    if (at % kLookEvery != kLookEvery - 1) continue;
    NoteTime();
    if (!COHO_MUTANT("lease-not-asked-in-batch") || options_.lease == nullptr) HandleMessages();
    if (committer_.busy() || ended_) return;
    if (next_in_batch_ < batch_.size()) MaybeCommit();
    if (committer_.busy()) return;
  }
  StopReading();
}

bool RunLoop::ProcessRecord(const kafka::Record& record) {
  const Route* route = tasks_.Find(record);
  if (route == nullptr) return true;
  InputPosition& position = *route->position;
  const int64_t offset = record.offset();
  if (record.is_end_of_partition()) [[unlikely]] {
    position.end = std::max(position.end, offset);
    if (offset > position.next) {
      position.next = offset;
      if (!moved_since_) moved_since_ = now_;
    }
    return true;
  }
  if (offset < position.next) return true;
  TaskRuntime& task = *route->task;
  const Verdict verdict = processor_.Process(task, *position.spec, record, now_);
  if (verdict == Verdict::kDone) [[likely]] {
    position.next = offset + 1;
    work_ = true;
    if (task.StoreOverBudget()) over_budget_ = true;
    return true;
  }
  OnVerdict(verdict);
  return false;
}

void RunLoop::OnVerdict(Verdict verdict) {
  if (verdict == Verdict::kTaskFailed) {
    Feed(TaskFailed{.exit_code = kExitTaskFailed, .message = processor_.failure()});
    return;
  }
  NoteTime();
  const Status failure = collector_.failure();
  const bool too_old = committer_.TooOld();
  collector_.ClearFailure();
  if (given_up_) {
    Feed(GaveUp{});
  } else if (LeaseIsOver()) {
    Feed(LeaseOver{});
  } else {
    Feed(ClientFailed{.status = failure, .what = {}, .own_timeout = too_old});
  }
}

void RunLoop::RunWindows() {
  const Duration interval = options_.job->processing.window_interval;
  if (interval <= Duration::zero() || now_ < next_window_) return;
  // A loop that was held up runs one window, not all that it missed.
  next_window_ = std::max(next_window_ + interval, now_ + interval / 2);
  Verdict verdict = Verdict::kDone;
  tasks_.ForEachRunning([&](TaskRuntime& task) {
    verdict = processor_.Window(task);
    work_ = true;
    return verdict == Verdict::kDone;
  });
  if (verdict != Verdict::kDone) OnVerdict(verdict);
}

CommitFacts RunLoop::Facts() const {
  return {.last_commit = last_commit_,
          .work = work_,
          .moved_since = moved_since_,
          .over_budget = over_budget_,
          .transaction_since = committer_.opened_at()};
}

void RunLoop::MaybeCommit() {
  if (state_.phase() != LoopState::Phase::kWorking || committer_.busy()) return;
  if (IsCommitDue(options_.commit, Facts(), now_)) {
    Feed(CommitDue{});
  } else if (!work_ && now_ - wrote_back_at_ >= kIdleWriteBackCheck) {
    WriteBack();  // everything is committed, and no commit is to come that would ask
  }
}

void RunLoop::WriteBack() {
  over_budget_ = false;
  wrote_back_at_ = now_;
  if (const Status status = committer_.WriteBackDue(tasks_.Parts(), now_); !status.ok())
    Feed(TaskFailed{.exit_code = kExitStore, .message = status.ToString()});
}

Duration RunLoop::PollTimeout() const {
  if (tasks_.placing()) return kLookAgain;
  Duration timeout = kLongestPoll;
  if (const auto next = NextCommit(options_.commit, Facts()))
    timeout = std::min(timeout, *next - now_);
  if (options_.job->processing.window_interval > Duration::zero())
    timeout = std::min(timeout, next_window_ - now_);
  if (const auto tick = state_.next_tick()) timeout = std::min(timeout, *tick - now_);
  return std::max(timeout, Duration::zero());
}

void RunLoop::Publish(bool now) {
  if (!now && now_ - published_at_ < kPublishInterval) return;
  const bool sizes = now || now_ - sizes_at_ >= kSizesInterval;
  tasks_.FillStatus(state_, sizes, &status_);
  published_at_ = now_;
  if (sizes) sizes_at_ = now_;
  const std::lock_guard lock(published_mutex_);
  published_ = status_;
}

}  // namespace coho
