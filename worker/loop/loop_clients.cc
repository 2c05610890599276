#include "worker/loop/loop_clients.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"

namespace coho {
namespace {

// A dead worker's open transaction holds up read_committed readers until its next start or this long; a live one must never
// take longer from its first send to its commit.
Duration TransactionTimeout(const Job& job) {
  constexpr Duration kBrokersDefaultMost = std::chrono::minutes(15);
  return std::clamp<Duration>(4 * job.processing.commit_interval, std::chrono::seconds(20),
                              kBrokersDefaultMost);
}

}  // namespace

LoopClients::LoopClients(Options options)
    : options_(std::move(options)), collector_(*options_.job) {}

Status LoopClients::Connect() {
  COHO_ASSIGN_OR_RETURN(
      consumer_,
      kafka::Consumer::Create(options_.kafka, {.group_id = options_.job->ConsumerGroup(),
                                               .queued_bytes_max = options_.consumer_queue_bytes}));
  return RenewProducer();
}

Status LoopClients::RenewProducer() {
  const Job& job = *options_.job;
  const bool exactly_once = job.processing.guarantee == Guarantee::kExactlyOnce;
  DropProducer();
  COHO_ASSIGN_OR_RETURN(
      producer_, kafka::Producer::Create(
                     options_.kafka,
                     {.transactional_id = exactly_once ? options_.transactional_id : std::string(),
                      .transaction_timeout = TransactionTimeout(job),
                      .queued_bytes_max = options_.producer_queue_bytes}));
  std::string said;
  while (exactly_once) {
    const Status status = producer_->InitTransactions(std::chrono::seconds(5));
    if (status.ok()) break;
    if (status.retry_class() != RetryClass::kRetry || !options_.keep_trying()) {
      return status.WithContext("initialising producer " + options_.transactional_id);
    }
    if (said == status.message()) continue;
    said = status.message();
    LogWarn("producer not initialised yet",
            {{"transactional_id", options_.transactional_id}, {"reason", status}});
  }
  transaction_ =
      std::make_unique<Transaction>(Transaction::Options{.guarantee = job.processing.guarantee,
                                                         .group = job.ConsumerGroup(),
                                                         .witness = {job.CoordinatorTopic(), 0},
                                                         .keep_trying = options_.keep_trying},
                                    producer_.get(), consumer_.get());
  return collector_.Attach(producer_.get(), transaction_.get());
}

void LoopClients::DropProducer() {
  transaction_.reset();
  producer_.reset();
}

void LoopClients::Close() {
  DropProducer();
  consumer_.reset();
}

}  // namespace coho
