#include "worker/commit/transaction.h"

#include <utility>

namespace coho {
namespace {

// Of one attempt; between attempts the loop says that it lives.
constexpr Duration kAttempt = std::chrono::seconds(5);
constexpr Duration kFlushTimeout = std::chrono::seconds(15);

bool AnyChanges(std::span<const CommitPart> parts) {
  for (const CommitPart& part : parts) {
    for (const CommitStore& s : *part.stores) {
      if (s.store->changed_keys() > 0) return true;
    }
  }
  return false;
}

Positions PositionsOf(const TaskInputs& inputs) {
  Positions positions;
  for (const InputPosition& p : inputs.positions()) {
    positions.push_back({.topic = p.partition.topic,
                         .topic_id = {},
                         .partition = p.partition.partition,
                         .next = p.next});
  }
  SortPositions(&positions);
  return positions;
}

void TellCommitted(std::span<const CommitPart> parts, WallTime now) {
  for (const CommitPart& part : parts) {
    const Positions positions = PositionsOf(*part.inputs);
    for (CommitStore& s : *part.stores) {
      s.store->Committed(
          s.slot.last_offset >= 0 ? std::optional(s.slot.last_offset + 1) : std::nullopt, now,
          positions);
    }
    part.inputs->MarkCommitted();
  }
}

}  // namespace

Transaction::Transaction(Options options, kafka::Producer* producer, kafka::Consumer* consumer)
    : options_(std::move(options)),
      exactly_once_(options_.guarantee == Guarantee::kExactlyOnce),
      producer_(producer),
      consumer_(consumer) {}

Status Transaction::Begin() {
  COHO_RETURN_IF_ERROR(producer_->BeginTransaction());
  open_ = true;
  return Status::Ok();
}

Status Transaction::Retry(const std::function<Status()>& step) {
  for (;;) {
    Status status = step();
    if (status.ok() || status.retry_class() != RetryClass::kRetry || !options_.keep_trying())
      return status;
  }
}

Status Transaction::SendChanges(std::span<const CommitPart> parts) {
  for (const CommitPart& part : parts) {
    for (CommitStore& s : *part.stores) {
      s.slot.last_offset = -1;
      if (s.store->changed_keys() == 0) continue;
      const int32_t partition = part.task.value();
      COHO_RETURN_IF_ERROR(
          s.store->TakeChanges([&](std::string_view key, std::optional<std::string_view> value) {
            return producer_->Send(s.changelog, partition,
                                   {.key = key,
                                    .value = value.value_or(std::string_view()),
                                    .has_value = value.has_value()},
                                   &s.slot);
          }));
    }
  }
  return Status::Ok();
}

Status Transaction::CommitExactlyOnce(const std::map<TopicPartition, int64_t>& offsets) {
  if (!offsets.empty()) {
    COHO_RETURN_IF_ERROR(
        Retry([&] { return producer_->SendOffsets(options_.group, offsets, kAttempt); }));
  }
  COHO_RETURN_IF_ERROR(Retry([&] { return producer_->CommitTransaction(kAttempt); }));
  open_ = false;
  return Status::Ok();
}

Status Transaction::CommitAtLeastOnce(const std::map<TopicPartition, int64_t>& offsets) {
  // Not tried again: a record that was given up on is lost to the next flush, and its input must not be committed.
  if (const Status flushed = producer_->Flush(kFlushTimeout); !flushed.ok()) {
    return flushed.retry_class() == RetryClass::kRetry ? Status(Code::kAborted, flushed.message())
                                                       : flushed;
  }
  if (offsets.empty()) return Status::Ok();
  return Retry([&] { return consumer_->Commit(offsets); });
}

Status Transaction::Commit(std::span<const CommitPart> parts, WallTime now, bool prove) {
  std::map<TopicPartition, int64_t> offsets;
  for (const CommitPart& part : parts) part.inputs->Collect(&offsets);
  // A transaction without any record or offset would never reach the broker. The tasks' own offsets once more change nothing; only
  // where no task runs yet is another one needed.
  if (prove && exactly_once_ && offsets.empty()) {
    for (const CommitPart& part : parts) {
      for (const InputPosition& p : part.inputs->positions()) offsets.emplace(p.partition, p.next);
    }
    if (offsets.empty()) offsets[options_.witness] = 0;
  }
  if (!open_ && exactly_once_ && offsets.empty() && !AnyChanges(parts)) return Status::Ok();
  COHO_RETURN_IF_ERROR(Open());
  COHO_RETURN_IF_ERROR(SendChanges(parts));
  COHO_RETURN_IF_ERROR(exactly_once_ ? CommitExactlyOnce(offsets) : CommitAtLeastOnce(offsets));
  TellCommitted(parts, now);
  return Status::Ok();
}

Status Transaction::Abort() {
  if (!open_) return Status::Ok();
  open_ = false;
  return Retry([&] { return producer_->AbortTransaction(kAttempt); });
}

}  // namespace coho
