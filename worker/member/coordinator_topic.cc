#include "worker/member/coordinator_topic.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"

namespace coho {

CoordinatorTopic::CoordinatorTopic(TopicPartition topic, std::unique_ptr<kafka::Consumer> consumer)
    : topic_(std::move(topic)), consumer_(std::move(consumer)) {}

Result<std::unique_ptr<CoordinatorTopic>> CoordinatorTopic::Open(const kafka::ClientConfig& config,
                                                                 const std::string& topic,
                                                                 const std::string& group) {
  COHO_ASSIGN_OR_RETURN(
      std::unique_ptr<kafka::Consumer> consumer,
      kafka::Consumer::Create(config, {.group_id = group, .queued_bytes_max = 8 << 20}));
  return std::unique_ptr<CoordinatorTopic>(new CoordinatorTopic({topic, 0}, std::move(consumer)));
}

Status CoordinatorTopic::MarkEnd(Duration timeout) {
  COHO_ASSIGN_OR_RETURN(const kafka::OffsetRange range, consumer_->QueryRange(topic_, timeout));
  if (!assigned_) {
    COHO_RETURN_IF_ERROR(consumer_->Assign({{topic_, range.begin}}));
    assigned_ = true;
    position_ = range.begin;
  }
  end_ = range.end;
  return Status::Ok();
}

Status CoordinatorTopic::Poll(Duration timeout,
                              const std::function<void(const CoordinatorState&)>& on_generation) {
  COHO_RETURN_IF_ERROR(consumer_->Poll(timeout, &batch_));
  for (size_t i = 0; i < batch_.size(); ++i) {
    const kafka::Record& record = batch_[i];
    if (record.is_end_of_partition()) {
      position_ = std::max(position_, record.offset());
      continue;
    }
    position_ = record.offset() + 1;
    const Status status = ApplyCoordinatorRecord({.key = std::string(record.key()),
                                                  .value = std::string(record.value()),
                                                  .tombstone = record.is_tombstone()},
                                                 &folded_);
    if (!status.ok()) {
      LogError("a record of the coordinator topic cannot be read",
               {{"offset", record.offset()}, {"reason", status}});
      continue;
    }
    // The header closes a generation; what came before it is not an assignment yet.
    if (folded_.assignment.generation <= closed_ || !folded_.model) continue;
    closed_ = folded_.assignment.generation;
    on_generation(folded_);
  }
  batch_.Clear();
  return Status::Ok();
}

}  // namespace coho
