#include "worker/input/task_inputs.h"

#include <algorithm>

namespace coho {

Result<StartPosition> ChooseStart(const InputSpec& input, const TopicPartition& partition,
                                  std::optional<int64_t> committed,
                                  const kafka::OffsetRange& range) {
  if (!committed) {
    if (input.start_from == StartFrom::kLatest) {
      return StartPosition{.offset = range.end, .reason = "startFrom: Latest"};
    }
    return StartPosition{.offset = range.begin, .reason = "startFrom: Earliest"};
  }
  if (*committed > range.end) {
    return InvalidArgument(
        "input " + partition.topic + " partition " + std::to_string(partition.partition) +
        ": the committed offset " + std::to_string(*committed) +
        " lies behind the partition's end " + std::to_string(range.end) +
        ", so the topic was re-created; delete the job's consumer group and changelogs to start "
        "from nothing, or restore the topic");
  }
  if (*committed < range.begin) {
    return StartPosition{.offset = range.begin,
                         .reason = "the committed offset is no longer in the topic",
                         .lost = range.begin - *committed};
  }
  return StartPosition{.offset = *committed, .reason = "committed offset"};
}

TaskInputs::TaskInputs(const Job& job, const JobModel& model, TaskId task) {
  for (const InputSpec& input : job.inputs) {
    const auto known = model.inputs.find(input.topic);
    if (known == model.inputs.end() || task.value() >= known->second.partitions) continue;
    positions_.push_back({.partition = {input.topic, task.value()}, .spec = &input});
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

void TaskInputs::Collect(std::map<TopicPartition, int64_t>* offsets) const {
  for (const InputPosition& p : positions_) {
    if (p.next != p.committed) offsets->emplace(p.partition, p.next);
  }
}

void TaskInputs::MarkCommitted() {
  for (InputPosition& p : positions_) p.committed = p.next;
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
