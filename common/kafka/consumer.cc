#include "common/kafka/consumer.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/kafka/client.h"
#include "common/kafka/errors.h"
#include "common/kafka/missing_offsets.h"
#include "common/kafka/partition_list.h"
#include "common/kafka/topic_ids.h"

namespace coho::kafka {

static_assert(Consumer::kBegin == RD_KAFKA_OFFSET_BEGINNING &&
              Consumer::kEnd == RD_KAFKA_OFFSET_END);

namespace {

constexpr Duration kSeekTimeout = std::chrono::seconds(10);

const rd_kafka_message_t* Raw(const void* message) {
  return static_cast<const rd_kafka_message_t*>(message);
}

std::string NameOf(const std::string& topic, int32_t partition) {
  return "topic " + topic + " partition " + std::to_string(partition);
}

ClientSettings Settings(const ClientConfig& config, const ConsumerOptions& options) {
  return {
      .defaults =
          {
              // By default the fetcher sleeps a second whenever a partition's queue is full, and
              // the loop starves.
              {"fetch.queue.backoff.ms", "5"},
              {"check.crcs", "true"},
              // Each message costs a few hundred bytes beside its own.
              {"queued.min.messages",
               std::to_string(std::clamp<int64_t>(options.queued_bytes_max / 512, 1000, 200'000))},
              // A fetch is taken in whole, on top of what the queue holds.
              {"fetch.max.bytes", std::to_string(std::clamp<int64_t>(options.queued_bytes_max / 4,
                                                                     1 << 20, 50 << 20))},
              // A fetch that waits holds up the first records of a partition that is added
              // meanwhile.
              {"fetch.wait.max.ms", "100"},
              {"fetch.error.backoff.ms", "100"},
              // A node that died in silence stalls its partitions no longer than this.
              {"socket.timeout.ms", "15000"},
          },
      .fixed =
          {
              // Assignment needs the name of some group, even where none is used.
              {"group.id", options.group_id.empty() ? config.client_id : options.group_id},
              {"enable.auto.commit", "false"},
              {"enable.auto.offset.store", "false"},
              {"enable.partition.eof", options.end_of_partition ? "true" : "false"},
              // Also makes Committed() wait for offsets of pending transactions.
              {"isolation.level", options.read_committed ? "read_committed" : "read_uncommitted"},
              {"auto.offset.reset", "error"},
              // Otherwise a flipped bit passes for data.
              {"check.crcs", "true"},
              {"queued.max.messages.kbytes",
               std::to_string(std::max<int64_t>(1, options.queued_bytes_max >> 10))},
          },
  };
}

}  // namespace

Record::Record(const void* message)
    : message_(message),
      topic_(Raw(message)->rkt),
      offset_(Raw(message)->offset),
      partition_(Raw(message)->partition),
      is_end_(Raw(message)->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
  if (is_end_) return;  // the payload of an event is its text
  key_ = static_cast<const char*>(Raw(message)->key);
  key_size_ = static_cast<uint32_t>(Raw(message)->key_len);
  value_ = static_cast<const char*>(Raw(message)->payload);
  value_size_ = static_cast<uint32_t>(Raw(message)->len);
}

std::string_view Record::topic() const {
  return parts_ != nullptr ? parts_->topic : rd_kafka_topic_name(Raw(message_)->rkt);
}

int64_t Record::timestamp_ms() const {
  return parts_ != nullptr ? parts_->timestamp_ms
                           : rd_kafka_message_timestamp(Raw(message_), nullptr);
}

std::vector<Header> Record::headers() const {
  if (parts_ != nullptr) return {parts_->headers.begin(), parts_->headers.end()};
  std::vector<Header> headers;
  rd_kafka_headers_t* list = nullptr;
  if (is_end_ || rd_kafka_message_headers(Raw(message_), &list) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return headers;
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0;
       rd_kafka_header_get_all(list, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
    headers.push_back({name, {static_cast<const char*>(value), size}});
  }
  return headers;
}

RecordBatch::RecordBatch(size_t capacity) : messages_(std::max<size_t>(capacity, 1)) {
  records_.reserve(messages_.size());
}

RecordBatch::~RecordBatch() { Clear(); }

void RecordBatch::Clear() {
  // records_ holds every message that messages_ was left with.
  for (const Record& record : records_) {
    rd_kafka_message_destroy(static_cast<rd_kafka_message_t*>(const_cast<void*>(record.message_)));
  }
  records_.clear();
  client_.reset();
}

struct Consumer::Impl {
  std::shared_ptr<Client> client;  // shared with the batches that hold its records
  rd_kafka_queue_t* queue = nullptr;
  bool read_committed = true;
  std::unique_ptr<PendingRanges> ranges;
  std::unique_ptr<PendingTopicIds> topic_ids;
  MissingOffsets missing;
  uint64_t records_lost = 0;
  bool lose_partitions = false;
  std::map<TopicPartition, Status> lost;

  ~Impl() {
    missing = {};
    ranges.reset();
    topic_ids.reset();
    if (queue != nullptr) rd_kafka_queue_destroy(queue);
  }

  Status OnPartitionError(const rd_kafka_message_t& event);
  Status OnMissing(Consumer& self, const MissingOffsets::Found& found);
  // A problem of one partition, which ends its reading, or Poll.
  void Lose(Consumer& self, const TopicPartition& partition, Status problem, Status* of_poll);
};

Consumer::Consumer() : impl_(std::make_unique<Impl>()) {}
Consumer::~Consumer() = default;

Result<std::unique_ptr<Consumer>> Consumer::Create(const ClientConfig& config,
                                                   const ConsumerOptions& options) {
  COHO_ASSIGN_OR_RETURN(std::unique_ptr<Client> client,
                        Client::Create(RD_KAFKA_CONSUMER, config, Settings(config, options)));
  std::unique_ptr<Consumer> consumer(new Consumer);
  consumer->impl_->client = std::move(client);
  consumer->impl_->read_committed = options.read_committed;
  consumer->impl_->lose_partitions = options.lose_partitions;
  consumer->impl_->queue = rd_kafka_queue_get_consumer(consumer->impl_->client->get());
  return consumer;
}

Status Consumer::Assign(const std::map<TopicPartition, int64_t>& positions) {
  if (positions.empty()) return Status::Ok();
  const PartitionList list = ToList(positions);
  return TakeError(rd_kafka_incremental_assign(impl_->client->get(), list.get()),
                   "assigning partitions");
}

Status Consumer::Unassign(const std::vector<TopicPartition>& partitions) {
  if (partitions.empty()) return Status::Ok();
  for (const TopicPartition& partition : partitions) impl_->missing.Forget(partition);
  const PartitionList list = ToList(partitions);
  return TakeError(rd_kafka_incremental_unassign(impl_->client->get(), list.get()),
                   "unassigning partitions");
}

Status Consumer::Seek(const TopicPartition& partition, int64_t offset) {
  const std::string context = "seeking in " + NameOf(partition.topic, partition.partition);
  return impl_->client->Await(kSeekTimeout, context, [&](int timeout_ms) {
    const PartitionList list = ToList(std::map<TopicPartition, int64_t>{{partition, offset}});
    COHO_RETURN_IF_ERROR(
        TakeError(rd_kafka_seek_partitions(impl_->client->get(), list.get(), timeout_ms), context));
    const rd_kafka_resp_err_t error = list->elems[0].err;
    // A partition that was assigned a moment ago is not fetched yet.
    if (error == RD_KAFKA_RESP_ERR__STATE)
      return Unavailable(context + ": the partition is not being read");
    return ToStatus(error, context);
  });
}

Status Consumer::Poll(Duration timeout, RecordBatch* batch) {
  batch->Clear();
  auto** messages = reinterpret_cast<rd_kafka_message_t**>(batch->messages_.data());
  const size_t capacity = batch->messages_.size();
  // librdkafka waits for a full batch, so only the first record is waited for.
  ssize_t count = rd_kafka_consume_batch_queue(impl_->queue, 0, messages, capacity);
  if (count == 0 && timeout > Duration::zero()) {
    count = rd_kafka_consume_batch_queue(impl_->queue, ToMillis(timeout), messages, 1);
    if (count == 1 && capacity > 1) {
      count += std::max<ssize_t>(
          0, rd_kafka_consume_batch_queue(impl_->queue, 0, messages + 1, capacity - 1));
    }
  }
  impl_->client->Serve(0);
  Status status = impl_->client->TakeFailure();
  // Which partition it is, the partition's own error says.
  Status missing = impl_->client->TakeMissing();
  if (status.ok() && !impl_->lose_partitions) status = std::move(missing);
  if (count < 0) return status.ok() ? ToStatus(rd_kafka_last_error(), "reading records") : status;

  if (count > 0) batch->client_ = impl_->client;
  for (ssize_t i = 0; i < count; ++i) {
    rd_kafka_message_t* message = messages[i];
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR ||
        message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      batch->records_.emplace_back(message);
      continue;
    }
    Status problem = impl_->OnPartitionError(*message);
    if (!problem.ok() && message->rkt != nullptr) {
      impl_->Lose(*this, {rd_kafka_topic_name(message->rkt), message->partition},
                  std::move(problem), &status);
    } else if (status.ok()) {
      status = std::move(problem);
    }
    rd_kafka_message_destroy(message);
  }
  if (impl_->missing.empty()) [[likely]]
    return status;
  for (const MissingOffsets::Found& found :
       impl_->missing.Take(impl_->client->get(), impl_->read_committed, Clock::Real().Now())) {
    if (Status problem = impl_->OnMissing(*this, found); !problem.ok())
      impl_->Lose(*this, found.partition, std::move(problem), &status);
  }
  return status;
}

void Consumer::Impl::Lose(Consumer& self, const TopicPartition& partition, Status problem,
                          Status* of_poll) {
  if (lose_partitions && problem.code() != Code::kFenced) {
    self.Unassign({partition}).IgnoreError("it may have been unassigned meanwhile");
    lost.insert_or_assign(partition, std::move(problem));
  } else if (of_poll->ok()) {
    *of_poll = std::move(problem);
  }
}

// Retention was faster than the reader, or the topic is not what it was.
Status Consumer::Impl::OnMissing(Consumer& self, const MissingOffsets::Found& found) {
  COHO_RETURN_IF_ERROR(found.range.status());
  const auto& [topic, partition] = found.partition;
  const OffsetRange& range = *found.range;
  if (found.offset < 0 || found.offset >= range.begin) {
    return Corruption(NameOf(topic, partition) + ": offset " + std::to_string(found.offset) +
                      " lies beyond the end " + std::to_string(range.end) +
                      ": the topic lost records or was created anew");
  }
  records_lost += static_cast<uint64_t>(range.begin - found.offset);
  LogError("records were deleted before they were read; going on with the first that exists",
           {{"topic", topic},
            {"partition", partition},
            {"offset", found.offset},
            {"first", range.begin},
            {"records", range.begin - found.offset}});
  // Such a partition is not fetched any more and refuses to seek; it has to be assigned anew.
  COHO_RETURN_IF_ERROR(self.Unassign({found.partition}));
  return self.Assign({{found.partition, range.begin}});
}

Status Consumer::Impl::OnPartitionError(const rd_kafka_message_t& event) {
  const std::string topic = event.rkt == nullptr ? "" : rd_kafka_topic_name(event.rkt);
  const std::string where =
      event.rkt == nullptr ? "reading records" : NameOf(topic, event.partition);
  Status problem = {CodeOf(event.err), where + ": " + rd_kafka_message_errstr(&event)};
  if (event.err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
    problem = Unauthenticated(problem.message() + MissingRights("Read and Describe", topic));

  if (event.err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && event.rkt != nullptr) {
    missing.Add({topic, event.partition}, event.offset);
    return Status::Ok();
  }
  // librdkafka would go on with the records behind the damaged ones.
  if (event.err == RD_KAFKA_RESP_ERR__BAD_MSG || event.err == RD_KAFKA_RESP_ERR__BAD_COMPRESSION) {
    return Corruption(where + ": the record at offset " + std::to_string(event.offset) +
                      " is damaged: " + rd_kafka_message_errstr(&event));
  }
  switch (problem.code()) {
    case Code::kUnauthenticated:
    case Code::kNotFound:
    case Code::kFenced:
      return problem;
    default:
      LogWarn("Kafka reports a problem with a partition; it is tried again", {{"error", problem}});
      return Status::Ok();
  }
}

std::map<TopicPartition, Status> Consumer::TakeLost() { return std::exchange(impl_->lost, {}); }

Result<std::map<TopicPartition, int64_t>> Consumer::Committed(
    const std::vector<TopicPartition>& partitions, Duration timeout) {
  std::map<TopicPartition, int64_t> offsets;
  if (partitions.empty()) return offsets;
  constexpr std::string_view kContext = "reading committed offsets";
  Status status = impl_->client->Await(timeout, kContext, [&](int timeout_ms) {
    const PartitionList list = ToList(partitions);
    COHO_RETURN_IF_ERROR(
        ToStatus(rd_kafka_committed(impl_->client->get(), list.get(), timeout_ms), kContext));
    offsets.clear();
    for (const rd_kafka_topic_partition_t& at : Elements(list)) {
      COHO_RETURN_IF_ERROR(
          ToStatus(at.err, std::string(kContext) + " of " + NameOf(at.topic, at.partition)));
      if (at.offset >= 0) offsets[{at.topic, at.partition}] = at.offset;
    }
    return Status::Ok();
  });
  if (!status.ok()) return status;
  return offsets;
}

Status Consumer::Commit(const std::map<TopicPartition, int64_t>& offsets) {
  if (offsets.empty()) return Status::Ok();
  const PartitionList list = ToList(offsets);
  const Status status = ToStatus(rd_kafka_commit(impl_->client->get(), list.get(), /*async=*/0),
                                 "committing offsets");
  if (status.ok()) return status;
  impl_->client->Serve(0);
  const Status failure = impl_->client->TakeFailure();
  return failure.ok() ? status : failure.WithContext("committing offsets");
}

Status Consumer::CommitWithin(const std::map<TopicPartition, int64_t>& offsets, Duration wait) {
  if (offsets.empty()) return Status::Ok();
  static constexpr std::string_view kContext = "committing offsets";
  const PartitionList list = ToList(offsets);
  rd_kafka_t* client = impl_->client->get();
  if (wait <= Duration::zero())
    return ToStatus(rd_kafka_commit(client, list.get(), /*async=*/1), kContext);
  Status outcome = DeadlineExceeded(std::string(kContext) + ": no answer in time");
  const Owned<rd_kafka_queue_t, rd_kafka_queue_destroy> queue(rd_kafka_queue_new(client));
  const auto answered = [](rd_kafka_t*, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t*,
                           void* opaque) {
    *static_cast<Status*>(opaque) = ToStatus(error, kContext);
  };
  COHO_RETURN_IF_ERROR(ToStatus(
      rd_kafka_commit_queue(client, list.get(), queue.get(), answered, &outcome), kContext));
  rd_kafka_queue_poll_callback(queue.get(), ToMillis(wait));
  return outcome;
}

Status Consumer::AskRanges(const std::vector<TopicPartition>& partitions, Duration timeout) {
  auto asked = PendingRanges::Ask(impl_->client->get(), partitions, impl_->read_committed,
                                  ToMillis(timeout));
  if (!asked.ok()) return asked.status();
  impl_->ranges = std::move(asked).value();
  return Status::Ok();
}

std::optional<Result<std::map<TopicPartition, OffsetRange>>> Consumer::TakeRanges() {
  if (!impl_->ranges) return std::nullopt;
  auto answer = impl_->ranges->Take(0);
  if (answer) impl_->ranges.reset();
  return answer;
}

std::optional<std::map<TopicPartition, Result<OffsetRange>>> Consumer::TakeEachRange() {
  if (!impl_->ranges) return std::nullopt;
  auto answer = impl_->ranges->TakeEach(0);
  if (answer) impl_->ranges.reset();
  return answer;
}

Status Consumer::AskTopicIds(const std::vector<std::string>& topics, Duration timeout) {
  auto asked = PendingTopicIds::Ask(impl_->client->get(), topics, ToMillis(timeout));
  if (!asked.ok()) return asked.status();
  impl_->topic_ids = std::move(asked).value();
  return Status::Ok();
}

std::optional<Result<std::map<std::string, std::string>>> Consumer::TakeTopicIds() {
  if (!impl_->topic_ids) return std::nullopt;
  auto answer = impl_->topic_ids->Take();
  if (answer) impl_->topic_ids.reset();
  return answer;
}

uint64_t Consumer::records_lost() const { return impl_->records_lost; }

Result<std::map<TopicPartition, OffsetRange>> Consumer::QueryRanges(
    const std::vector<TopicPartition>& partitions, Duration timeout) {
  std::map<TopicPartition, OffsetRange> ranges;
  Status status =
      impl_->client->Await(timeout, "asking for offsets", [&](int timeout_ms) -> Status {
        // The watermarks that librdkafka asks for by itself end at the high watermark, behind open
        // transactions; ListOffsets knows of isolation.
        COHO_ASSIGN_OR_RETURN(ranges, ListRanges(impl_->client->get(), partitions,
                                                 impl_->read_committed, timeout_ms));
        return Status::Ok();
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
  Status status =
      impl_->client->Await(timeout, "asking for high watermarks", [&](int timeout_ms) -> Status {
        COHO_ASSIGN_OR_RETURN(ends,
                              ListHighWatermarks(impl_->client->get(), partitions, timeout_ms));
        return Status::Ok();
      });
  if (!status.ok()) return status;
  return ends;
}

Result<std::optional<int64_t>> Consumer::QueryOffsetAt(const TopicPartition& partition,
                                                       WallTime time, Duration timeout) {
  constexpr std::string_view kContext = "asking for the offset of a time";
  int64_t offset = -1;
  Status status = impl_->client->Await(timeout, kContext, [&](int timeout_ms) {
    const PartitionList list = ToList(
        std::map<TopicPartition, int64_t>{{partition, std::max<int64_t>(ToUnixMillis(time), 0)}});
    COHO_RETURN_IF_ERROR(ToStatus(
        rd_kafka_offsets_for_times(impl_->client->get(), list.get(), timeout_ms), kContext));
    offset = list->elems[0].offset;
    return ToStatus(list->elems[0].err, kContext);
  });
  if (!status.ok()) return status;
  return offset < 0 ? std::nullopt : std::optional(offset);
}

std::optional<OffsetRange> Consumer::CachedRange(const TopicPartition& partition) const {
  int64_t begin = 0;
  int64_t end = 0;
  const rd_kafka_resp_err_t error = rd_kafka_get_watermark_offsets(
      impl_->client->get(), partition.topic.c_str(), partition.partition, &begin, &end);
  // The end is the high watermark: with an open transaction it is ahead of what read_committed
  // shows. The begin is known only after librdkafka had a reason to ask for it.
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR || end < 0) return std::nullopt;
  return OffsetRange{.begin = std::max<int64_t>(begin, 0), .end = end};
}

void* Consumer::native() const { return impl_->client->get(); }

}  // namespace coho::kafka
