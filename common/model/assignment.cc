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

JobModel MakeJobModel(const Job& job, const std::map<std::string, int32_t>& partitions) {
  JobModel model;
  for (const InputSpec& input : job.inputs) {
    const auto at = partitions.find(input.topic);
    COHO_CHECK(at != partitions.end(), "a job model needs the partition count of every input");
    model.input_partitions[input.topic] = at->second;
    model.tasks = std::max(model.tasks, at->second);
  }
  for (const StoreSpec& store : job.stores) {
    if (store.changelog) model.changelogs[store.name] = job.ChangelogTopic(store.name);
  }
  return model;
}

}  // namespace coho
