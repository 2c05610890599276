#include "worker/input/task_inputs.h"

#include <algorithm>

#include "common/base/mutant.h"

namespace coho {

namespace {

std::string NameOf(const TopicPartition& partition) {
  return "input " + partition.topic + " partition " + std::to_string(partition.partition);
}

Status Recreated(const TopicPartition& partition, const std::string& how) {
  return InvalidArgument(NameOf(partition) + ": " + how +
                         ", so the topic was re-created; delete the job's changelogs to start from "
                         "nothing, or restore the topic");
}

}  // namespace

Status CheckTopicId(const TopicPartition& partition, const std::string& model_id,
                    const std::string& id_now) {
  if (model_id.empty() || id_now.empty() || model_id == id_now) return Status::Ok();
  if (COHO_MUTANT("input-id-not-compared")) return Status::Ok();
  return Recreated(partition, "the job was started with the topic with id " + model_id +
                                  ", and the topic of that name now has id " + id_now);
}

Result<StartPosition> ChoosePosition(const InputSpec& input, const TopicPartition& partition,
                                     const std::string& topic_id, const StoredPosition* stored,
                                     const kafka::OffsetRange& range) {
  if (stored == nullptr) {
    if (input.start_from == StartFrom::kLatest) {
      return StartPosition{.offset = range.end, .reason = "startFrom: Latest"};
    }
    return StartPosition{.offset = range.begin, .reason = "startFrom: Earliest"};
  }
  if (!stored->topic_id.empty() && !topic_id.empty() && stored->topic_id != topic_id &&
      !COHO_MUTANT("input-id-not-compared")) {
    return Recreated(partition, "the task's position " + std::to_string(stored->next) +
                                    " is one in the topic with id " + stored->topic_id +
                                    ", and the topic of that name now has id " + topic_id);
  }
  if (stored->next > range.end) {
    return Recreated(partition, "the task's position " + std::to_string(stored->next) +
                                    " lies behind the partition's end " +
                                    std::to_string(range.end));
  }
  if (stored->next < range.begin) {
    return StartPosition{.offset = range.begin,
                         .reason = "the task's position is no longer in the topic",
                         .lost = range.begin - stored->next};
  }
  return StartPosition{.offset = stored->next, .reason = "the task's position"};
}

TaskInputs::TaskInputs(const Job& job, const JobModel& model, TaskId task) {
  for (const InputSpec& input : job.inputs) {
    const auto known = model.inputs.find(input.topic);
    if (known == model.inputs.end() || task.value() >= known->second.partitions) continue;
    positions_.push_back({.partition = {input.topic, task.value()},
                          .topic_id = known->second.topic_id,
                          .spec = &input});
  }
}

std::vector<TopicPartition> TaskInputs::partitions() const {
  std::vector<TopicPartition> out;
  out.reserve(positions_.size());
  for (const InputPosition& p : positions_) out.push_back(p.partition);
  return out;
}

bool TaskInputs::uncommitted() const {
  return std::any_of(positions_.begin(), positions_.end(),
                     [](const InputPosition& p) { return p.next != p.committed; });
}

Positions TaskInputs::Now() const {
  Positions out;
  out.reserve(positions_.size());
  for (const InputPosition& p : positions_) {
    out.push_back({.topic = p.partition.topic,
                   .topic_id = p.topic_id,
                   .partition = p.partition.partition,
                   .next = p.next});
  }
  SortPositions(&out);
  return out;
}

void TaskInputs::MarkCommitted(const Positions& positions) {
  for (InputPosition& p : positions_) {
    const StoredPosition* at = FindPosition(positions, p.partition.topic, p.partition.partition);
    if (at != nullptr) p.committed = at->next;
  }
}

void TaskInputs::Rewind() {
  for (InputPosition& p : positions_) {
    if (p.committed >= 0) p.next = p.committed;
  }
}

int64_t TaskInputs::Lag() const {
  int64_t lag = 0;
  for (const InputPosition& p : positions_) {
    if (p.end < 0) return -1;
    lag += std::max<int64_t>(0, p.end - p.next);
  }
  return lag;
}

}  // namespace coho
