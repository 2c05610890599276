#include "common/kafka/partition_list.h"

#include <algorithm>

#include "common/kafka/errors.h"
#include "common/kafka/owned.h"

namespace coho::kafka {
PartitionList ToList(const std::vector<TopicPartition>& partitions) {
  PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const TopicPartition& at : partitions) {
    rd_kafka_topic_partition_list_add(list.get(), at.topic.c_str(), at.partition);
  }
  return list;
}

PartitionList ToList(const std::map<TopicPartition, int64_t>& offsets) {
  PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())));
  for (const auto& [at, offset] : offsets) {
    rd_kafka_topic_partition_list_add(list.get(), at.topic.c_str(), at.partition)->offset = offset;
  }
  return list;
}

namespace {

std::string ContextOf(const std::vector<TopicPartition>& partitions) {
  std::string context = "asking for first and last offsets of topic " + partitions.front().topic;
  context += " partition " + std::to_string(partitions.front().partition);
  if (partitions.size() > 1) {
    context += " and " + std::to_string(partitions.size() - 1) + " more partitions";
  }
  return context;
}

// Sends one ListOffsets request per leader; its answer comes to `queue` with `what` as opaque.
Status SendListOffsets(rd_kafka_t* client, const std::vector<TopicPartition>& partitions,
                       bool read_committed, rd_kafka_OffsetSpec_t* what, int timeout_ms,
                       rd_kafka_queue_t* queue) {
  const std::string context = ContextOf(partitions);
  const Owned<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy> options(
      rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_LISTOFFSETS));
  char reason[256] = "";
  if (rd_kafka_AdminOptions_set_request_timeout(options.get(), std::max(1, timeout_ms), reason,
                                                sizeof(reason)) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Internal(context + ": " + reason);
  }
  COHO_RETURN_IF_ERROR(
      TakeError(rd_kafka_AdminOptions_set_isolation_level(
                    options.get(), read_committed ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
                                                  : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED),
                context));
  rd_kafka_AdminOptions_set_opaque(options.get(), what);
  std::map<TopicPartition, int64_t> query;
  for (const TopicPartition& partition : partitions) query[partition] = *what;
  rd_kafka_ListOffsets(client, ToList(query).get(), options.get(), queue);
  return Status::Ok();
}

// Whether a first or last offset was given. librdkafka puts the answers of several leaders
// together, and loses that one of them gave none: its partitions then have neither an error nor an
// offset.
Status CheckAnswer(const rd_kafka_topic_partition_t& at) {
  if (at.err == RD_KAFKA_RESP_ERR_NO_ERROR && at.offset >= 0) return Status::Ok();
  const std::string context = ContextOf({{at.topic, at.partition}});
  return at.err == RD_KAFKA_RESP_ERR_NO_ERROR ? Unavailable(context + ": its leader did not answer")
                                              : ToStatus(at.err, context);
}

}  // namespace

struct PendingRanges::Impl {
  std::string context;
  std::vector<TopicPartition> asked;
  rd_kafka_OffsetSpec_t begin = RD_KAFKA_OFFSET_SPEC_EARLIEST;
  rd_kafka_OffsetSpec_t end = RD_KAFKA_OFFSET_SPEC_LATEST;
  Owned<rd_kafka_queue_t, rd_kafka_queue_destroy> queue;
  int answers = 0;
  std::map<TopicPartition, OffsetRange> ranges;
  std::map<TopicPartition, Status> failed;

  void Add(rd_kafka_event_t* event) {
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      for (const TopicPartition& at : asked)
        failed.try_emplace(at, ToStatus(rd_kafka_event_error(event), context));
      return;
    }
    size_t count = 0;
    const rd_kafka_ListOffsetsResultInfo_t** infos =
        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);
    for (size_t i = 0; i < count; ++i) {
      const rd_kafka_topic_partition_t* at =
          rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
      const TopicPartition partition{at->topic, at->partition};
      if (Status status = CheckAnswer(*at); !status.ok()) {
        failed.try_emplace(partition, std::move(status));
        continue;
      }
      OffsetRange& range = ranges[partition];
      (rd_kafka_event_opaque(event) == &begin ? range.begin : range.end) = at->offset;
    }
  }

  // Both answers are there.
  bool Wait(int wait_ms) {
    while (answers < 2) {
      const Owned<rd_kafka_event_t, rd_kafka_event_destroy> event(
          rd_kafka_queue_poll(queue.get(), wait_ms));
      if (event == nullptr) return false;
      ++answers;
      Add(event.get());
    }
    return true;
  }
};

PendingRanges::PendingRanges() : impl_(std::make_unique<Impl>()) {}
PendingRanges::~PendingRanges() = default;

Result<std::unique_ptr<PendingRanges>> PendingRanges::Ask(
    rd_kafka_t* client, const std::vector<TopicPartition>& partitions, bool read_committed,
    int timeout_ms) {
  std::unique_ptr<PendingRanges> pending(new PendingRanges);
  Impl& impl = *pending->impl_;
  impl.asked = partitions;
  impl.queue.reset(rd_kafka_queue_new(client));
  if (partitions.empty()) {
    impl.answers = 2;
    return pending;
  }
  impl.context = ContextOf(partitions);
  // Both questions at once: on a connection they may have to wait behind a fetch, and so they wait
  // once.
  COHO_RETURN_IF_ERROR(SendListOffsets(client, partitions, read_committed, &impl.begin, timeout_ms,
                                       impl.queue.get()));
  COHO_RETURN_IF_ERROR(
      SendListOffsets(client, partitions, read_committed, &impl.end, timeout_ms, impl.queue.get()));
  return pending;
}

std::optional<Result<std::map<TopicPartition, OffsetRange>>> PendingRanges::Take(int wait_ms) {
  if (!impl_->Wait(wait_ms)) return std::nullopt;
  if (!impl_->failed.empty()) return impl_->failed.begin()->second;
  if (impl_->ranges.size() != impl_->asked.size()) {
    return Internal(impl_->context + ": asked for " + std::to_string(impl_->asked.size()) +
                    " partitions, the answer has " + std::to_string(impl_->ranges.size()));
  }
  return std::move(impl_->ranges);
}

std::optional<std::map<TopicPartition, Result<OffsetRange>>> PendingRanges::TakeEach(int wait_ms) {
  if (!impl_->Wait(wait_ms)) return std::nullopt;
  std::map<TopicPartition, Result<OffsetRange>> each;
  for (const TopicPartition& partition : impl_->asked) {
    const auto range = impl_->ranges.find(partition);
    if (const auto failed = impl_->failed.find(partition); failed != impl_->failed.end()) {
      each.emplace(partition, failed->second);
    } else if (range == impl_->ranges.end()) {
      each.emplace(partition, Internal(ContextOf({partition}) + ": the answer does not have it"));
    } else {
      each.emplace(partition, range->second);
    }
  }
  return each;
}

Result<std::map<TopicPartition, OffsetRange>> ListRanges(
    rd_kafka_t* client, const std::vector<TopicPartition>& partitions, bool read_committed,
    int timeout_ms) {
  COHO_ASSIGN_OR_RETURN(const auto pending,
                        PendingRanges::Ask(client, partitions, read_committed, timeout_ms));
  // librdkafka keeps the time; its own answer says more than ours would.
  if (auto answer = pending->Take(timeout_ms + 1000)) return *std::move(answer);
  return DeadlineExceeded("asking for first and last offsets: no answer");
}

Result<std::map<TopicPartition, int64_t>> ListHighWatermarks(
    rd_kafka_t* client, const std::vector<TopicPartition>& partitions, int timeout_ms) {
  std::map<TopicPartition, int64_t> offsets;
  if (partitions.empty()) return offsets;
  const std::string context = ContextOf(partitions);
  rd_kafka_OffsetSpec_t what = RD_KAFKA_OFFSET_SPEC_LATEST;
  const Owned<rd_kafka_queue_t, rd_kafka_queue_destroy> queue(rd_kafka_queue_new(client));
  COHO_RETURN_IF_ERROR(SendListOffsets(client, partitions, false, &what, timeout_ms, queue.get()));
  const Owned<rd_kafka_event_t, rd_kafka_event_destroy> event(
      rd_kafka_queue_poll(queue.get(), timeout_ms + 1000));
  if (event == nullptr) return DeadlineExceeded(context + ": no answer");
  COHO_RETURN_IF_ERROR(ToStatus(rd_kafka_event_error(event.get()), context));
  size_t count = 0;
  const rd_kafka_ListOffsetsResultInfo_t** infos =
      rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event.get()), &count);
  for (const rd_kafka_ListOffsetsResultInfo_t* info : std::span(infos, count)) {
    const rd_kafka_topic_partition_t* at = rd_kafka_ListOffsetsResultInfo_topic_partition(info);
    if (CheckAnswer(*at).ok()) offsets[{at->topic, at->partition}] = at->offset;
  }
  return offsets;
}

}  // namespace coho::kafka
