// Where a task's positions records lie.
#pragma once

#include <string>

#include "common/model/job.h"
#include "common/model/job_model.h"

namespace coho {

struct PositionsSource {
  std::string topic;  // empty: nowhere
  std::string store;  // whose changelog it is; empty: none that the job has (any more)
};

[[nodiscard]] inline PositionsSource PositionsSourceOf(const Job& job, const JobModel& model) {
  PositionsSource source{.topic = model.positions_topic, .store = {}};
  for (const StoreSpec& spec : job.stores) {
    const auto pinned = model.stores.find(spec.name);
    const bool known = spec.changelog && pinned != model.stores.end();
    if (known && !source.topic.empty() && pinned->second.changelog == source.topic)
      source.store = spec.name;
  }
  return source;
}

}  // namespace coho
