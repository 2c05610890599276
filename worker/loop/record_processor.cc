#include "worker/loop/record_processor.h"

#include <algorithm>
#include <utility>

#include "common/base/guarded.h"
#include "common/base/log.h"
#include "common/contract/exit_codes.h"
#include "worker/loop/dead_letter.h"
#include "worker/sdk/envelope.h"
#include "worker/sdk/serde.h"

namespace coho {
namespace {

bool IsChecked(const InputSpec& input) {
  return input.key != SerdeType::kBytes || input.value != SerdeType::kBytes;
}

Status CheckRecord(const InputSpec& input, const kafka::Record& record) {
  if (input.key != SerdeType::kBytes && record.has_key()) {
    if (Status status = CheckBytes(input.key, record.key()); !status.ok())
      return status.WithContext("key");
  }
  if (input.value != SerdeType::kBytes && !record.is_tombstone()) {
    if (Status status = CheckBytes(input.value, record.value()); !status.ok())
      return status.WithContext("value");
  }
  return Status::Ok();
}

}  // namespace

Verdict RecordProcessor::Process(const Route& route, const kafka::Record& record,
                                 MonotonicTime now) {
  InputPosition& position = *route.position;
  const int64_t offset = record.offset();
  if (record.is_end_of_partition()) [[unlikely]] {
    position.end = std::max(position.end, offset);
    if (offset > position.next) {
      position.next = offset;
      schedule_.NoteMoved(now);
    }
    return Verdict::kDone;
  }
  if (offset < position.next) return Verdict::kDone;
  TaskRuntime& task = *route.task;
  const Verdict verdict = Call(task, *position.spec, record, now);
  if (verdict == Verdict::kDone) [[likely]] {
    position.next = offset + 1;
    schedule_.NoteWork();
  }
  return verdict;
}

// Every record comes by here: a status that nobody needs is neither made nor moved.
Verdict RecordProcessor::Call(TaskRuntime& task, const InputSpec& input,
                              const kafka::Record& record, MonotonicTime now) {
  if (IsChecked(input)) {
    if (const Status status = CheckRecord(input, record); !status.ok()) [[unlikely]]
      return Handle(task, record, status, now);
  }
  collector_.CountIn(&task.counters().sent);
  const Envelope envelope(record, task.task());
  Status status = Guarded([&] { return task.user().Process(envelope, collector_); });
  if (!collector_.failure().ok()) [[unlikely]]
    return Verdict::kProducerFailed;
  if (!envelope.misuse().empty()) [[unlikely]]
    status = InvalidRecord(std::string(envelope.misuse()));
  if (task.StoreWantsCare()) [[unlikely]] {
    // Of this record, whatever else became of it.
    Status refused = task.TakeRefused();
    if (status.ok()) status = std::move(refused);
    if (task.StoreOverBudget()) schedule_.NoteOverBudget();
  }
  if (!status.ok()) [[unlikely]]
    return Handle(task, record, status, now);
  ++task.counters().processed;
  return Verdict::kDone;
}

Verdict RecordProcessor::Handle(TaskRuntime& task, const kafka::Record& record, const Status& error,
                                MonotonicTime now) {
  switch (job_.processing.on_error) {
    case OnError::kFail:
      failure_ = "task " + ToString(task.task()) + " failed at topic " +
                 std::string(record.topic()) + " partition " + std::to_string(record.partition()) +
                 " offset " + std::to_string(record.offset()) + ": " + error.ToString() +
                 " (spec.processing.onError is Fail; Skip and DeadLetter go on)";
      return Verdict::kTaskFailed;
    case OnError::kSkip:
      ++task.counters().skipped;
      LogSkipped(task, record, error, now);
      return Verdict::kDone;
    case OnError::kDeadLetter:
      break;
  }
  const DeadLetterHeaders headers(record.headers(), {.job = job_id_,
                                                     .task = task.task(),
                                                     .topic = record.topic(),
                                                     .partition = record.partition(),
                                                     .offset = record.offset(),
                                                     .error = error.message()});
  collector_.CountIn(&task.counters().sent);
  if (const Status sent = collector_.SendDeadLetter(record, headers.headers()); !sent.ok()) {
    if (!collector_.failure().ok()) return Verdict::kProducerFailed;
    failure_ = "task " + ToString(task.task()) + ": the record at topic " +
               std::string(record.topic()) + " partition " + std::to_string(record.partition()) +
               " offset " + std::to_string(record.offset()) +
               " cannot be sent to the dead-letter topic " + job_.processing.dead_letter_topic +
               ": " + sent.ToString();
    return Verdict::kTaskFailed;
  }
  ++task.counters().dead_letters;
  return Verdict::kDone;
}

void RecordProcessor::LogSkipped(const TaskRuntime& task, const kafka::Record& record,
                                 const Status& error, MonotonicTime now) {
  if (skip_logged_ != MonotonicTime{} && now - skip_logged_ < std::chrono::seconds(10)) {
    ++skips_unlogged_;
    return;
  }
  LogWarn("record skipped", {{"task", task.task()},
                             {"topic", record.topic()},
                             {"partition", record.partition()},
                             {"offset", record.offset()},
                             {"reason", error},
                             {"not_logged_before", skips_unlogged_}});
  skip_logged_ = now;
  skips_unlogged_ = 0;
}

Verdict RecordProcessor::Window(TaskRuntime& task) {
  collector_.CountIn(&task.counters().sent);
  Status status = Guarded([&] { return task.user().Window(collector_); });
  if (!collector_.failure().ok()) return Verdict::kProducerFailed;
  if (status.ok()) status = task.TakeRefused();
  if (status.ok()) return Verdict::kDone;
  failure_ = "task " + ToString(task.task()) + " failed in Window: " + status.ToString();
  return Verdict::kTaskFailed;
}

LoopInput RecordProcessor::TakeFailure(Verdict verdict, bool transaction_too_old) {
  if (verdict == Verdict::kTaskFailed)
    return TaskFailed{.exit_code = kExitTaskFailed, .message = failure_};
  const Status failure = collector_.failure();
  collector_.ClearFailure();
  return ClientFailed{.status = failure, .what = {}, .own_timeout = transaction_too_old};
}

}  // namespace coho
