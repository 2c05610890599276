// A run loop's connections: one consumer by assignment, one producer, the transaction on it and the collector that sends through it.
//
// Thread rule: the run loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/kafka/config.h"
#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"
#include "common/model/job.h"
#include "worker/commit/transaction.h"
#include "worker/loop/output_collector.h"

namespace coho {

class LoopClients {
 public:
  struct Options {
    const Job* job = nullptr;  // outlives the object
    kafka::ClientConfig kafka;
    std::string transactional_id;  // used with ExactlyOnce
    int64_t consumer_queue_bytes = 64 << 20;
    int64_t producer_queue_bytes = 64 << 20;
    // Asked before a broker that does not answer is asked again.
    std::function<bool()> keep_trying;
  };
  explicit LoopClients(Options options);

  // Makes the clients; the producer is initialised, so an older self is fenced. Tries until it works or keep_trying gives up.
  [[nodiscard]] Status Connect();
  // Lets go of the producer and of everything it has under way, and initialises a new one.
  [[nodiscard]] Status RenewProducer();
  // Lets go of the producer only; the next call is RenewProducer or Close.
  void DropProducer();
  void Close();

  [[nodiscard]] kafka::Consumer& consumer() { return *consumer_; }
  [[nodiscard]] kafka::Producer& producer() { return *producer_; }
  [[nodiscard]] Transaction& transaction() { return *transaction_; }
  [[nodiscard]] OutputCollector& collector() { return collector_; }

 private:
  Options options_;
  OutputCollector collector_;
  std::unique_ptr<kafka::Consumer> consumer_;
  std::unique_ptr<kafka::Producer> producer_;
  std::unique_ptr<Transaction> transaction_;
};

}  // namespace coho
