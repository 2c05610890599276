#include "worker/loop/run_loop.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "worker/loop/failure.h"

namespace coho {
namespace {

constexpr size_t kBatchRecords = 1000;
// How long a message may have to wait for an idle loop.
constexpr Duration kLongestPoll = std::chrono::milliseconds(50);
constexpr Duration kPublishInterval = std::chrono::milliseconds(200);
constexpr Duration kSizesInterval = std::chrono::seconds(1);
// Records between two looks at the clock.
constexpr size_t kClockEvery = 16;

LoopClients::Options WithKeepTrying(LoopClients::Options options,
                                    std::function<bool()> keep_trying) {
  options.keep_trying = std::move(keep_trying);
  return options;
}

}  // namespace

RunLoop::RunLoop(Options options)
    : options_(std::move(options)),
      clock_(*options_.clock),
      clients_(WithKeepTrying(options_.clients, [this] { return Alive(); })),
      processor_(*options_.job, &clients_.collector()),
      progress_(clock_.Now().time_since_epoch().count()),
      batch_(kBatchRecords) {
  for (const OutputSpec& output : options_.job->outputs) outputs_.push_back(output.topic);
  thread_ = std::thread([this] { Run(); });
}

RunLoop::~RunLoop() {
  GiveUp();
  mailbox_.Post(DrainMessage{});
  thread_.join();
}

void RunLoop::GrantTask(const TaskGrant& grant) { mailbox_.Post(grant); }
void RunLoop::RevokeTask(TaskId task, int64_t grant) {
  mailbox_.Post(Revocation{.task = task, .grant = grant});
}
void RunLoop::Rejoin() { mailbox_.Post(RejoinMessage{}); }
void RunLoop::Drain() { mailbox_.Post(DrainMessage{}); }

LoopStatus RunLoop::status() const {
  const std::lock_guard lock(published_mutex_);
  return published_;
}

bool RunLoop::Alive() {
  progress_ = clock_.Now().time_since_epoch().count();
  return !given_up_;
}

void RunLoop::Fail(int exit_code, std::string message) {
  if (ended_) return;
  ended_ = failed_ = true;
  options_.on_event(options_.index,
                    LoopFailed{.exit_code = exit_code, .message = std::move(message)});
}

void RunLoop::Run() {
  if (const Status status = clients_.Connect(); !status.ok()) {
    if (given_up_) {
      options_.on_event(options_.index, LoopStopped{});
    } else {
      Fail(ExitCodeOfKafka(status),
           "run loop " + std::to_string(options_.index) + ": " + status.ToString());
    }
    return;
  }
  status_.initialised = true;
  last_commit_ = clock_.Now();
  next_window_ = last_commit_ + options_.job->processing.window_interval;
  Publish(true);
  options_.on_event(options_.index, LoopReady{});
  while (!ended_) Turn();

  // Whatever is still here ends without a commit; an open transaction is aborted so that readers need not wait for it.
  batch_.Clear();
  if (running_ > 0 && clients_.transaction().open()) {
    given_up_ = true;
    clients_.transaction().Abort().IgnoreError("the next start of this worker aborts it");
  }
  // Told before the clients are closed, which takes librdkafka a second.
  if (draining_ && !failed_ && tasks_.empty()) {
    Publish(true);
    options_.on_event(options_.index, LoopStopped{});
  }
  clients_.Close();
  while (!tasks_.empty()) Forget(tasks_.begin()->first);
  Publish(true);
}

void RunLoop::Turn() {
  now_ = clock_.Now();
  progress_ = now_.time_since_epoch().count();
  HandleMessages();
  if (ended_) return;
  if (LeaseOver()) {
    Fenced("no heartbeat was acknowledged within spec.failover.sessionTimeout");
    return;
  }
  RetryRestores();
  StartRestored();
  if (ended_) return;
  if (running_ == 0) {
    Publish(false);
    mailbox_.Wait(kLongestPoll);
    return;
  }
  PollAndProcess();
  if (ended_ || running_ == 0) return;
  RunWindows();
  MaybeCommit();
  Publish(false);
}

void RunLoop::HandleMessages() {
  if (mailbox_.empty()) return;
  while (auto message = mailbox_.Take()) {
    if (const auto* grant = std::get_if<TaskGrant>(&*message)) {
      // A grant to a fenced loop was on its way before the member heard of the fence, and is void.
      if (draining_ || fenced_) continue;
      lease_epoch_ =
          tasks_.empty() ? grant->lease_epoch : std::min(lease_epoch_, grant->lease_epoch);
      LoopTask& task = tasks_[grant->task];
      task.grant = *grant;
      AskForRestore(grant->task, &task);
    } else if (const auto* revoke = std::get_if<Revocation>(&*message)) {
      revoked_.push_back(*revoke);
    } else if (auto* restored = std::get_if<RestoredMessage>(&*message)) {
      TakeRestored(std::move(*restored));
    } else if (std::holds_alternative<RejoinMessage>(*message)) {
      RenewProducer();
    } else {
      draining_ = true;
    }
  }
  if (given_up_) ended_ = true;
  if (ended_) return;
  if (draining_) {
    revoked_.clear();
    for (const auto& [id, task] : tasks_)
      revoked_.push_back({.task = id, .grant = task.grant.number});
  }
  if (!revoked_.empty()) CloseTasks(std::exchange(revoked_, {}));
  if (draining_ && tasks_.empty()) ended_ = true;
}

Duration RunLoop::PollTimeout() const {
  Duration timeout = kLongestPoll;
  if (const auto next = NextCommit(options_.commit, Facts(false)))
    timeout = std::min(timeout, *next - now_);
  if (options_.job->processing.window_interval > Duration::zero())
    timeout = std::min(timeout, next_window_ - now_);
  return std::max(timeout, Duration::zero());
}

void RunLoop::PollAndProcess() {
  if (const Status status = clients_.consumer().Poll(PollTimeout(), &batch_); !status.ok()) {
    Fail(ExitCodeOfKafka(status), "reading the inputs: " + status.ToString());
    return;
  }
  now_ = clock_.Now();
  for (auto& [id, task] : tasks_) {
    if (task.runtime) task.runtime->NoteTime(now_);
  }
  // What ends or rewinds the loop's tasks also clears the batch.
  for (size_t i = 0; i < batch_.size(); ++i) {
    ProcessRecord(batch_[i]);
    if (i % kClockEvery == kClockEvery - 1 && i + 1 < batch_.size()) {
      now_ = clock_.Now();
      progress_ = now_.time_since_epoch().count();
      if (LeaseOver()) break;
      MaybeCommit();
    }
  }
  batch_.Clear();
  now_ = clock_.Now();
}

void RunLoop::ProcessRecord(const kafka::Record& record) {
  const Route* route = router_.Find(record);
  if (route == nullptr) return;
  InputPosition& position = *route->position;
  const int64_t offset = record.offset();
  if (record.is_end_of_partition()) [[unlikely]] {
    position.end = std::max(position.end, offset);
    if (offset > position.next) {
      position.next = offset;
      if (!moved_since_) moved_since_ = now_;
    }
    return;
  }
  if (offset < position.next) return;
  TaskRuntime& task = *route->task;
  const Verdict verdict = processor_.Process(task, *position.spec, record, now_);
  if (verdict == Verdict::kDone) [[likely]] {
    position.next = offset + 1;
    work_ = true;
    if (task.StoreOverBudget()) over_budget_ = true;
    return;
  }
  if (verdict == Verdict::kTaskFailed) {
    Fail(kExitTaskFailed, processor_.failure());
    batch_.Clear();
  } else {
    OnClientFailure(clients_.collector().failure());
  }
}

void RunLoop::RunWindows() {
  const Duration interval = options_.job->processing.window_interval;
  if (interval <= Duration::zero() || now_ < next_window_) return;
  // A loop that was held up runs one window, not all that it missed.
  next_window_ = std::max(next_window_ + interval, now_ + interval / 2);
  for (auto& [id, task] : tasks_) {
    if (!task.runtime) continue;
    const Verdict verdict = processor_.Window(*task.runtime);
    if (verdict == Verdict::kDone) {
      work_ = true;
      continue;
    }
    if (verdict == Verdict::kTaskFailed) {
      Fail(kExitTaskFailed, processor_.failure());
    } else {
      OnClientFailure(clients_.collector().failure());
    }
    return;
  }
}

void RunLoop::Publish(bool now) {
  if (!now && now_ - published_at_ < kPublishInterval) return;
  const bool sizes = now || now_ - sizes_at_ >= kSizesInterval;
  std::vector<TaskStatus> before = std::exchange(status_.tasks, {});
  for (auto& [id, task] : tasks_) {
    TaskStatus& out = status_.tasks.emplace_back();
    out.report = {.task = id,
                  .state = task.state,
                  .restore_source = task.source,
                  .restored_records = task.replayed,
                  .lag = -1};
    if (task.progress) {
      if (task.state == TaskState::kRestoring)
        out.report.restored_records = task.progress->records_done;
      out.report.restore_total = task.progress->records_total;
      out.restore_bytes = task.progress->bytes_done;
    }
    if (!task.runtime) continue;
    for (InputPosition& p : task.runtime->inputs().positions()) {
      if (const auto range = clients_.consumer().CachedRange(p.partition))
        p.end = std::max(p.end, range->end);
      out.inputs.push_back(
          {.partition = p.partition, .next = p.next, .committed = p.committed, .end = p.end});
    }
    out.report.lag = task.runtime->inputs().Lag();
    out.report.changelog_position = task.runtime->ChangelogPosition();
    for (CommitStore& s : task.runtime->stores()) {
      StoreStatus& store = out.stores.emplace_back();
      store.name = s.store->spec().name;
      store.overlay_bytes = s.store->overlay_bytes();
      store.dirty_bytes = s.store->dirty_bytes();
      store.changelog_position = s.store->marker().position;
      if (sizes) {
        store.bytes = s.store->SizeBytes();
      } else if (const auto old = std::find_if(
                     before.begin(), before.end(),
                     [task_id = id](const TaskStatus& t) { return t.report.task == task_id; });
                 old != before.end() && old->stores.size() >= out.stores.size()) {
        store.bytes = old->stores[out.stores.size() - 1].bytes;
      }
      out.report.state_bytes += store.bytes;
    }
  }
  published_at_ = now_;
  if (sizes) sizes_at_ = now_;
  const std::lock_guard lock(published_mutex_);
  published_ = status_;
}

}  // namespace coho
