// coho::kafka::Producer over the simulation's Kafka, as librdkafka behaves: records leave in the
// background, a transaction that went wrong has to be aborted, a fenced producer never works again.
#include "common/kafka/producer.h"

#include <algorithm>
#include <set>
#include <utility>

#include "tests/support/sim/client.h"

namespace coho::kafka {

using sim::Cloud;
using sim::Error;
using sim::KafkaRecord;
using sim::ProducerIdentity;

struct Producer::Impl {
  struct Queued {
    TopicPartition at;
    KafkaRecord record;
    DeliverySlot* slot = nullptr;
    MonotonicTime give_up_at;
  };
  // Outlives the producer as long as the network knows of it.
  struct State {
    sim::Client client;
    ProducerOptions options;
    ProducerIdentity identity;
    std::vector<Queued> queue;
    std::set<TopicPartition> added;
    std::set<std::string> topics;
    bool closed = false;
    bool scheduled = false;
    bool initialised = false;
    bool in_transaction = false;
    bool begun = false;  // the coordinator knows of the transaction
    bool must_abort = false;
    bool old_epoch = false;  // a broker said so; whose doing it was is seen at the abort
    Status fatal;
    Status failed_delivery;

    [[nodiscard]] bool transactional() const { return !options.transactional_id.empty(); }
    [[nodiscard]] Duration message_timeout() const {
      return transactional() ? options.transaction_timeout
                             : options.delivery_timeout.value_or(std::chrono::seconds(300));
    }
    void FailDelivery(Code code, const std::string& why) {
      if (transactional()) must_abort = true;
      if (failed_delivery.ok())
        failed_delivery = {transactional() && fatal.ok() ? Code::kAborted : code,
                           "a record was not delivered: " + why};
    }
    void Fence(const std::string& context, Error error) {
      fatal = {Code::kFenced, context + ": " + sim::NameOf(error)};
      must_abort = true;
    }
  };
  std::shared_ptr<State> state = std::make_shared<State>();

  static void Schedule(const std::shared_ptr<State>& state, Duration in);
  static void Drain(const std::shared_ptr<State>& state);
  static Error Deliver(State* state, const TopicPartition& at, std::vector<Queued> batch);
  void ServeUntilEmpty(Duration timeout);
  Status Transact(Duration timeout, const std::string& context,
                  const std::function<Error()>& request);
};

void Producer::Impl::Schedule(const std::shared_ptr<State>& state, Duration in) {
  if (std::exchange(state->scheduled, true)) return;
  Cloud::current->scheduler.After(in, [state] {
    state->scheduled = false;
    Drain(state);
  });
}

// One attempt at everything that waits, as the client's own threads make it.
void Producer::Impl::Drain(const std::shared_ptr<State>& state) {
  Cloud& cloud = *Cloud::current;
  sim::Scheduler& scheduler = cloud.scheduler;
  if (state->closed || state->client.process->dead || state->queue.empty()) return;
  const auto again = [&] { Schedule(state, scheduler.dice().Millis(10, 120)); };
  if (state->client.process->frozen) return again();
  if (!cloud.Reaches(state->client.process) ||
      scheduler.dice().PerMille(cloud.network.lost_before_per_mille)) {
    const bool over = std::any_of(state->queue.begin(), state->queue.end(),
                                  [&](const Queued& q) { return q.give_up_at <= scheduler.now(); });
    if (over) {
      for (const Queued& queued : state->queue) {
        if (queued.give_up_at <= scheduler.now() && queued.slot != nullptr)
          queued.slot->failed = true;
      }
      std::erase_if(state->queue, [&](const Queued& q) { return q.give_up_at <= scheduler.now(); });
      state->FailDelivery(Code::kDeadlineExceeded, "Local: Message timed out");
      scheduler.Notify(state.get(), true);
    }
    if (!state->queue.empty()) again();
    return;
  }
  std::map<TopicPartition, std::vector<Queued>> batches;
  for (Queued& queued : std::exchange(state->queue, {}))
    batches[queued.at].push_back(std::move(queued));
  for (auto& [at, batch] : batches) {
    std::vector<Queued> copy = batch;
    const Error error = Deliver(state.get(), at, std::move(batch));
    if (sim::IsLater(error)) {
      if (std::erase_if(copy, [&](const Queued& q) { return q.give_up_at <= scheduler.now(); }) > 0)
        state->FailDelivery(Code::kDeadlineExceeded, "Local: Message timed out");
      for (Queued& queued : copy) state->queue.push_back(std::move(queued));
    }
  }
  scheduler.Notify(state.get(), true);
  if (!state->queue.empty()) again();
}

Error Producer::Impl::Deliver(State* state, const TopicPartition& at, std::vector<Queued> batch) {
  Cloud& cloud = *Cloud::current;
  sim::Dice& dice = cloud.scheduler.dice();
  const std::string& id = state->options.transactional_id;
  const bool heartbeats = at.topic.ends_with("-heartbeats");
  if (heartbeats) {
    const auto muted = cloud.network.muted_until.find(state->client.process);
    if (muted != cloud.network.muted_until.end() && muted->second > cloud.scheduler.now())
      return Error::kUnavailable;
  }
  if (heartbeats && dice.Percent(cloud.network.late_percent)) {
    // On its way: arrives later, whatever becomes of its sender.
    std::vector<KafkaRecord> records;
    for (Queued& queued : batch) records.push_back(std::move(queued.record));
    cloud.scheduler.After(dice.Millis(50, cloud.network.late_max_ms), [at, records] {
      int64_t base = 0;
      (void)Cloud::current->kafka.Produce(at, {}, {}, records, &base);
    });
    return Error::kNone;
  }
  if (state->transactional() && !state->added.contains(at)) {
    const Error error = cloud.Reaches(state->client.process, id)
                            ? cloud.kafka.AddPartition(id, state->identity, at)
                            : Error::kUnavailable;
    if (sim::IsLater(error)) return error;
    if (error == Error::kProducerFenced || error == Error::kInvalidProducerEpoch) {
      state->Fence("adding a partition to the transaction", error);
      state->FailDelivery(Code::kFenced, sim::NameOf(error));
      return error;
    }
    if (error != Error::kNone) {
      state->FailDelivery(sim::ToStatus(error, "").code(), sim::NameOf(error));
      return error;
    }
    state->added.insert(at);
    state->begun = true;
  }
  std::vector<KafkaRecord> records;
  records.reserve(batch.size());
  for (const Queued& queued : batch) records.push_back(queued.record);
  int64_t base = 0;
  const Error error = cloud.kafka.Produce(at, state->identity, id, records, &base);
  if (error == Error::kUnavailable) return error;
  if (error != Error::kNone) {
    if (error == Error::kInvalidProducerEpoch) state->old_epoch = true;
    state->FailDelivery(sim::ToStatus(error, "").code(), sim::NameOf(error));
    return error;
  }
  if (heartbeats && dice.Percent(cloud.network.doubled_percent)) {
    cloud.scheduler.After(dice.Millis(50, 9000), [at, records] {
      int64_t again = 0;
      (void)Cloud::current->kafka.Produce(at, {}, {}, records, &again);
    });
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    if (batch[i].slot != nullptr)
      batch[i].slot->last_offset =
          std::max(batch[i].slot->last_offset, base + static_cast<int64_t>(i));
  }
  return Error::kNone;
}

void Producer::Impl::ServeUntilEmpty(Duration timeout) {
  sim::Scheduler& scheduler = Cloud::current->scheduler;
  const MonotonicTime deadline = scheduler.now() + timeout;
  while (!state->queue.empty() && state->failed_delivery.ok() && scheduler.now() < deadline) {
    Schedule(state, std::chrono::microseconds(200));
    scheduler.Wait(state.get(), deadline);
  }
}

Status Producer::Impl::Transact(Duration timeout, const std::string& context,
                                const std::function<Error()>& request) {
  if (!state->fatal.ok()) return state->fatal;
  bool timed_out = false;
  const Error error =
      state->client.Ask(timeout, state->options.transactional_id, request, &timed_out);
  if (!state->fatal.ok()) return state->fatal;
  if (timed_out) {
    return {Cloud::current->Reaches(state->client.process) ? Code::kDeadlineExceeded
                                                           : Code::kUnavailable,
            context + ": no answer"};
  }
  if (error == Error::kNone) return Status::Ok();
  if (error == Error::kProducerFenced || error == Error::kInvalidProducerEpoch) {
    state->Fence(context, error);
    return state->fatal;
  }
  state->fatal = {Code::kInternal, context + ": " + sim::NameOf(error)};
  return state->fatal;
}

Producer::Producer() : impl_(std::make_unique<Impl>()) {}
Producer::~Producer() {
  impl_->state->closed = true;
  impl_->state->queue.clear();
}

Result<std::unique_ptr<Producer>> Producer::Create(const ClientConfig&,
                                                   const ProducerOptions& options) {
  std::unique_ptr<Producer> producer(new Producer);
  producer->impl_->state->options = options;
  if (options.transactional_id.empty())
    (void)Cloud::current->kafka.InitProducerId({}, {}, {}, &producer->impl_->state->identity);
  return producer;
}

Result<Producer::Topic> Producer::OpenTopic(const std::string& name) {
  Topic topic;
  topic.handle_ = const_cast<std::string*>(&*impl_->state->topics.insert(name).first);
  return topic;
}

Status Producer::Send(Topic topic, int32_t partition, const Message& message, DeliverySlot* slot) {
  Impl::State& state = *impl_->state;
  if (!state.fatal.ok()) return state.fatal;
  if (state.transactional() && (!state.in_transaction || state.must_abort))
    return {Code::kAborted, "sending: the transaction must be aborted"};
  sim::Scheduler& scheduler = Cloud::current->scheduler;
  const std::string& name = *static_cast<std::string*>(topic.handle_);
  Impl::Queued queued;
  queued.record.has_key = message.has_key;
  queued.record.has_value = message.has_value;
  queued.record.key = message.key;
  queued.record.value = message.has_value ? message.value : std::string_view();
  queued.record.timestamp_ms =
      message.timestamp_ms != 0 ? message.timestamp_ms : ToUnixMillis(Clock::Real().WallNow());
  for (const Header& header : message.headers)
    queued.record.headers.emplace_back(header.name, header.value);
  if (partition == kByKey) {
    const sim::KafkaTopic* found = Cloud::current->kafka.FindTopic(name);
    uint32_t hash = 2166136261U;
    for (const char c : message.key) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    partition = found == nullptr ? 0 : static_cast<int32_t>(hash % found->partitions.size());
  }
  queued.at = {name, partition};
  if (!state.transactional() && Cloud::current->kafka.on_handed_over)
    Cloud::current->kafka.on_handed_over(queued.at);
  queued.slot = slot;
  queued.give_up_at = scheduler.now() + state.message_timeout();
  state.queue.push_back(std::move(queued));
  Impl::Schedule(impl_->state, state.options.linger +
                                   std::chrono::microseconds(scheduler.dice().Between(100, 3000)));
  return Status::Ok();
}

void Producer::Poll(Duration timeout) {
  Cloud::current->scheduler.Sleep(std::max<Duration>(timeout, std::chrono::microseconds(5)));
}

Status Producer::Flush(Duration timeout) {
  impl_->ServeUntilEmpty(timeout);
  Impl::State& state = *impl_->state;
  if (!state.fatal.ok()) return state.fatal;
  if (state.transactional() && !state.failed_delivery.ok()) return state.failed_delivery;
  // A record that was given up on is not one that is still under way.
  if (Status failed = std::exchange(state.failed_delivery, Status::Ok()); !failed.ok())
    return failed.retry_class() == RetryClass::kRetry ? Aborted(failed.message()) : failed;
  if (!state.queue.empty())
    return {Code::kDeadlineExceeded, "delivering records: Kafka did not answer in time"};
  return Status::Ok();
}

Status Producer::InitTransactions(Duration timeout) {
  Impl::State& state = *impl_->state;
  return impl_->Transact(timeout, "initialising transactions", [&] {
    return Cloud::current->kafka.InitProducerId(
        state.options.transactional_id, state.options.transaction_timeout, {}, &state.identity);
  });
}

Status Producer::BeginTransaction() {
  Impl::State& state = *impl_->state;
  if (!state.fatal.ok()) return state.fatal;
  state.in_transaction = true;
  state.begun = state.must_abort = state.old_epoch = false;
  state.added.clear();
  return Status::Ok();
}

Status Producer::SendOffsets(const std::string& group,
                             const std::map<TopicPartition, int64_t>& offsets, Duration timeout) {
  Impl::State& state = *impl_->state;
  if (offsets.empty()) return Status::Ok();
  if (!state.fatal.ok()) return state.fatal;
  if (state.must_abort || !state.failed_delivery.ok())
    return {Code::kAborted, "adding offsets: the transaction must be aborted"};
  Status status = impl_->Transact(timeout, "adding offsets to the transaction", [&] {
    if (!Cloud::current->Reaches(state.client.process, group)) return Error::kUnavailable;
    const Error error = Cloud::current->kafka.AddOffsets(state.options.transactional_id,
                                                         state.identity, group, offsets);
    if (error == Error::kNone) state.begun = true;
    return error;
  });
  if (status.code() == Code::kDeadlineExceeded || status.code() == Code::kUnavailable) {
    state.must_abort = true;  // cannot be resumed
    return {Code::kAborted, status.message()};
  }
  return status;
}

Status Producer::CommitTransaction(Duration timeout) {
  Impl::State& state = *impl_->state;
  impl_->ServeUntilEmpty(timeout);
  if (!state.fatal.ok()) return state.fatal;
  if (!state.failed_delivery.ok()) return state.failed_delivery;
  if (state.must_abort) return {Code::kAborted, "committing: the transaction must be aborted"};
  if (!state.queue.empty())
    return {Code::kDeadlineExceeded, "committing the transaction: records are not delivered yet"};
  if (state.begun) {
    COHO_RETURN_IF_ERROR(impl_->Transact(timeout, "committing the transaction", [&] {
      return Cloud::current->kafka.EndTransaction(state.options.transactional_id, state.identity,
                                                  true);
    }));
  }
  state.in_transaction = state.begun = false;
  return Status::Ok();
}

Status Producer::AbortTransaction(Duration timeout) {
  Impl::State& state = *impl_->state;
  state.queue.clear();
  if (!state.fatal.ok()) return state.fatal;
  if (state.old_epoch) {
    COHO_RETURN_IF_ERROR(impl_->Transact(timeout, "aborting the transaction", [&] {
      return Cloud::current->kafka.InitProducerId(state.options.transactional_id,
                                                  state.options.transaction_timeout, state.identity,
                                                  &state.identity);
    }));
  } else if (state.begun) {
    COHO_RETURN_IF_ERROR(impl_->Transact(timeout, "aborting the transaction", [&] {
      return Cloud::current->kafka.EndTransaction(state.options.transactional_id, state.identity,
                                                  false);
    }));
  }
  state.in_transaction = state.begun = state.must_abort = state.old_epoch = false;
  state.failed_delivery = Status::Ok();
  return Status::Ok();
}

Status FenceTransactionalId(const ClientConfig& config, const std::string& transactional_id,
                            Duration timeout) {
  COHO_ASSIGN_OR_RETURN(const std::unique_ptr<Producer> producer,
                        Producer::Create(config, {.transactional_id = transactional_id}));
  return producer->InitTransactions(timeout).WithContext("fencing " + transactional_id);
}

}  // namespace coho::kafka
