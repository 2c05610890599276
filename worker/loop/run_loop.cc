#include "worker/loop/run_loop.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/base/overloaded.h"

namespace coho {
namespace {

// How long a message may have to wait for an idle loop.
constexpr Duration kLongestPoll = std::chrono::milliseconds(50);
constexpr Duration kLookAgain = std::chrono::milliseconds(2);
constexpr Duration kLogInterval = std::chrono::seconds(5);
// Records between two looks at clock, lease and messages.
constexpr size_t kLookEvery = 16;
// A transaction that a slow record outlasted is begun again with the same records: for this long
// each of them is looked at, so that those before the slow one are committed without it.
constexpr Duration kCareful = std::chrono::minutes(10);

}  // namespace

RunLoop::RunLoop(Options options)
    : options_(std::move(options)),
      clock_(*options_.clock),
      state_({.name = "run loop " + std::to_string(options_.index)}),
      committer_({.guarantee = options_.job->processing.guarantee,
                  .witness = {options_.job->CoordinatorTopic(), 0},
                  .transaction_timeout = options_.transaction_timeout,
                  .flush_timeout = std::min<Duration>(std::chrono::seconds(15),
                                                      options_.job->failover.session_timeout),
                  .policy = options_.commit,
                  .clock = options_.clock,
                  .may_write = [this] { return !LeaseIsOver(); }}),
      tasks_({.loop = options_.index,
              .job = options_.job,
              .factory = options_.factory,
              .clock = options_.clock,
              .on_step = options_.on_step,
              .post_restored =
                  [this](TaskId task, int64_t attempt, Result<RestoredTask> result) {
                    mailbox_.Post(RestoredMessage{task, attempt, std::move(result)});
                  }}),
      collector_(
          *options_.job, &committer_,
          options_.lease == nullptr ? std::function<bool()>() : [this] { return !LeaseIsOver(); }),
      clients_({.ports = options_.ports,
                .tasks = &tasks_,
                .collector = &collector_,
                .committer = &committer_,
                .keep_waiting = [this] { return MayGoOn(); }}),
      schedule_(options_.commit, options_.job->processing.window_interval),
      processor_(*options_.job, &collector_, &schedule_),
      commits_(options_.job->processing.guarantee, {.clock = options_.clock,
                                                    .committer = &committer_,
                                                    .tasks = &tasks_,
                                                    .clients = &clients_,
                                                    .schedule = &schedule_}),
      board_(clock_.Now()),
      now_(clock_.Now()) {}

RunLoop::~RunLoop() { Close(); }

bool RunLoop::LeaseIsOver() const {
  return options_.lease != nullptr && tasks_.LeaseIsOver(*options_.lease, clock_.Now());
}

bool RunLoop::MayGoOn() {
  board_.NoteProgress(clock_.Now());
  return !board_.given_up() && !LeaseIsOver();
}

void RunLoop::NoteTime() {
  now_ = clock_.Now();
  board_.NoteProgress(now_);
}

Duration RunLoop::Turn() {
  if (ended()) return kLongestPoll;
  NoteTime();
  HandleMessages();
  if (const auto tick = state_.next_tick(); tick && *tick <= now_) Feed(Ticked{});
  Duration wait = kLongestPoll;
  if (state_.phase() == LoopState::Phase::kConnecting) Connect();
  if (state_.phase() == LoopState::Phase::kWorking) wait = Work();
  Publish(false);
  return ended() || state_.phase() == LoopState::Phase::kConnecting ? Duration::zero() : wait;
}

void RunLoop::HandleMessages() {
  if (board_.given_up()) Feed(GaveUp{});
  if (LeaseIsOver()) Feed(LeaseOver{});
  if (mailbox_.empty()) return;
  for (auto message = mailbox_.Take(); message && !ended(); message = mailbox_.Take()) {
    std::visit(Overloaded{[this](const TaskGrant& grant) {
                            if (state_.takes_grants()) tasks_.Add(grant);
                            Feed(TaskGranted{.task = grant.task, .grant = grant.number});
                          },
                          [this](RestoredMessage& restored) {
                            if (auto input = tasks_.TakeRestored(restored.task, restored.attempt,
                                                                 std::move(restored.result)))
                              Feed(*std::move(input));
                          },
                          [this](const auto& input) { Feed(input); }},
               *message);
  }
}

void RunLoop::Feed(LoopInput input) {
  to_feed_.push_back(std::move(input));
  if (std::exchange(feeding_, true)) return;
  while (!to_feed_.empty()) {
    const LoopInput next = std::move(to_feed_.front());
    to_feed_.pop_front();
    for (const LoopAction& action : state_.On(next, now_)) {
      // A task's new state is shown with this turn.
      if (!std::holds_alternative<StartCommit>(action)) board_.HurryPublish();
      Perform(action);
    }
  }
  feeding_ = false;
}

void RunLoop::FeedAll(std::vector<LoopInput> inputs) {
  NoteTime();  // making them may have taken a while
  for (LoopInput& input : inputs) Feed(std::move(input));
}

void RunLoop::Perform(const LoopAction& action) {
  std::visit(
      Overloaded{[this](const AskRestore& a) { tasks_.AskRestore(a.task); },
                 [this](const ForgetTask& a) { tasks_.Forget(a.task); },
                 [this](const ChooseStart& a) { tasks_.ChooseStart(a.task); },
                 [this](const StartTask& a) {
                   if (auto failed = tasks_.Start(a.task)) Feed(*std::move(failed));
                   if (tasks_.StoreChanged(a.task)) schedule_.NoteWork();  // Init may have stored
                   if (tasks_.Moved(a.task)) schedule_.NoteMoved(now_);
                 },
                 [this](const CloseTask& a) { tasks_.Close(a.task); },
                 [this](const StartCommit& a) { FeedAll(commits_.Begin(a.prove)); },
                 [this](const StartUndo& a) {
                   LogWarn("transaction aborted, tasks begin again at the last commit",
                           {{"loop", options_.index}, {"reason", a.why}});
                   ++status_.commit_aborts;
                   StopReading();
                   collector_.ClearFailure();
                   FeedAll(commits_.BeginUndo());
                 },
                 [this](const RenewProducer&) { clients_.DropProducer(); },
                 [this](const DropAll& a) {
                   LogWarn(a.fenced
                               ? "fenced: tasks are dropped without another write"
                               : "another run loop was fenced: tasks are dropped without another "
                                 "write",
                           {{"loop", options_.index}, {"reason", a.why}});
                   if (a.fenced) ++status_.fenced;
                   StopReading();
                   clients_.DropProducer();
                   tasks_.DropAll();
                   collector_.ClearFailure();
                   schedule_.ForgetWork();
                 },
                 [this](const Tell& a) {
                   const auto* fenced = std::get_if<LoopFenced>(&a.event);
                   if (fenced != nullptr && fenced->own_timeout) careful_until_ = now_ + kCareful;
                   options_.on_event(options_.index, a.event);
                 },
                 [this](const EndLoop&) {
                   StopReading();
                   Publish(true);
                   board_.End();
                 }},
      action);
}

void RunLoop::Connect() {
  const Status status = clients_.Connect();
  if (status.ok()) {
    NoteTime();
    schedule_.Start(now_);
    status_.initialised = true;
    Publish(true);
    Feed(ProducerReady{});
  } else if (status.retry_class() != RetryClass::kRetry &&
             status.retry_class() != RetryClass::kAbort) {
    Feed(ClientFailed{.status = status, .what = "initialising a producer"});
  } else if (now_ - waiting_logged_ >= kLogInterval) {
    waiting_logged_ = now_;
    LogWarn("producer not initialised yet", {{"loop", options_.index}, {"reason", status}});
  }
}

Duration RunLoop::Work() {
  if (commits_.busy()) {
    FeedAll(commits_.GoOn());
    return commits_.busy() ? kLookAgain : Duration::zero();
  }
  if (tasks_.placing()) FeedAll(tasks_.AdvancePlacing());
  if (commits_.busy() || state_.phase() != LoopState::Phase::kWorking) return Duration::zero();
  if (tasks_.running() == 0) return tasks_.placing() ? kLookAgain : kLongestPoll;
  if (auto other = tasks_.WatchInputs(now_)) {
    StopReading();
    Feed(*std::move(other));
    return Duration::zero();
  }
  if (next_in_batch_ == batch_.size()) {
    if (const Status status = clients_.inputs().Poll(PollTimeout(), &batch_); !status.ok()) {
      StopReading();
      Feed(ClientFailed{.status = status, .what = "reading the inputs"});
      return Duration::zero();
    }
    next_in_batch_ = 0;
    NoteTime();
    tasks_.NoteTime(now_);
  }
  if (!batch_.empty() && !tasks_.inputs_known(now_)) return kLookAgain;
  ProcessBatch();
  NoteTime();
  if (commits_.busy() || tasks_.running() == 0) return Duration::zero();
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
    if (const Route* route = tasks_.Find(batch_[at])) {
      const Verdict verdict = processor_.Process(*route, batch_[at], now_);
      if (verdict != Verdict::kDone) [[unlikely]]
        return OnVerdict(verdict);
    }
    ++next_in_batch_;
    if (at % kLookEvery != kLookEvery - 1 && !careful_until_) continue;
    NoteTime();
    if (careful_until_ && now_ >= *careful_until_) careful_until_.reset();
    HandleMessages();
    if (commits_.busy() || ended()) return;
    if (next_in_batch_ < batch_.size()) MaybeCommit();
    if (commits_.busy()) return;
  }
  StopReading();
}

void RunLoop::OnVerdict(Verdict verdict) {
  NoteTime();
  LoopInput failure = processor_.TakeFailure(verdict, committer_.TooOld());
  const bool own_fault = verdict == Verdict::kTaskFailed;
  if (!own_fault && board_.given_up()) {
    Feed(GaveUp{});
  } else if (!own_fault && LeaseIsOver()) {
    Feed(LeaseOver{});
  } else {
    Feed(std::move(failure));
  }
}

void RunLoop::RunWindows() {
  if (!schedule_.TakeWindow(now_)) return;
  Verdict verdict = Verdict::kDone;
  tasks_.ForEachRunning([&](TaskRuntime& task) {
    verdict = processor_.Window(task);
    schedule_.NoteWork();
    return verdict == Verdict::kDone;
  });
  if (verdict != Verdict::kDone) OnVerdict(verdict);
}

void RunLoop::MaybeCommit() {
  if (state_.phase() != LoopState::Phase::kWorking || commits_.busy()) return;
  if (commits_.Due(now_)) {
    Feed(CommitDue{});
  } else if (schedule_.IdleWriteBackDue(now_)) {
    FeedAll(commits_.WriteBack());
  }
}

Duration RunLoop::PollTimeout() const {
  if (tasks_.placing()) return kLookAgain;
  Duration timeout = schedule_.Idle(committer_.opened_at(), now_, kLongestPoll);
  if (const auto tick = state_.next_tick()) timeout = std::min(timeout, *tick - now_);
  return std::max(timeout, Duration::zero());
}

void RunLoop::Publish(bool at_once) {
  const LoopBoard::Due due = board_.PublishDue(now_);
  if (!at_once && !due.status) return;
  const bool sizes = at_once || due.sizes;
  status_.commits = commits_.times();
  tasks_.FillStatus(state_, sizes, &status_);
  board_.Publish(status_, sizes, now_);
}

void RunLoop::StopReading() {
  batch_ = {};
  next_in_batch_ = 0;
  clients_.ReleaseRecords();
}

void RunLoop::Close() {
  board_.End();
  StopReading();
  clients_.Close();
  Publish(true);
}

}  // namespace coho
