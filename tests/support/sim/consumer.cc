// coho::kafka::Consumer over the simulation's Kafka: reads what the isolation level shows, tells
// the ends of partitions, and finds out late that a topic is gone.
#include "common/kafka/consumer.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/log.h"
#include "tests/support/sim/client.h"

namespace coho::kafka {

using sim::Cloud;
using sim::Error;
using sim::KafkaRecord;

namespace {

// Owns what a record that was read is a view of.
struct Taken {
  KafkaRecord record;
  std::vector<Header> headers;
  RecordParts parts;
};

// The characters of the name that stand for the topic, the same for each mention of it.
const std::string* Intern(const std::string& topic) {
  static std::set<std::string> topics;
  return &*topics.insert(topic).first;
}

Taken* MakeMessage(const TopicPartition& at, const KafkaRecord& record, bool is_end) {
  auto* message = new Taken{.record = record, .headers = {}, .parts = {}};
  for (const auto& [name, value] : message->record.headers)
    message->headers.push_back({name, value});
  RecordParts& parts = message->parts;
  parts.topic = *Intern(at.topic);
  parts.partition = at.partition;
  parts.offset = message->record.offset;
  parts.timestamp_ms = message->record.timestamp_ms;
  parts.is_end_of_partition = is_end;
  parts.headers = message->headers;
  if (is_end) return message;
  if (message->record.has_key) parts.key = message->record.key;
  if (message->record.has_value) parts.value = message->record.value;
  return message;
}

}  // namespace

std::string_view Record::topic() const { return parts_->topic; }
int64_t Record::timestamp_ms() const { return parts_->timestamp_ms; }
std::vector<Header> Record::headers() const {
  return {parts_->headers.begin(), parts_->headers.end()};
}

RecordBatch::RecordBatch(size_t capacity) : messages_(std::max<size_t>(capacity, 1)) {}
RecordBatch::~RecordBatch() { Clear(); }
void RecordBatch::Clear() {
  for (size_t i = 0; i < records_.size(); ++i) delete static_cast<Taken*>(messages_[i]);
  records_.clear();
}

struct Consumer::Impl {
  struct Position {
    int64_t next = 0;
    int64_t told_end = -1;
    int64_t high_watermark = -1;
    int64_t begin = -1;
    MonotonicTime missing_since{};
  };
  sim::Client client;
  ConsumerOptions options;
  std::string group;
  std::map<TopicPartition, Position> positions;
  struct Question {
    std::vector<TopicPartition> partitions;
    MonotonicTime answered_at;
    MonotonicTime until;
  };
  std::optional<Question> question;
  struct IdQuestion {
    std::vector<std::string> topics;
    MonotonicTime answered_at;
    MonotonicTime until;
  };
  std::optional<IdQuestion> id_question;
  uint64_t records_lost = 0;
  std::map<TopicPartition, Status> lost;
  size_t first = 0;  // where the next poll begins, so that no partition starves another

  ~Impl() {
    for (const auto& [at, position] : positions) Watch(at, false);
  }
  void Watch(const TopicPartition& at, bool on) {
    if (Cloud::current == nullptr) return;
    sim::KafkaPartition* partition = Cloud::current->kafka.Find(at);
    if (partition == nullptr) return;
    std::erase(partition->watchers, this);
    if (on) partition->watchers.push_back(this);
  }
  Status Take(const TopicPartition& at, Position* position, size_t most, std::vector<Taken*>* out);
};

Consumer::Consumer() : impl_(std::make_unique<Impl>()) {}
Consumer::~Consumer() = default;

Result<std::unique_ptr<Consumer>> Consumer::Create(const ClientConfig& config,
                                                   const ConsumerOptions& options) {
  std::unique_ptr<Consumer> consumer(new Consumer);
  consumer->impl_->options = options;
  consumer->impl_->group = options.group_id.empty() ? config.client_id : options.group_id;
  return consumer;
}

Status Consumer::Assign(const std::map<TopicPartition, int64_t>& positions) {
  for (const auto& [at, next] : positions) {
    if (impl_->positions.contains(at))
      return {Code::kInternal, "assigning partitions: assigned already"};
    impl_->positions[at].next = next;
    impl_->Watch(at, true);
  }
  return Status::Ok();
}

Status Consumer::Unassign(const std::vector<TopicPartition>& partitions) {
  for (const TopicPartition& at : partitions) {
    impl_->Watch(at, false);
    impl_->positions.erase(at);
  }
  return Status::Ok();
}

Status Consumer::Seek(const TopicPartition& partition, int64_t offset) {
  const auto found = impl_->positions.find(partition);
  if (found == impl_->positions.end())
    return {Code::kUnavailable, "seeking: the partition is not being read"};
  found->second = {.next = offset};
  return Status::Ok();
}

Status Consumer::Impl::Take(const TopicPartition& at, Position* position, size_t most,
                            std::vector<Taken*>* out) {
  Cloud& cloud = *Cloud::current;
  if (position->next < 0) {
    const sim::KafkaPartition* partition = cloud.kafka.Find(at);
    if (partition == nullptr) return Status::Ok();
    position->next = position->next == kBegin
                         ? partition->begin
                         : (options.read_committed ? partition->StableEnd() : partition->end);
  }
  const auto fetched = cloud.kafka.Fetch(at, position->next, options.read_committed, most);
  if (fetched.error == Error::kUnavailable) return Status::Ok();
  if (fetched.error == Error::kUnknownTopic) {
    if (position->missing_since == MonotonicTime()) position->missing_since = cloud.scheduler.now();
    if (cloud.scheduler.now() - position->missing_since < std::chrono::seconds(20))
      return Status::Ok();
    return {Code::kNotFound, "topic " + at.topic + " does not exist any more"};
  }
  position->missing_since = {};
  position->high_watermark = fetched.end;
  position->begin = fetched.begin;
  if (fetched.error == Error::kOffsetOutOfRange) {
    const std::string where = "topic " + at.topic + " partition " + std::to_string(at.partition);
    if (position->next < fetched.begin) {
      LogError("records were deleted before they were read; going on with the first that exists",
               {{"where", where}});
      records_lost += static_cast<uint64_t>(fetched.begin - position->next);
      *position = {.next = fetched.begin};
      return Status::Ok();
    }
    return {Code::kCorruption, where + ": offset " + std::to_string(position->next) +
                                   " lies beyond the end " + std::to_string(fetched.end) +
                                   ": the topic lost records or was created anew"};
  }
  for (const KafkaRecord* record : fetched.records) out->push_back(MakeMessage(at, *record, false));
  position->next = fetched.next;
  const int64_t end = options.read_committed ? fetched.stable_end : fetched.end;
  if (options.end_of_partition && position->next >= end && position->told_end < position->next) {
    position->told_end = position->next;
    KafkaRecord event;
    event.offset = position->next;
    out->push_back(MakeMessage(at, event, true));
  }
  return Status::Ok();
}

Status Consumer::Poll(Duration timeout, RecordBatch* batch) {
  batch->Clear();
  Cloud& cloud = *Cloud::current;
  sim::Scheduler& scheduler = cloud.scheduler;
  const MonotonicTime deadline = scheduler.now() + timeout;
  std::vector<Taken*> messages;
  Status status;
  for (bool last = false;;) {
    const auto throttled = cloud.network.throttled_until.find(impl_->client.process);
    const bool slow =
        scheduler.dice().Percent(cloud.network.slow_fetch_percent) ||
        (throttled != cloud.network.throttled_until.end() && throttled->second > scheduler.now());
    if (cloud.Reaches(impl_->client.process) && !slow && !impl_->positions.empty()) {
      auto position = impl_->positions.begin();
      std::advance(position, impl_->first++ % impl_->positions.size());
      for (size_t i = 0;
           i < impl_->positions.size() && messages.size() + 1 < batch->capacity() && status.ok();
           ++i) {
        status = impl_->Take(position->first, &position->second,
                             batch->capacity() - messages.size() - 1, &messages);
        if (!status.ok() && impl_->options.lose_partitions)
          impl_->lost.insert_or_assign(position->first, std::exchange(status, Status::Ok()));
        if (++position == impl_->positions.end()) position = impl_->positions.begin();
      }
    }
    for (const auto& [at, why] : impl_->lost) {
      impl_->Watch(at, false);
      impl_->positions.erase(at);
    }
    if (!status.ok()) scheduler.Sleep(scheduler.dice().Millis(10, 100));  // a broker had to say so
    if (!messages.empty() || !status.ok() || last) break;
    if (timeout <= Duration::zero()) {  // even looking takes time
      scheduler.Sleep(std::chrono::microseconds(20));
      break;
    }
    // A client may take longer than it was asked to, so that idle loops need not turn so often.
    last = !scheduler.Wait(impl_.get(), deadline + std::chrono::microseconds(
                                                       scheduler.dice().Between(0, 300'000))) ||
           scheduler.now() >= deadline;
  }
  for (Taken* message : messages) {
    batch->messages_[batch->records_.size()] = message;
    batch->records_.emplace_back(message->parts);
  }
  return status;
}

Result<std::map<TopicPartition, int64_t>> Consumer::Committed(
    const std::vector<TopicPartition>& partitions, Duration timeout) {
  std::map<TopicPartition, int64_t> offsets;
  if (partitions.empty()) return offsets;
  const Status status =
      impl_->client.AskStatus(timeout, impl_->group, "reading committed offsets", [&] {
        offsets.clear();
        for (const TopicPartition& at : partitions) {
          std::optional<int64_t> next;
          const Error error = Cloud::current->kafka.FetchOffset(impl_->group, at, &next);
          if (error != Error::kNone) return error;
          if (next) offsets[at] = *next;
        }
        return Error::kNone;
      });
  if (!status.ok()) return status;
  return offsets;
}

Status Consumer::Commit(const std::map<TopicPartition, int64_t>& offsets) {
  if (offsets.empty()) return Status::Ok();
  return impl_->client.AskStatus(std::chrono::seconds(60), impl_->group, "committing offsets", [&] {
    return Cloud::current->kafka.CommitOffsets(impl_->group, offsets);
  });
}

Status Consumer::CommitWithin(const std::map<TopicPartition, int64_t>& offsets, Duration wait) {
  if (offsets.empty()) return Status::Ok();
  const auto commit = [group = impl_->group, offsets] {
    return Cloud::current->kafka.CommitOffsets(group, offsets);
  };
  if (wait > Duration::zero())
    return impl_->client.AskStatus(wait, impl_->group, "committing offsets", commit);
  Cloud::current->scheduler.After(Cloud::current->scheduler.dice().Millis(1, 20),
                                  [commit, process = impl_->client.process, group = impl_->group] {
                                    if (Cloud::current->Reaches(process, group)) (void)commit();
                                  });
  return Status::Ok();
}

Status Consumer::AskRanges(const std::vector<TopicPartition>& partitions, Duration timeout) {
  sim::Scheduler& scheduler = Cloud::current->scheduler;
  impl_->question = {.partitions = partitions,
                     .answered_at = scheduler.now() + scheduler.dice().Millis(0, 20),
                     .until = scheduler.now() + timeout};
  return Status::Ok();
}

std::optional<std::map<TopicPartition, Result<OffsetRange>>> Consumer::TakeEachRange() {
  if (!impl_->question) return std::nullopt;
  Cloud& cloud = *Cloud::current;
  const MonotonicTime now = cloud.scheduler.now();
  if (now < impl_->question->answered_at) return std::nullopt;
  std::map<TopicPartition, Result<OffsetRange>> ranges;
  for (const TopicPartition& at : impl_->question->partitions) {
    const std::string context = "asking for offsets of topic " + at.topic;
    const sim::KafkaPartition* partition = cloud.kafka.Find(at);
    if (partition == nullptr) {
      ranges.emplace(at, Status{Code::kNotFound, context + ": it does not exist"});
    } else if (!cloud.Reaches(impl_->client.process) || partition->away_until > now) {
      if (now < impl_->question->until) return std::nullopt;
      ranges.emplace(at, Status{Code::kUnavailable, context + ": no answer"});
    } else {
      ranges.emplace(at, OffsetRange{.begin = partition->begin,
                                     .end = impl_->options.read_committed ? partition->StableEnd()
                                                                          : partition->end});
    }
  }
  impl_->question.reset();
  return ranges;
}

std::optional<Result<std::map<TopicPartition, OffsetRange>>> Consumer::TakeRanges() {
  auto each = TakeEachRange();
  if (!each) return std::nullopt;
  std::map<TopicPartition, OffsetRange> ranges;
  for (auto& [at, range] : *each) {
    if (!range.ok()) return range.status();
    ranges[at] = *range;
  }
  return ranges;
}

Status Consumer::AskTopicIds(const std::vector<std::string>& topics, Duration timeout) {
  sim::Scheduler& scheduler = Cloud::current->scheduler;
  impl_->id_question = {.topics = topics,
                        .answered_at = scheduler.now() + scheduler.dice().Millis(0, 20),
                        .until = scheduler.now() + timeout};
  return Status::Ok();
}

std::optional<Result<std::map<std::string, std::string>>> Consumer::TakeTopicIds() {
  if (!impl_->id_question) return std::nullopt;
  Cloud& cloud = *Cloud::current;
  const MonotonicTime now = cloud.scheduler.now();
  if (now < impl_->id_question->answered_at) return std::nullopt;
  if (!cloud.Reaches(impl_->client.process)) {
    if (now < impl_->id_question->until) return std::nullopt;
    impl_->id_question.reset();
    return Status{Code::kUnavailable, "asking for the ids of topics: no answer"};
  }
  std::map<std::string, std::string> ids;
  for (const std::string& topic : impl_->id_question->topics) {
    const sim::KafkaTopic* found = cloud.kafka.FindTopic(topic);
    if (found != nullptr) ids[topic] = found->id;
  }
  impl_->id_question.reset();
  return ids;
}

uint64_t Consumer::records_lost() const { return impl_->records_lost; }

Result<std::map<TopicPartition, OffsetRange>> Consumer::QueryRanges(
    const std::vector<TopicPartition>& partitions, Duration timeout) {
  std::map<TopicPartition, OffsetRange> ranges;
  const Status status = impl_->client.AskStatus(timeout, {}, "asking for offsets", [&] {
    ranges.clear();
    for (const TopicPartition& at : partitions) {
      const sim::KafkaPartition* partition = Cloud::current->kafka.Find(at);
      if (partition == nullptr) return Error::kUnknownTopic;
      if (partition->away_until > Cloud::current->scheduler.now()) return Error::kUnavailable;
      ranges[at] = {.begin = partition->begin,
                    .end = impl_->options.read_committed ? partition->StableEnd() : partition->end};
    }
    return Error::kNone;
  });
  if (!status.ok()) return status;
  return ranges;
}

Result<OffsetRange> Consumer::QueryRange(const TopicPartition& partition, Duration timeout) {
  COHO_ASSIGN_OR_RETURN(const auto ranges, QueryRanges({partition}, timeout));
  return ranges.begin()->second;
}

Result<std::map<TopicPartition, int64_t>> Consumer::QueryHighWatermarks(
    const std::vector<TopicPartition>& partitions, Duration timeout) {
  std::map<TopicPartition, int64_t> ends;
  const Status status = impl_->client.AskStatus(timeout, {}, "asking for high watermarks", [&] {
    ends.clear();
    for (const TopicPartition& at : partitions) {
      const sim::KafkaPartition* partition = Cloud::current->kafka.Find(at);
      if (partition == nullptr || partition->away_until > Cloud::current->scheduler.now()) continue;
      ends[at] = partition->end;
    }
    return Error::kNone;
  });
  if (!status.ok()) return status;
  return ends;
}

Result<std::optional<int64_t>> Consumer::QueryOffsetAt(const TopicPartition& at, WallTime time,
                                                       Duration timeout) {
  std::optional<int64_t> offset;
  const Status status =
      impl_->client.AskStatus(timeout, {}, "asking for the offset of a time", [&] {
        offset.reset();
        const sim::KafkaPartition* partition = Cloud::current->kafka.Find(at);
        if (partition == nullptr) return Error::kUnknownTopic;
        if (partition->away_until > Cloud::current->scheduler.now()) return Error::kUnavailable;
        const auto fetched = Cloud::current->kafka.Fetch(at, partition->begin, false, 1 << 20);
        for (const KafkaRecord* record : fetched.records) {
          if (record->timestamp_ms < ToUnixMillis(time)) continue;
          offset = record->offset;
          break;
        }
        return Error::kNone;
      });
  if (!status.ok()) return status;
  return offset;
}

std::map<TopicPartition, Status> Consumer::TakeLost() { return std::exchange(impl_->lost, {}); }

std::optional<OffsetRange> Consumer::CachedRange(const TopicPartition& partition) const {
  const auto found = impl_->positions.find(partition);
  if (found == impl_->positions.end() || found->second.high_watermark < 0) return std::nullopt;
  return OffsetRange{.begin = found->second.begin, .end = found->second.high_watermark};
}

void* Consumer::native() const { return nullptr; }

}  // namespace coho::kafka
