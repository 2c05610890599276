// The Collector of a run loop: checks what a task sends and gives it to the loop's producer, inside
// the loop's transaction.
//
// Failures of two kinds come back to the task as a Status: a wrong topic or value is the task's own
// and goes to onError; a failing producer is the loop's business, so it is also kept in failure(),
// which the loop asks after each call of user code.
//
// Thread rule: the run loop's thread.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/job.h"
#include "worker/commit/committer.h"
#include "worker/commit/ports.h"
#include "worker/sdk/collector.h"

namespace coho {

class OutputCollector final : public Collector {
 public:
  // `job` and `committer` outlive the collector. `may_send`: asked now and then; false: the lease
  // is over.
  OutputCollector(const Job& job, Committer* committer, std::function<bool()> may_send)
      : job_(job), committer_(*committer), may_send_(std::move(may_send)) {}

  // Opens the job's topics on a (new) producer, which outlives their use.
  [[nodiscard]] Status Attach(OutputPort* outputs);
  // Whose sends are counted from now on.
  void CountIn(uint64_t* sent) { sent_ = sent; }

  using Collector::Send;
  [[nodiscard]] Status Send(std::string_view topic, std::string_view key, int64_t value) override;
  [[nodiscard]] Status SendTombstone(std::string_view topic, std::string_view key) override;
  [[nodiscard]] Status SendBytes(std::string_view topic, std::string_view key,
                                 std::string_view value,
                                 std::span<const kafka::Header> headers) override;

  // Of a job with onError: DeadLetter.
  [[nodiscard]] Status SendDeadLetter(const kafka::Record& record,
                                      std::span<const kafka::Header> headers);

  [[nodiscard]] const Status& failure() const { return failure_; }
  void ClearFailure() { failure_ = Status::Ok(); }

 private:
  struct Output {
    const OutputSpec* spec = nullptr;
    OutputTopic topic;
  };
  [[nodiscard]] const Output* Find(std::string_view topic);
  [[nodiscard]] Status UnknownTopic(std::string_view topic) const;
  [[nodiscard]] Status Deliver(const OutputTopic& topic, const kafka::Message& message);
  [[nodiscard]] Status NoteFailure(Status status);

  const Job& job_;
  Committer& committer_;
  const std::function<bool()> may_send_;
  uint32_t sends_ = 0;
  OutputPort* port_ = nullptr;
  std::vector<Output> outputs_;
  OutputTopic dead_letter_;
  size_t last_ = 0;
  uint64_t* sent_ = nullptr;
  Status failure_;
};

}  // namespace coho
