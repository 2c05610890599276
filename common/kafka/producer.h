// A Kafka producer: idempotent, and transactional when it has a transactional id.
//
// Thread rule: one thread at a time per Producer (its run loop); delivery reports are served inside
// Send, Poll, Flush and CommitTransaction on that thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/kafka/config.h"
#include "common/kafka/record.h"

namespace coho::kafka {

struct ProducerOptions {
  std::string transactional_id;                             // empty: no transactions
  Duration transaction_timeout = std::chrono::seconds(60);  // of the broker
  Duration linger = std::chrono::milliseconds(5);
  int64_t queued_bytes_max = 128 << 20;
  std::string compression = "lz4";
  // Without transactions: how long a record may try to get delivered. With them it is the
  // transaction's time.
  std::optional<Duration> delivery_timeout = std::nullopt;
  // Asked now and then while Send waits for a full queue; false: it returns kUnavailable.
  std::function<bool()> keep_waiting = {};
  int64_t message_bytes_max = 0;  // 0: librdkafka's default, 1 MB
};

class Producer {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Producer>> Create(const ClientConfig& config,
                                                                const ProducerOptions& options);
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  // A topic to send to; cheap to copy, valid as long as the producer.
  class Topic {
   public:
    Topic() = default;

   private:
    friend class Producer;
    void* handle_ = nullptr;
  };
  [[nodiscard]] Result<Topic> OpenTopic(const std::string& name);

  static constexpr int32_t kByKey = kPartitionByKey;
  using Message = kafka::Message;
  // Copies key and value. A full queue is waited for (delivery reports are served meanwhile) while
  // options.keep_waiting says so.
  [[nodiscard]] Status Send(Topic topic, int32_t partition, const Message& message,
                            DeliverySlot* slot = nullptr);

  // Serves delivery reports. The first failed delivery is kept and returned by Flush, Commit... and
  // Abort clears it.
  void Poll(Duration timeout);
  [[nodiscard]] Status Flush(Duration timeout);

  // Transactions. InitTransactions fences older producers of the same id and must come first.
  // Codes: kFenced, kAborted (abort, then go on), kUnavailable/kDeadlineExceeded (retried inside
  // until `timeout`), else fatal.
  [[nodiscard]] Status InitTransactions(Duration timeout);
  [[nodiscard]] Status BeginTransaction();
  // Adds a group's next offsets to the transaction.
  [[nodiscard]] Status SendOffsets(const std::string& group,
                                   const std::map<TopicPartition, int64_t>& offsets,
                                   Duration timeout);
  [[nodiscard]] Status CommitTransaction(Duration timeout);
  [[nodiscard]] Status AbortTransaction(Duration timeout);

 private:
  Producer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Makes every producer of this transactional id powerless (R1b): initialises it once and lets go.
[[nodiscard]] Status FenceTransactionalId(const ClientConfig& config,
                                          const std::string& transactional_id, Duration timeout);

}  // namespace coho::kafka
