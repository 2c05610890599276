// Where a task's positions records lie.
#pragma once

#include <algorithm>
#include <string>

#include "common/model/assignment.h"
#include "common/model/job.h"

namespace coho {

struct PositionsSource {
  std::string topic;  // empty: nowhere
  std::string store;  // whose changelog it is; empty: it is a topic of its own
};

// The changelog of the first store that has one, by name.
[[nodiscard]] inline PositionsSource PositionsSourceOf(const Job& job, const JobModel& model) {
  PositionsSource source;
  for (const StoreSpec& spec : job.stores) {
    if (!spec.changelog || (!source.store.empty() && source.store < spec.name)) continue;
    const auto topic = model.changelogs.find(spec.name);
    source = {topic == model.changelogs.end() ? job.ChangelogTopic(spec.name) : topic->second,
              spec.name};
  }
  return source;
}

}  // namespace coho
