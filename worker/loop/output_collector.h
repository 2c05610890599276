// The Collector of a run loop: checks what a task sends and gives it to the loop's producer, inside the loop's transaction.
//
// Failures of two kinds come back to the task as a Status: a wrong topic or value is the task's own and goes to onError; a
// failing producer is the loop's business, so it is also kept in failure(), which the loop asks after each call of user code.
//
// Thread rule: the run loop's thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/kafka/producer.h"
#include "common/model/job.h"
#include "worker/commit/transaction.h"
#include "worker/sdk/collector.h"

namespace coho {

class OutputCollector final : public Collector {
 public:
  // `job` outlives the collector.
  explicit OutputCollector(const Job& job) : job_(job) {}

  // Opens the job's topics on a (new) producer; both outlive their use.
  [[nodiscard]] Status Attach(kafka::Producer* producer, Transaction* transaction);
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
    kafka::Producer::Topic topic;
  };
  [[nodiscard]] const Output* Find(std::string_view topic);
  [[nodiscard]] Status UnknownTopic(std::string_view topic) const;
  [[nodiscard]] Status Deliver(const kafka::Producer::Topic& topic,
                               const kafka::Producer::Message& message);

  const Job& job_;
  kafka::Producer* producer_ = nullptr;
  Transaction* transaction_ = nullptr;
  std::vector<Output> outputs_;
  kafka::Producer::Topic dead_letter_;
  size_t last_ = 0;
  uint64_t* sent_ = nullptr;
  Status failure_;
};

}  // namespace coho
