#include "common/kafka/producer.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "common/kafka/client.h"
#include "common/kafka/errors.h"
#include "common/kafka/owned.h"
#include "common/kafka/partition_list.h"

namespace coho::kafka {

static_assert(Producer::kByKey == RD_KAFKA_PARTITION_UA);

namespace {

// Null and empty are different things to Kafka.
void* Bytes(bool present, std::string_view bytes) {
  if (!present) return nullptr;
  return const_cast<char*>(bytes.data() == nullptr ? "" : bytes.data());
}

}  // namespace

struct Producer::Impl {
  std::unique_ptr<Client> client;
  bool transactional = false;
  bool in_transaction = false;
  bool must_abort = false;  // librdkafka said so of the current transaction
  uint32_t sends = 0;
  std::function<bool()> keep_waiting;
  Status failed_delivery;  // the first
  std::map<std::string, rd_kafka_topic_t*> topics;

  ~Impl() {
    for (const auto& [name, topic] : topics) rd_kafka_topic_destroy(topic);
    if (client != nullptr)
      rd_kafka_purge(client->get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  }

  [[nodiscard]] rd_kafka_t* get() const { return client->get(); }

  static void OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque);
  rd_kafka_resp_err_t TrySend(rd_kafka_topic_t* topic, int32_t partition, const Message& message,
                              DeliverySlot* slot);
  Status SendError(rd_kafka_resp_err_t error, rd_kafka_topic_t* topic);
  Status WhyAbort();
  Status Transact(Duration timeout, std::string_view context,
                  const std::function<rd_kafka_error_t*(int)>& call);
};

void Producer::Impl::OnDelivery(rd_kafka_t* handle, const rd_kafka_message_t* message,
                                void* opaque) {
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    if (message->_private == nullptr) return;
    auto* slot = static_cast<DeliverySlot*>(message->_private);
    slot->last_offset = std::max(slot->last_offset, message->offset);
    return;
  }
  if (message->_private != nullptr) static_cast<DeliverySlot*>(message->_private)->failed = true;
  auto* self = static_cast<Impl*>(Client::DeliveryOpaque(opaque));
  if (!self->failed_delivery.ok()) return;
  Code code = CodeOf(message->err);
  // Whatever is wrong with a record of a transaction, its way out is an abort, unless the producer
  // cannot go on at all, or may not.
  if (const auto fatal = rd_kafka_fatal_error(handle, nullptr, 0);
      fatal != RD_KAFKA_RESP_ERR_NO_ERROR) {
    code = CodeOfFatal(fatal);
  } else if (self->transactional && code != Code::kUnauthenticated) {
    code = Code::kAborted;
  }
  const std::string topic = rd_kafka_topic_name(message->rkt);
  std::string why = "a record for topic " + topic;
  why += std::string(" was not delivered: ") + rd_kafka_err2str(message->err);
  if (message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
    why += MissingRights("Write and Describe", topic);
  self->failed_delivery = {code, std::move(why)};
}

Producer::Producer() : impl_(std::make_unique<Impl>()) {}
Producer::~Producer() = default;

Result<std::unique_ptr<Producer>> Producer::Create(const ClientConfig& config,
                                                   const ProducerOptions& options) {
  std::unique_ptr<Producer> producer(new Producer);
  ClientSettings settings{
      .defaults = {{"linger.ms", std::to_string(ToMillis(options.linger))},
                   {"compression.codec", options.compression},
                   // Each message costs a few hundred bytes beside its own.
                   {"queue.buffering.max.messages",
                    std::to_string(
                        std::clamp<int64_t>(options.queued_bytes_max / 256, 1000, 1'000'000))}},
      .fixed = {{"enable.idempotence", "true"},
                // As Kafka's own clients do, so that any client agrees on a key's partition.
                {"partitioner", "murmur2_random"},
                {"queue.buffering.max.kbytes",
                 std::to_string(std::max<int64_t>(1, options.queued_bytes_max >> 10))}},
      .delivery_report = &Impl::OnDelivery,
      .delivery_opaque = producer->impl_.get(),
  };
  producer->impl_->keep_waiting = options.keep_waiting;
  if (options.delivery_timeout) {
    settings.fixed.emplace_back("message.timeout.ms",
                                std::to_string(std::max(1, ToMillis(*options.delivery_timeout))));
  }
  if (options.message_bytes_max > 0)
    settings.defaults.emplace_back("message.max.bytes", std::to_string(options.message_bytes_max));
  // librdkafka refuses a transactional producer whose requests or records may take longer than its
  // transactions.
  const int transaction_ms = ToMillis(options.transaction_timeout);
  const auto within_transaction = [&](const std::string& name) {
    const auto wanted = config.properties.find(name);
    if (wanted == config.properties.end()) return;
    if (std::atoi(wanted->second.c_str()) > transaction_ms)
      settings.fixed.emplace_back(name, std::to_string(transaction_ms));
  };
  if (options.transactional_id.empty()) {
    // A node that died in silence is given up after this.
    settings.defaults.emplace_back("socket.timeout.ms", "15000");
  } else {
    within_transaction("socket.timeout.ms");
    if (!options.delivery_timeout) within_transaction("message.timeout.ms");
    producer->impl_->transactional = true;
    settings.fixed.emplace_back("transactional.id", options.transactional_id);
    settings.fixed.emplace_back("transaction.timeout.ms",
                                std::to_string(ToMillis(options.transaction_timeout)));
  }
  COHO_ASSIGN_OR_RETURN(producer->impl_->client,
                        Client::Create(RD_KAFKA_PRODUCER, config, settings));
  return producer;
}

Result<Producer::Topic> Producer::OpenTopic(const std::string& name) {
  rd_kafka_topic_t*& handle = impl_->topics[name];
  if (handle == nullptr) handle = rd_kafka_topic_new(impl_->get(), name.c_str(), nullptr);
  if (handle == nullptr) {
    impl_->topics.erase(name);
    return ToStatus(rd_kafka_last_error(), "opening topic " + name);
  }
  Topic topic;
  topic.handle_ = handle;
  return topic;
}

rd_kafka_resp_err_t Producer::Impl::TrySend(rd_kafka_topic_t* topic, int32_t partition,
                                            const Message& message, DeliverySlot* slot) {
  void* value = Bytes(message.has_value, message.value);
  void* key = Bytes(message.has_key, message.key);
  const size_t value_size = message.has_value ? message.value.size() : 0;
  const size_t key_size = message.has_key ? message.key.size() : 0;
  if (message.headers.empty() && message.timestamp_ms == 0) [[likely]] {
    const int sent = rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, value, value_size, key,
                                      key_size, slot);
    return sent == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error();
  }
  Owned<rd_kafka_headers_t, rd_kafka_headers_destroy> headers(
      rd_kafka_headers_new(message.headers.size()));
  for (const Header& header : message.headers) {
    const rd_kafka_resp_err_t error = rd_kafka_header_add(
        headers.get(), header.name.data(), static_cast<ssize_t>(header.name.size()),
        Bytes(true, header.value), static_cast<ssize_t>(header.value.size()));
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return error;
  }
  const rd_kafka_resp_err_t error =
      rd_kafka_producev(get(), RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(partition),
                        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                        RD_KAFKA_V_VALUE(value, value_size), RD_KAFKA_V_KEY(key, key_size),
                        RD_KAFKA_V_OPAQUE(slot), RD_KAFKA_V_TIMESTAMP(message.timestamp_ms),
                        RD_KAFKA_V_HEADERS(headers.get()), RD_KAFKA_V_END);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) (void)headers.release();  // owned by the message now
  return error;
}

// Records that were dropped with their transaction do not know why. A commit does, and is refused:
// librdkafka asks nobody to commit what must be aborted, or what lacks a record.
Status Producer::Impl::WhyAbort() {
  constexpr int kAtOnceMs = 1000;
  must_abort = true;
  const Status why =
      TakeError(rd_kafka_commit_transaction(get(), kAtOnceMs), "going on with the transaction");
  if (why.code() == Code::kAborted || why.code() == Code::kUnauthenticated) return why;
  return failed_delivery.ok() ? Aborted("the transaction has to be aborted") : failed_delivery;
}

Status Producer::Impl::SendError(rd_kafka_resp_err_t error, rd_kafka_topic_t* topic) {
  client->Serve(0);
  if (Status failure = client->TakeFailure(); !failure.ok()) return failure;
  const Status status =
      ToStatus(error, "sending to topic " + std::string(rd_kafka_topic_name(topic)));
  // A transaction that must be aborted takes no more records.
  return error == RD_KAFKA_RESP_ERR__STATE && in_transaction ? WhyAbort() : status;
}

Status Producer::Send(Topic topic, int32_t partition, const Message& message, DeliverySlot* slot) {
  constexpr uint32_t kServeEvery = 1024;  // reports must not pile up where nobody polls
  constexpr int kFullWaitMs = 20;
  auto* handle = static_cast<rd_kafka_topic_t*>(topic.handle_);
  if (++impl_->sends % kServeEvery == 0) impl_->client->Serve(0);
  while (true) {
    const rd_kafka_resp_err_t error = impl_->TrySend(handle, partition, message, slot);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) [[likely]]
      return Status::Ok();
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) return impl_->SendError(error, handle);
    // Ends in any case: what cannot be delivered times out and leaves the queue.
    impl_->client->Serve(kFullWaitMs);
    if (Status failure = impl_->client->TakeFailure(); !failure.ok()) return failure;
    // Without transactions, what was given up has made room, and the next Flush tells of it.
    const Status& failed = impl_->failed_delivery;
    if (!failed.ok() && (impl_->transactional || failed.retry_class() != RetryClass::kRetry))
      return failed;
    if (impl_->keep_waiting && !impl_->keep_waiting())
      return Unavailable("the queue of records to be sent is full, and waiting was given up");
  }
}

void Producer::Poll(Duration timeout) { impl_->client->Serve(ToMillis(timeout)); }

Status Producer::Flush(Duration timeout) {
  COHO_RETURN_IF_ERROR(impl_->client->Await(timeout, "delivering records", [&](int timeout_ms) {
    return ToStatus(rd_kafka_flush(impl_->get(), timeout_ms), "delivering records");
  }));
  if (impl_->transactional) {
    return impl_->in_transaction && impl_->failed_delivery.code() == Code::kAborted
               ? impl_->WhyAbort()
               : impl_->failed_delivery;
  }
  Status failed = std::exchange(impl_->failed_delivery, Status::Ok());
  // A record that was given up on is not one that is still under way.
  if (failed.retry_class() == RetryClass::kRetry && !failed.ok()) return Aborted(failed.message());
  return failed;
}

Status Producer::Impl::Transact(Duration timeout, std::string_view context,
                                const std::function<rd_kafka_error_t*(int)>& call) {
  Status status = client->Await(
      timeout, context, [&](int timeout_ms) { return TakeError(call(timeout_ms), context); });
  if (status.code() != Code::kAborted && status.code() != Code::kUnauthenticated) return status;
  must_abort = true;
  if (failed_delivery.ok()) return status;
  const bool refused = failed_delivery.code() == Code::kUnauthenticated;
  return {refused ? Code::kUnauthenticated : status.code(),
          status.message() + ": " + failed_delivery.message()};
}

Status Producer::InitTransactions(Duration timeout) {
  return impl_->Transact(timeout, "initialising transactions",
                         [&](int ms) { return rd_kafka_init_transactions(impl_->get(), ms); });
}

Status Producer::BeginTransaction() {
  COHO_RETURN_IF_ERROR(
      TakeError(rd_kafka_begin_transaction(impl_->get()), "beginning a transaction"));
  impl_->in_transaction = true;
  impl_->must_abort = false;
  return Status::Ok();
}

Status Producer::SendOffsets(const std::string& group,
                             const std::map<TopicPartition, int64_t>& offsets, Duration timeout) {
  if (offsets.empty()) return Status::Ok();
  const PartitionList list = ToList(offsets);
  // Without membership: that nobody else commits for this task is R1's business, and transactional
  // ids' fencing.
  const Owned<rd_kafka_consumer_group_metadata_t, rd_kafka_consumer_group_metadata_destroy>
      metadata(rd_kafka_consumer_group_metadata_new(group.c_str()));
  // In one call: librdkafka goes on asking a group's coordinator that moves, and when the time is
  // over the transaction is lost.
  Status status = TakeError(rd_kafka_send_offsets_to_transaction(impl_->get(), list.get(),
                                                                 metadata.get(), ToMillis(timeout)),
                            "adding offsets to the transaction");
  if (status.code() == Code::kAborted) impl_->must_abort = true;
  impl_->client->Serve(0);
  if (Status failure = impl_->client->TakeFailure(); !failure.ok()) return failure;
  return status;
}

Status Producer::CommitTransaction(Duration timeout) {
  COHO_RETURN_IF_ERROR(impl_->Transact(timeout, "committing the transaction", [&](int ms) {
    return rd_kafka_commit_transaction(impl_->get(), ms);
  }));
  impl_->in_transaction = false;
  return Status::Ok();
}

Status Producer::AbortTransaction(Duration timeout) {
  // A partition that the broker has not added to the transaction yet, because it is still closing
  // the one before, makes it refuse the abort, which is fatal to librdkafka. Delivered records are
  // proof that theirs were added. After a failure nothing is delivered any more, and nothing need
  // be waited for.
  constexpr Duration kDeliverFirst = std::chrono::seconds(5);
  if (impl_->in_transaction && !impl_->must_abort && impl_->failed_delivery.ok()) {
    Flush(std::min<Duration>(timeout, kDeliverFirst))
        .IgnoreError("the transaction is aborted anyway");
  }
  COHO_RETURN_IF_ERROR(impl_->Transact(timeout, "aborting the transaction", [&](int ms) {
    return rd_kafka_abort_transaction(impl_->get(), ms);
  }));
  impl_->in_transaction = false;
  impl_->failed_delivery = Status::Ok();
  return Status::Ok();
}

Status FenceTransactionalId(const ClientConfig& config, const std::string& transactional_id,
                            Duration timeout) {
  // Nothing is ever sent with it; a broker's maximum may be lower than librdkafka's default.
  constexpr Duration kTransactionTimeout = std::chrono::seconds(10);
  COHO_ASSIGN_OR_RETURN(const std::unique_ptr<Producer> producer,
                        Producer::Create(config, {.transactional_id = transactional_id,
                                                  .transaction_timeout = kTransactionTimeout,
                                                  .queued_bytes_max = 1 << 20}));
  return producer->InitTransactions(timeout).WithContext("fencing " + transactional_id);
}

}  // namespace coho::kafka
