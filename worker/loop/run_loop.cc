#include "worker/loop/run_loop.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/base/overloaded.h"
#include "common/contract/exit_codes.h"

namespace coho {
namespace {

// How long a message may have to wait for an idle loop.
constexpr Duration kLongestPoll = std::chrono::milliseconds(50);
constexpr Duration kInitAttempt = std::chrono::seconds(1);
constexpr Duration kLogInterval = std::chrono::seconds(5);

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
      processor_(*options_.job, &collector_),
      progress_(clock_.Now().time_since_epoch().count()),
      now_(clock_.Now()) {}

RunLoop::~RunLoop() { Close(); }

LoopStatus RunLoop::status() const {
  const std::lock_guard lock(published_mutex_);
  return published_;
}

bool RunLoop::LeaseIsOver() const {
  if (options_.lease == nullptr || tasks_.empty()) return false;
  return !options_.lease->Valid(clock_.Now()) || options_.lease->epoch() != tasks_.lease_epoch();
}

bool RunLoop::MayGoOn() {
  progress_ = clock_.Now().time_since_epoch().count();
  return !given_up_ && !LeaseIsOver();
}

void RunLoop::NoteTime() {
  now_ = clock_.Now();
  progress_ = now_.time_since_epoch().count();
}

Duration RunLoop::Turn() {
  if (ended_) return kLongestPoll;
  NoteTime();
  HandleMessages();
  if (const auto tick = state_.next_tick(); tick && *tick <= now_) Feed(Ticked{});
  Duration wait = kLongestPoll;
  if (state_.phase() == LoopState::Phase::kConnecting) Connect();
  if (state_.phase() == LoopState::Phase::kWorking) wait = Work();
  Publish(false);
  return ended_ || state_.phase() == LoopState::Phase::kConnecting ? Duration::zero() : wait;
}

void RunLoop::HandleMessages() {
  if (given_up_) Feed(GaveUp{});
  if (LeaseIsOver()) Feed(LeaseOver{});
  if (mailbox_.empty()) return;
  for (auto message = mailbox_.Take(); message && !ended_; message = mailbox_.Take()) {
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
      if (!std::holds_alternative<StartCommit>(action)) published_at_ = {};
      Perform(action);
    }
  }
  feeding_ = false;
}

void RunLoop::Perform(const LoopAction& action) {
  std::visit(
      Overloaded{[this](const AskRestore& a) { tasks_.AskRestore(a.task); },
                 [this](const ForgetTask& a) { tasks_.Forget(a.task); },
                 [this](const ChooseStart& a) { tasks_.ChooseStart(a.task); },
                 [this](const StartTask& a) {
                   if (auto failed = tasks_.Start(a.task)) Feed(*std::move(failed));
                   work_ = work_ || tasks_.StoreChanged(a.task);  // Init may have stored
                   if (!moved_since_ && tasks_.Moved(a.task)) moved_since_ = now_;
                 },
                 [this](const CloseTask& a) { tasks_.Close(a.task); },
                 [this](const StartCommit& a) {
                   if (const Status status = tasks_.FirstStoreError(); !status.ok()) {
                     Feed(TaskFailed{.exit_code = kExitStore, .message = status.ToString()});
                     return;
                   }
                   commit_begun_ = clock_.Now();
                   committer_.Begin(tasks_.Parts(), a.prove);
                   GoOn();
                 },
                 [this](const StartUndo& a) {
                   LogWarn("transaction aborted, tasks begin again at the last commit",
                           {{"loop", options_.index}, {"reason", a.why}});
                   ++status_.commit_aborts;
                   StopReading();
                   tasks_.StopAll();
                   collector_.ClearFailure();
                   if (options_.job->processing.guarantee != Guarantee::kExactlyOnce) {
                     // Nothing may be under way any more that points to a store's slot.
                     DropProducer();
                   }
                   committer_.BeginUndo(tasks_.Parts());
                   ClearWork();
                   GoOn();
                 },
                 [this](const RenewProducer&) { DropProducer(); },
                 [this](const DropAll& a) {
                   LogWarn(a.fenced
                               ? "fenced: tasks are dropped without another write"
                               : "another run loop was fenced: tasks are dropped without another "
                                 "write",
                           {{"loop", options_.index}, {"reason", a.why}});
                   if (a.fenced) ++status_.fenced;
                   StopReading();
                   DropProducer();
                   tasks_.DropAll();
                   collector_.ClearFailure();
                   ClearWork();
                 },
                 [this](const Tell& a) { options_.on_event(options_.index, a.event); },
                 [this](const EndLoop&) {
                   StopReading();
                   Publish(true);
                   ended_ = true;
                 }},
      action);
}

void RunLoop::Connect() {
  Status status;
  if (!inputs_) {
    auto inputs = options_.ports->MakeInputs();
    status = inputs.status();
    if (status.ok()) inputs_ = std::move(inputs).value();
    tasks_.UseInputs(inputs_.get());
  }
  if (status.ok() && !outputs_) {
    auto outputs = options_.ports->MakeOutputs([this] { return MayGoOn(); });
    status = outputs.status();
    if (status.ok()) outputs_ = std::move(outputs).value();
  }
  if (status.ok()) status = outputs_->Init(kInitAttempt);
  if (status.ok()) status = collector_.Attach(outputs_.get());
  if (status.ok()) status = tasks_.UseOutputs(outputs_.get());
  if (status.ok()) {
    committer_.Attach(outputs_.get());
    NoteTime();
    last_commit_ = now_;
    next_window_ = now_ + options_.job->processing.window_interval;
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

void RunLoop::GoOn() {
  if (!committer_.busy()) return;
  const bool undo = state_.doing() == LoopState::Doing::kUndo;
  auto outcome = undo ? committer_.StepUndo() : committer_.Step();
  NoteTime();
  if (!outcome) return;
  if (undo) {
    if (outcome->status.ok() && !outputs_) {  // AtLeastOnce goes on with a new producer
      auto outputs = options_.ports->MakeOutputs([this] { return MayGoOn(); });
      outcome->status = outputs.status();
      if (outcome->status.ok()) {
        outputs_ = std::move(outputs).value();
        outcome->status = outputs_->Init(kInitAttempt);
      }
      if (outcome->status.ok()) outcome->status = collector_.Attach(outputs_.get());
      if (outcome->status.ok()) outcome->status = tasks_.UseOutputs(outputs_.get());
      committer_.Attach(outputs_.get());
    }
    Feed(UndoEnded{.status = outcome->status});
    return;
  }
  if (outcome->status.ok()) {
    last_commit_ = now_;
    if (work_) status_.commits.Add(std::chrono::duration<double>(now_ - commit_begun_).count());
    ClearWork();
    WriteBack();
  }
  Feed(CommitEnded{
      .status = outcome->status, .counts = outcome->counts, .own_timeout = outcome->own_timeout});
}

void RunLoop::ClearWork() {
  work_ = over_budget_ = false;
  moved_since_.reset();
}

void RunLoop::DropProducer() {
  committer_.Attach(nullptr);
  tasks_.UseOutputs(nullptr).IgnoreError("nothing is opened on no producer");
  outputs_.reset();
}

void RunLoop::StopReading() {
  batch_ = {};
  next_in_batch_ = 0;
  if (inputs_) inputs_->Release();
}

void RunLoop::Close() {
  ended_ = true;
  StopReading();
  // An open transaction is aborted so that readers need not wait for it to time out.
  if (outputs_ && committer_.opened_at())
    outputs_->Abort(kInitAttempt).IgnoreError("the next start of this worker aborts it");
  DropProducer();
  tasks_.DropAll();
  tasks_.MirrorLast(kInitAttempt);
  tasks_.UseInputs(nullptr);
  inputs_.reset();
  Publish(true);
}

}  // namespace coho
