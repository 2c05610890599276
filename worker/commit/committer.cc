#include "worker/commit/committer.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/crash_point.h"
#include "common/base/log.h"
#include "common/base/mutant.h"
#include "worker/commit/lease.h"

namespace coho {
namespace {

// Of one attempt; between attempts the loop goes round.
constexpr Duration kAttempt = std::chrono::milliseconds(500);

bool Changed(const CommitPart& part) {
  return std::any_of(part.stores->begin(), part.stores->end(),
                     [](const CommitStore& s) { return s.store->changed_keys() > 0; });
}

bool NotYet(const Status& status) {
  return status.code() == Code::kUnavailable || status.code() == Code::kDeadlineExceeded;
}

}  // namespace

Committer::Committer(Options options)
    : options_(std::move(options)), exactly_once_(options_.guarantee == Guarantee::kExactlyOnce) {}

void Committer::Attach(OutputPort* outputs) {
  outputs_ = outputs;
  Drop();
}

void Committer::Drop() {
  opened_at_.reset();
  phase_ = Phase::kIdle;
  set_.clear();
}

Status Committer::BeginTransaction() {
  COHO_RETURN_IF_ERROR(outputs_->Begin());
  opened_at_ = options_.clock->Now();
  return Status::Ok();
}

bool Committer::TooOld() const {
  return exactly_once_ && opened_at_ &&
         options_.clock->Now() - *opened_at_ >= options_.transaction_timeout;
}

void Committer::Begin(std::vector<CommitPart> parts, bool prove) {
  COHO_CHECK(phase_ == Phase::kIdle, "a commit begins while another is under way");
  set_.clear();
  for (CommitPart& part : parts) {
    const bool changed = Changed(part) || part.inputs->uncommitted();
    Positions positions = part.inputs->Now();
    const bool send = (changed || prove) && !positions.empty();
    set_.push_back({.part = part,
                    .positions = std::move(positions),
                    .send_positions = send && !COHO_MUTANT("commit-without-positions")});
  }
  prove_ = prove && exactly_once_;
  again_ = prove_ && opened_at_.has_value();
  phase_ = Phase::kSend;
}

std::optional<CommitOutcome> Committer::Step() {
  COHO_CHECK(phase_ != Phase::kIdle && phase_ != Phase::kAbort, "no commit is under way");
  for (;;) {
    const Phase before = phase_;
    auto outcome = Advance();
    if (outcome || phase_ == before) return outcome;
  }
}

// One step; the same phase afterwards: Kafka has not answered yet.
std::optional<CommitOutcome> Committer::Advance() {
  // A full queue was waited for until the lease was over, or somebody gave up.
  const auto not_sent = [this](const Status& status) {
    if (!NotYet(status)) return Failed(status);
    return Failed(options_.may_write() ? Aborted(status.message()) : LeaseIsOverError());
  };
  // What was given up on is lost to the next flush; its input must not count as processed. However
  // long Kafka is away, it is tried again.
  const auto not_delivered = [this](const Status& status) {
    if (status.retry_class() == RetryClass::kFatal) return Failed(status);
    if (!options_.may_write()) return Failed(LeaseIsOverError());
    return Failed(Aborted(status.message()), status.code() != Code::kAborted);
  };
  switch (phase_) {
    case Phase::kSend: {
      CrashPoint("commit/begun");
      const bool nothing = std::none_of(set_.begin(), set_.end(), [](const Frozen& frozen) {
        return frozen.send_positions || Changed(frozen.part);
      });
      if (nothing && !opened_at_ && !prove_) return Done();
      if (!options_.may_write()) return Failed(LeaseIsOverError());
      if (Status status = Open(); !status.ok()) return Failed(std::move(status));
      const bool positions_first = !exactly_once_ && COHO_MUTANT("positions-before-changelog");
      if (positions_first) SendPositions().IgnoreError("a mutant");
      if (Status status = SendChanges(); !status.ok()) return not_sent(status);
      CrashPoint("commit/changes-sent");
      if (!exactly_once_) {
        flush_by_ = options_.clock->Now() + options_.flush_timeout;
        phase_ = positions_first ? Phase::kFlushPositions : Phase::kFlushChanges;
        return std::nullopt;
      }
      if (Status status = SendPositions(); !status.ok()) return not_sent(status);
      if (nothing && prove_ && !again_) {
        // A transaction must hold something. In one call with the time that is left: an attempt
        // that is cut off loses it.
        const Status witnessed = outputs_->SendGroupOffset(
            options_.witness, 0,
            std::max<Duration>(options_.transaction_timeout * 3 / 4, kAttempt));
        if (!witnessed.ok())
          return Failed(NotYet(witnessed) ? Aborted(witnessed.message()) : witnessed, false);
      }
      CrashPoint("commit/positions-sent");
      phase_ = Phase::kCommit;
      return std::nullopt;
    }
    case Phase::kFlushChanges: {
      if (const Status status = Flush(); !status.ok())
        return NotYet(status) ? std::nullopt : std::optional(not_delivered(status));
      // Positions of an owner who is none any more would make the next one skip what it has not
      // seen.
      if (!options_.may_write()) {
        COHO_SOMETIMES("the lease ended between changelog and positions");
        return Failed(LeaseIsOverError());
      }
      phase_ = Phase::kSendPositions;
      return std::nullopt;
    }
    case Phase::kSendPositions:
      if (Status status = SendPositions(); !status.ok()) return not_sent(status);
      CrashPoint("commit/positions-sent");
      phase_ = Phase::kFlushPositions;
      return std::nullopt;
    case Phase::kFlushPositions: {
      if (const Status status = Flush(); !status.ok())
        return NotYet(status) ? std::nullopt : std::optional(not_delivered(status));
      return Done();
    }
    case Phase::kCommit: {
      Status status = outputs_->Commit(kAttempt);
      if (NotYet(status)) {
        COHO_SOMETIMES("a commit was not acknowledged at once");
        return std::nullopt;
      }
      if (!status.ok()) return Failed(std::move(status));
      opened_at_.reset();
      CrashPoint("commit/acknowledged");
      return Done();
    }
    case Phase::kIdle:
    case Phase::kAbort:
      break;
  }
  return std::nullopt;
}

Status Committer::SendChanges() {
  for (Frozen& frozen : set_) {
    for (CommitStore& s : *frozen.part.stores) {
      s.slot.last_offset = -1;
      if (s.store->changed_keys() == 0) continue;
      COHO_RETURN_IF_ERROR(
          s.store->TakeChanges([&](std::string_view key, std::optional<std::string_view> value) {
            return outputs_->Send(s.changelog, frozen.part.task.value(),
                                  {.key = key,
                                   .value = value.value_or(std::string_view()),
                                   .has_value = value.has_value()},
                                  &s.slot);
          }));
    }
  }
  return Status::Ok();
}

Status Committer::SendPositions() {
  for (const Frozen& frozen : set_) {
    if (!frozen.send_positions) continue;
    const std::string record = EncodePositionsRecord(frozen.positions);
    COHO_RETURN_IF_ERROR(outputs_->Send(frozen.part.positions, frozen.part.task.value(),
                                        {.key = kPositionsKey, .value = record},
                                        frozen.part.positions_slot));
  }
  return Status::Ok();
}

Status Committer::Flush() {
  Status status = outputs_->Flush(kAttempt);
  if (!NotYet(status)) return status;
  if (!options_.may_write()) return LeaseIsOverError();
  if (options_.clock->Now() >= flush_by_) return Aborted(status.message());
  return status;
}

std::optional<CommitOutcome> Committer::Done() {
  const WallTime now = options_.clock->WallNow();
  for (Frozen& frozen : set_) {
    for (CommitStore& s : *frozen.part.stores) {
      s.store->Committed(
          s.slot.last_offset >= 0 ? std::optional(s.slot.last_offset + 1) : std::nullopt, now,
          frozen.positions);
    }
    frozen.part.inputs->MarkCommitted(frozen.positions);
  }
  if (again_) {
    COHO_SOMETIMES("a proof needs a transaction of its own");
    again_ = false;
    for (Frozen& frozen : set_) frozen.send_positions = !frozen.positions.empty();
    phase_ = Phase::kSend;
    return std::nullopt;
  }
  phase_ = Phase::kIdle;
  set_.clear();
  return CommitOutcome{};
}

CommitOutcome Committer::Failed(Status status, bool counts) {
  phase_ = Phase::kIdle;
  set_.clear();
  const bool old = status.retry_class() == RetryClass::kFenced && TooOld();
  return {.status = std::move(status), .counts = counts, .own_timeout = old};
}

void Committer::BeginUndo(std::vector<CommitPart> parts) {
  set_.clear();
  for (CommitPart& part : parts) set_.push_back({.part = part, .positions = {}});
  phase_ = Phase::kAbort;
}

std::optional<CommitOutcome> Committer::StepUndo() {
  COHO_CHECK(phase_ == Phase::kAbort, "no undo is under way");
  if (opened_at_) {
    Status status = outputs_->Abort(kAttempt);
    if (NotYet(status)) return std::nullopt;
    if (!status.ok()) return Failed(std::move(status));
    opened_at_.reset();
  }
  for (Frozen& frozen : set_) {
    for (CommitStore& s : *frozen.part.stores) {
      s.store->Undo();
      if (COHO_MUTANT("undo-of-only-one-store")) break;
    }
    frozen.part.inputs->Rewind();
  }
  phase_ = Phase::kIdle;
  set_.clear();
  return CommitOutcome{};
}

Status Committer::WriteBackDue(std::span<const CommitPart> parts, MonotonicTime now) {
  std::vector<CommitStore*> stores;
  std::vector<StoreFacts> facts;
  for (const CommitPart& part : parts) {
    for (CommitStore& s : *part.stores) {
      stores.push_back(&s);
      facts.push_back({.dirty_bytes = s.store->dirty_bytes(),
                       .over_budget = s.store->over_budget(),
                       .unflushed_since = s.store->unflushed_since()});
    }
  }
  if (stores.empty()) return Status::Ok();
  const std::vector<WriteBackDecision> decisions = DecideWriteBack(options_.policy, facts, now);
  for (size_t i = 0; i < stores.size(); ++i) {
    if (!decisions[i].write_back) continue;
    CrashPoint("write-back/before");
    Status status = stores[i]->store->WriteBack();
    CrashPoint("write-back/written");
    if (status.ok() && decisions[i].flush) {
      CrashPoint("flush/before");
      status = stores[i]->store->StartFlush();
      CrashPoint("flush/after");
    }
    if (!status.ok()) return status.WithContext("writing store " + stores[i]->store->spec().name);
  }
  return Status::Ok();
}

void Committer::WriteBackAll(const CommitPart& part) {
  for (CommitStore& s : *part.stores) {
    Status status = s.store->WriteBack();
    if (status.ok()) status = s.store->Flush();
    if (!status.ok()) {
      LogWarn("store not flushed at close",
              {{"task", part.task}, {"store", s.store->spec().name}, {"reason", status}});
    }
  }
}

}  // namespace coho
