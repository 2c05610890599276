// How a member reads the coordinator topic: to its end after its producers were initialised, then
// as it grows.
#include <algorithm>
#include <utility>

#include "common/base/mutant.h"
#include "worker/member/member_impl.h"

namespace coho {
namespace {

// While a loop is about to answer.
constexpr Duration kBusyPoll = std::chrono::milliseconds(10);

}  // namespace

// The end is asked for only now: after the producers were initialised, and with a good lease. What
// was read before counts for nothing: records may have vanished since, and their tombstones, too.
void Member::Impl::BeginReading() {
  if (!to_read || clock.Now() < not_before) return;
  if (options.lease != nullptr) {
    if (!options.lease->Valid(clock.Now())) return;
    lease_epoch = options.lease->epoch();
  }
  const std::string what = "reading topic " + options.job->CoordinatorTopic();
  const Result<LogEnds> ends = log->Ends(kMemberRequestTimeout);
  if (!ends.ok()) {
    TryAgainLater(ends.status(), what);
    return;
  }
  if (!reading || !COHO_MUTANT("old-fold-kept-at-rejoin")) {
    if (const Status status = log->Rewind(kMemberRequestTimeout); !status.ok()) {
      TryAgainLater(status, what);
      return;
    }
    folded = {};
  }
  reading = true;
  backoff.Reset();
  // To the high watermark: what is committed and fenced may not be visible yet.
  end = COHO_MUTANT("stable-end-taken-for-the-end") ? ends->stable : ends->high;
  read_number = to_read->number;
  to_read.reset();
}

void Member::Impl::NoteReadToEnd() {
  if (!read_number || log->position() < end) return;
  Step("coordinator-topic", read_asked_at);
  const int64_t number = *std::exchange(read_number, std::nullopt);
  TellAssignment();
  if (done) return;
  Perform(state.OnCaughtUp(number, clock.Now()));
  WaitFor(state.waiting_for());
}

Status Member::Impl::Fold(const LogRecord& record) {
  const Generation before = folded.assignment.generation;
  const std::string life_before = folded.assignment.life;
  const Status status = ApplyCoordinatorRecord(record.record, &folded, FoldCopies::kNo);
  if (!status.ok() && !COHO_MUTANT("unreadable-record-skipped")) {
    return {status.code(), "offset " + std::to_string(record.offset) + ": " + status.message()};
  }
  // The header closes a generation; what came before it is not an assignment yet. While the topic
  // is read from its begin, only its end counts: what lies between may be old beside new.
  const bool closes =
      folded.assignment.generation != before || folded.assignment.life != life_before;
  if (closes && !read_number) TellAssignment();
  return Status::Ok();
}

void Member::Impl::TellAssignment() {
  const Assignment& assignment = folded.assignment;
  if (assignment.generation == Generation() || !folded.model) return;
  const std::string missing = MissingInModel(*options.job, *folded.model);
  if (missing.empty() && !model) model = std::make_unique<const JobModel>(*folded.model);
  const auto mine = assignment.workers.find(options.identity.id);
  Perform(state.OnAssignment(
      {.generation = assignment.generation,
       .life = assignment.life,
       .mine = mine == assignment.workers.end() ? std::nullopt : std::optional(mine->second),
       .missing_in_model = missing},
      clock.Now()));
}

void Member::Impl::PollTopic(Duration wait) {
  const bool busy = state.busy() || read_number.has_value() || to_read.has_value();
  const Duration tick = std::max(Duration::zero(), state.next_tick() - clock.Now());
  const Duration timeout = std::min({wait, busy ? kBusyPoll : kMemberIdlePoll, tick});
  if (!reading) {
    mailbox.Wait(timeout);
    return;
  }
  std::vector<LogRecord> records;
  Status status = log->Poll(timeout, &records);
  for (size_t i = 0; i < records.size() && status.ok() && !done; ++i) status = Fold(records[i]);
  if (!status.ok()) Fail(status, "reading topic " + options.job->CoordinatorTopic());
}

}  // namespace coho
