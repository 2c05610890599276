#include "tests/support/sim/kafka.h"

#include <algorithm>
#include <cstdlib>

#include "common/base/mutant.h"

namespace coho::sim {

const char* NameOf(Error error) {
  switch (error) {
    case Error::kNone:
      return "NONE";
    case Error::kUnknownTopic:
      return "UNKNOWN_TOPIC_OR_PARTITION";
    case Error::kTopicExists:
      return "TOPIC_ALREADY_EXISTS";
    case Error::kOffsetOutOfRange:
      return "OFFSET_OUT_OF_RANGE";
    case Error::kInvalidProducerEpoch:
      return "INVALID_PRODUCER_EPOCH";
    case Error::kProducerFenced:
      return "PRODUCER_FENCED";
    case Error::kConcurrentTransactions:
      return "CONCURRENT_TRANSACTIONS";
    case Error::kUnstableOffsets:
      return "UNSTABLE_OFFSET_COMMIT";
    case Error::kInvalidTransactionState:
      return "INVALID_TXN_STATE";
    case Error::kInvalidTransactionTimeout:
      return "INVALID_TRANSACTION_TIMEOUT";
    case Error::kTooLarge:
      return "MESSAGE_TOO_LARGE";
    case Error::kUnavailable:
      return "NOT_LEADER_OR_FOLLOWER";
  }
  return "?";
}

int64_t KafkaPartition::StableEnd() const {
  int64_t stable = end;
  for (const auto& [producer, first] : open) stable = std::min(stable, first);
  return stable;
}

Kafka::Kafka(Scheduler* scheduler) : scheduler_(scheduler) {}

Error Kafka::CreateTopic(const std::string& name, int32_t partitions,
                         std::map<std::string, std::string> config) {
  auto& topic = topics_[name];
  if (topic != nullptr) return Error::kTopicExists;
  topic = std::make_unique<KafkaTopic>();
  topic->name = name;
  topic->id = "topic-" + std::to_string(++topics_made_);
  topic->partitions.resize(static_cast<size_t>(partitions));
  topic->config = std::move(config);
  return Error::kNone;
}

Error Kafka::DeleteTopic(const std::string& name) {
  return topics_.erase(name) == 0 ? Error::kUnknownTopic : Error::kNone;
}

KafkaTopic* Kafka::FindTopic(const std::string& name) {
  const auto found = topics_.find(name);
  return found == topics_.end() ? nullptr : found->second.get();
}

const KafkaTopic* Kafka::FindTopic(const std::string& name) const {
  const auto found = topics_.find(name);
  return found == topics_.end() ? nullptr : found->second.get();
}

KafkaPartition* Kafka::Find(const TopicPartition& at) {
  KafkaTopic* topic = FindTopic(at.topic);
  if (topic == nullptr || at.partition < 0 ||
      static_cast<size_t>(at.partition) >= topic->partitions.size())
    return nullptr;
  return &topic->partitions[static_cast<size_t>(at.partition)];
}

void Kafka::Wake(KafkaPartition* partition) {
  for (const void* watcher : partition->watchers) scheduler_->Notify(watcher, true);
}

KafkaRecord* Kafka::Append(KafkaPartition* partition, KafkaRecord record) {
  record.offset = partition->end++;
  if (record.timestamp_ms == 0) record.timestamp_ms = ToUnixMillis(scheduler_->wall());
  return &partition->log.emplace_back(std::move(record));
}

Error Kafka::Produce(const TopicPartition& at, const ProducerIdentity& producer,
                     const std::string& transactional_id, std::vector<KafkaRecord> records,
                     int64_t* base_offset) {
  KafkaPartition* partition = Find(at);
  if (partition == nullptr) return Error::kUnknownTopic;
  if (partition->away_until > scheduler_->now()) return Error::kUnavailable;
  const bool transactional = !transactional_id.empty();
  if (producer.id >= 0) {
    int16_t& newest = partition->epochs[producer.id];
    if (producer.epoch < newest) return Error::kInvalidProducerEpoch;
    newest = producer.epoch;
  }
  if (transactional) {
    const Transaction& transaction = transactions_[transactional_id];
    if (transaction.producer.epoch != producer.epoch) return Error::kInvalidProducerEpoch;
    if (transaction.state != Transaction::State::kOpen || !transaction.partitions.contains(at))
      return Error::kInvalidTransactionState;
  }
  for (const KafkaRecord& record : records) {
    if (static_cast<int64_t>(record.key.size() + record.value.size()) > weather.message_bytes_max)
      return Error::kTooLarge;
  }
  *base_offset = partition->end;
  if (transactional) partition->open.emplace(producer.id, partition->end);
  for (KafkaRecord& record : records) {
    record.producer = producer.id;
    if (rewrite && record.has_value) rewrite(at.topic, &record.value);
    record.state = transactional ? KafkaRecord::State::kOpen : KafkaRecord::State::kPlain;
    if (transactional && on_produced) on_produced(transactional_id, at, record);
    Append(partition, std::move(record));
  }
  Wake(partition);
  return Error::kNone;
}

Kafka::Fetched Kafka::Fetch(const TopicPartition& at, int64_t offset, bool read_committed,
                            size_t most) {
  Fetched out;
  KafkaPartition* partition = Find(at);
  if (partition == nullptr) return {.error = Error::kUnknownTopic};
  if (partition->away_until > scheduler_->now()) return {.error = Error::kUnavailable};
  out.begin = partition->begin;
  out.end = partition->end;
  out.stable_end = partition->StableEnd();
  out.next = offset;
  if (offset < out.begin || offset > out.end) {
    out.error = Error::kOffsetOutOfRange;
    return out;
  }
  const int64_t limit = read_committed ? out.stable_end : out.end;
  auto record = std::lower_bound(partition->log.begin(), partition->log.end(), offset,
                                 [](const KafkaRecord& r, int64_t o) { return r.offset < o; });
  for (; record != partition->log.end() && record->offset < limit && out.records.size() < most;
       ++record) {
    out.next = record->offset + 1;
    if (record->state == KafkaRecord::State::kMarker) continue;
    if (read_committed && record->state == KafkaRecord::State::kAborted) continue;
    out.records.push_back(&*record);
  }
  if (out.records.size() < most)
    out.next = std::max(out.next, std::min(limit, std::max(limit, offset)));
  return out;
}

std::vector<const KafkaRecord*> Kafka::Committed(const TopicPartition& at) {
  KafkaPartition* partition = Find(at);
  if (partition == nullptr) return {};
  return Fetch(at, partition->begin, true, static_cast<size_t>(-1)).records;
}

Error Kafka::InitProducerId(const std::string& transactional_id, Duration timeout,
                            const ProducerIdentity& mine, ProducerIdentity* out) {
  if (transactional_id.empty()) {
    *out = {.id = ++producers_, .epoch = 0};
    return Error::kNone;
  }
  if (timeout > std::chrono::minutes(15)) return Error::kInvalidTransactionTimeout;
  Transaction& transaction = transactions_[transactional_id];
  if (transaction.state == Transaction::State::kPrepared) return Error::kConcurrentTransactions;
  // Of a producer that goes on after a time-out: only while nobody else took over.
  if (mine.id >= 0 && mine.epoch != transaction.producer.epoch &&
      !(transaction.timed_out && mine.epoch + 1 == transaction.producer.epoch))
    return Error::kProducerFenced;
  if (transaction.producer.id < 0) transaction.producer = {.id = ++producers_, .epoch = -1};
  ++transaction.producer.epoch;
  transaction.timed_out = false;
  transaction.timeout = timeout;
  if (transaction.state == Transaction::State::kOpen) {
    Decide(transactional_id, &transaction, false);
    return Error::kConcurrentTransactions;
  }
  *out = transaction.producer;
  if (on_initialised) on_initialised();
  if (on_taken) on_taken(transactional_id);
  return Error::kNone;
}

bool Kafka::IsCurrent(const std::string& transactional_id, const ProducerIdentity& producer) const {
  const auto found = transactions_.find(transactional_id);
  return found != transactions_.end() && found->second.producer.id == producer.id &&
         found->second.producer.epoch == producer.epoch;
}

Error Kafka::Check(const std::string& transactional_id, const ProducerIdentity& producer,
                   Transaction** out) {
  Transaction& transaction = transactions_[transactional_id];
  *out = &transaction;
  if (transaction.producer.id != producer.id || transaction.producer.epoch != producer.epoch)
    return Error::kProducerFenced;
  return Error::kNone;
}

void Kafka::Begin(const std::string& transactional_id, Transaction* transaction) {
  transaction->state = Transaction::State::kOpen;
  const int64_t number = ++transaction->number;
  scheduler_->After(transaction->timeout, [this, transactional_id, number] {
    Transaction& open = transactions_[transactional_id];
    if (open.state != Transaction::State::kOpen || open.number != number) return;
    COHO_SOMETIMES("Kafka aborted a transaction that took too long");
    ++open.producer.epoch;
    open.timed_out = true;
    Decide(transactional_id, &open, false);
  });
}

Error Kafka::AddPartition(const std::string& transactional_id, const ProducerIdentity& producer,
                          const TopicPartition& at) {
  Transaction* transaction = nullptr;
  if (const Error error = Check(transactional_id, producer, &transaction); error != Error::kNone)
    return error;
  if (transaction->state == Transaction::State::kPrepared) return Error::kConcurrentTransactions;
  if (Find(at) == nullptr) return Error::kUnknownTopic;
  if (transaction->state == Transaction::State::kNone) Begin(transactional_id, transaction);
  transaction->partitions.insert(at);
  return Error::kNone;
}

Error Kafka::AddOffsets(const std::string& transactional_id, const ProducerIdentity& producer,
                        const std::string& group,
                        const std::map<TopicPartition, int64_t>& offsets) {
  Transaction* transaction = nullptr;
  if (const Error error = Check(transactional_id, producer, &transaction); error != Error::kNone)
    return error;
  if (transaction->state == Transaction::State::kPrepared) return Error::kConcurrentTransactions;
  if (transaction->state == Transaction::State::kNone) Begin(transactional_id, transaction);
  for (const auto& [at, next] : offsets) {
    if (transaction->offsets[group].insert_or_assign(at, next).second) ++groups_[group].pending[at];
  }
  return Error::kNone;
}

Error Kafka::EndTransaction(const std::string& transactional_id, const ProducerIdentity& producer,
                            bool commit) {
  Transaction* transaction = nullptr;
  if (const Error error = Check(transactional_id, producer, &transaction); error != Error::kNone)
    return error;
  if (transaction->state == Transaction::State::kPrepared)
    return transaction->commit == commit ? Error::kConcurrentTransactions
                                         : Error::kInvalidTransactionState;
  if (transaction->state == Transaction::State::kNone) {  // asked again, or nothing was ever added
    return transaction->ever_decided && transaction->commit == commit
               ? Error::kNone
               : Error::kInvalidTransactionState;
  }
  Decide(transactional_id, transaction, commit);
  return Error::kNone;
}

void Kafka::Decide(const std::string& transactional_id, Transaction* transaction, bool commit) {
  transaction->state = Transaction::State::kPrepared;
  transaction->commit = commit;
  transaction->ever_decided = true;
  if (on_decided) on_decided(transactional_id, commit, transaction->partitions);
  const ProducerIdentity producer = transaction->producer;
  transaction->markers_left = static_cast<int>(transaction->partitions.size()) + 1;
  const auto delay = [&] {
    return std::chrono::microseconds(
        scheduler_->dice().Between(weather.marker_delay_min / std::chrono::microseconds(1),
                                   weather.marker_delay_max / std::chrono::microseconds(1)));
  };
  for (const TopicPartition& at : transaction->partitions) {
    const KafkaTopic* topic = FindTopic(at.topic);
    const std::string id = topic == nullptr ? "" : topic->id;
    const auto late = weather.marker_late.find(at.topic);
    const Duration least = late == weather.marker_late.end() ? Duration() : late->second;
    scheduler_->After(least + delay(), [this, transactional_id, at, id, producer, commit] {
      WriteMarker(transactional_id, at, id, producer, commit);
    });
  }
  // One more for the groups' partition of the offsets.
  scheduler_->After(delay(), [this, transactional_id, commit] {
    Transaction& decided = transactions_[transactional_id];
    for (const auto& [group, offsets] : decided.offsets) {
      for (const auto& [at, next] : offsets) {
        if (--groups_[group].pending[at] == 0) groups_[group].pending.erase(at);
        if (commit) groups_[group].offsets[at] = {.next = next, .at = scheduler_->now()};
      }
    }
    decided.offsets.clear();
    MarkerDone(transactional_id);
  });
}

void Kafka::WriteMarker(const std::string& transactional_id, const TopicPartition& at,
                        const std::string& topic_id, const ProducerIdentity& producer,
                        bool commit) {
  const KafkaTopic* topic = FindTopic(at.topic);
  if (topic != nullptr && topic->id == topic_id) {
    KafkaPartition* partition = Find(at);
    if (partition->away_until > scheduler_->now()) {
      scheduler_->At(partition->away_until + std::chrono::milliseconds(5),
                     [this, transactional_id, at, topic_id, producer, commit] {
                       WriteMarker(transactional_id, at, topic_id, producer, commit);
                     });
      return;
    }
    const auto open = partition->open.find(producer.id);
    if (open != partition->open.end()) {
      auto record = std::lower_bound(partition->log.begin(), partition->log.end(), open->second,
                                     [](const KafkaRecord& r, int64_t o) { return r.offset < o; });
      for (; record != partition->log.end(); ++record) {
        if (record->producer == producer.id && record->state == KafkaRecord::State::kOpen)
          record->state = commit ? KafkaRecord::State::kCommitted : KafkaRecord::State::kAborted;
      }
      partition->open.erase(open);
    }
    partition->epochs[producer.id] = std::max(partition->epochs[producer.id], producer.epoch);
    KafkaRecord marker;
    marker.state = KafkaRecord::State::kMarker;
    marker.producer = producer.id;
    Append(partition, std::move(marker));
    Wake(partition);
  }
  MarkerDone(transactional_id);
}

void Kafka::MarkerDone(const std::string& transactional_id) {
  Transaction& transaction = transactions_[transactional_id];
  if (--transaction.markers_left > 0) return;
  transaction.state = Transaction::State::kNone;
  transaction.partitions.clear();
}

Error Kafka::CommitOffsets(const std::string& group,
                           const std::map<TopicPartition, int64_t>& offsets) {
  for (const auto& [at, next] : offsets)
    groups_[group].offsets[at] = {.next = next, .at = scheduler_->now()};
  return Error::kNone;
}

Error Kafka::FetchOffset(const std::string& group, const TopicPartition& at,
                         std::optional<int64_t>* out) {
  Group& of = groups_[group];
  if (of.pending.contains(at)) return Error::kUnstableOffsets;
  const auto found = of.offsets.find(at);
  out->reset();
  if (found == of.offsets.end()) return Error::kNone;
  if (scheduler_->now() - found->second.at > weather.offsets_retention) {
    of.offsets.erase(found);
    return Error::kNone;
  }
  *out = found->second.next;
  return Error::kNone;
}

void Kafka::ExpireOffsets(const std::string& group) { groups_[group].offsets.clear(); }

void Kafka::DeleteRecords(const TopicPartition& at, int64_t before) {
  KafkaPartition* partition = Find(at);
  if (partition == nullptr) return;
  before = std::min(before, partition->StableEnd());
  if (before <= partition->begin) return;
  partition->begin = before;
  std::erase_if(partition->log, [&](const KafkaRecord& r) { return r.offset < before; });
}

void Kafka::LoseEnd(const TopicPartition& at, int64_t offsets) {
  KafkaPartition* partition = Find(at);
  if (partition == nullptr || !partition->open.empty()) return;
  partition->end = std::max(partition->begin, partition->end - offsets);
  std::erase_if(partition->log, [&](const KafkaRecord& r) { return r.offset >= partition->end; });
}

void Kafka::Compact(const TopicPartition& at) {
  KafkaPartition* partition = Find(at);
  if (partition == nullptr) return;
  const KafkaTopic* topic = FindTopic(at.topic);
  const int64_t limit = partition->StableEnd();
  const auto text = topic->config.find("delete.retention.ms");
  const int64_t retention =
      text == topic->config.end() ? 86'400'000 : std::strtoll(text->second.c_str(), nullptr, 10);
  const int64_t now = ToUnixMillis(scheduler_->wall());
  std::map<std::string, int64_t> last;
  for (const KafkaRecord& record : partition->log) {
    if (record.offset >= limit || record.state == KafkaRecord::State::kMarker ||
        record.state == KafkaRecord::State::kAborted)
      continue;
    last[record.key] = record.offset;
  }
  std::erase_if(partition->log, [&](const KafkaRecord& record) {
    if (record.offset >= limit) return false;
    if (record.state == KafkaRecord::State::kMarker) return now - record.timestamp_ms > retention;
    if (record.state == KafkaRecord::State::kAborted) return true;
    if (last[record.key] != record.offset) return true;
    return !record.has_value && now - record.timestamp_ms > retention;
  });
}

}  // namespace coho::sim
