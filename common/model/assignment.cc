#include "common/model/assignment.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/model/job.h"

namespace coho {

std::string_view TaskStateName(TaskState state) {
  switch (state) {
    case TaskState::kClosed:
      return "Closed";
    case TaskState::kStarting:
      return "Starting";
    case TaskState::kRestoring:
      return "Restoring";
    case TaskState::kRunning:
      return "Running";
    case TaskState::kStandby:
      return "Standby";
    case TaskState::kClosing:
      return "Closing";
    case TaskState::kFailed:
      return "Failed";
  }
  return "Closed";
}

std::string_view RestoreSourceName(RestoreSource source) {
  switch (source) {
    case RestoreSource::kNone:
      return "None";
    case RestoreSource::kLocal:
      return "Local";
    case RestoreSource::kReplay:
      return "Replay";
    case RestoreSource::kWiped:
      return "Wiped";
  }
  return "None";
}

std::string_view WorkerPhaseName(WorkerPhase phase) {
  switch (phase) {
    case WorkerPhase::kStarting:
      return "Starting";
    case WorkerPhase::kRunning:
      return "Running";
    case WorkerPhase::kDraining:
      return "Draining";
    case WorkerPhase::kGone:
      return "Gone";
  }
  return "Gone";
}

namespace {

std::string IdOf(const TopicIds& ids, const std::string& topic) {
  const auto id = ids.topics.find(topic);
  return id == ids.topics.end() ? "" : id->second;
}

}  // namespace

JobModel MakeJobModel(const Job& job, const std::map<std::string, int32_t>& partitions,
                      const TopicIds& ids) {
  JobModel model{.kafka_cluster_id = ids.kafka_cluster_id};
  for (const InputSpec& input : job.inputs) {
    const auto at = partitions.find(input.topic);
    COHO_CHECK(at != partitions.end(), "a job model needs the partition count of every input");
    model.inputs[input.topic] = {IdOf(ids, input.topic), at->second, input.key, input.value};
    model.tasks = std::max(model.tasks, at->second);
  }
  for (const StoreSpec& store : job.stores) {
    const std::string changelog = store.changelog ? job.ChangelogTopic(store.name) : "";
    model.stores[store.name] = {changelog, IdOf(ids, changelog), store.key, store.value};
  }
  model.positions_topic = job.kafka.topic_prefix + "-positions";
  for (const auto& [name, store] : model.stores) {
    if (store.changelog.empty()) continue;
    model.positions_topic = store.changelog;
    break;
  }
  model.positions_topic_id = IdOf(ids, model.positions_topic);
  return model;
}

std::string MissingInModel(const Job& job, const JobModel& model) {
  for (const InputSpec& input : job.inputs) {
    if (!model.inputs.contains(input.topic)) return "input topic " + input.topic;
  }
  for (const StoreSpec& store : job.stores) {
    const auto known = model.stores.find(store.name);
    if (known == model.stores.end()) return "store " + store.name;
    if (store.changelog && known->second.changelog.empty())
      return "the changelog of store " + store.name;
  }
  return "";
}

}  // namespace coho
