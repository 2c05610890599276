#include "common/model/copies.h"

#include <algorithm>
#include <tuple>

#include "common/model/assignment.h"

namespace coho {

int64_t TaskCopy::position() const {
  int64_t sum = 0;
  for (const StoreCopy& store : stores) sum += store.position;
  return sum;
}

int64_t TaskCopy::bytes() const {
  int64_t sum = 0;
  for (const StoreCopy& store : stores) sum += store.bytes;
  return sum;
}

Locality LocalityOf(const Copies& copies, const Assignment& assignment) {
  using Rank = std::tuple<int64_t, bool, int64_t>;
  std::map<TaskId, Rank> best;
  Locality locality;
  for (const auto& [id, worker] : copies) {
    const auto record = assignment.workers.find(id);
    for (const auto& [task, copy] : worker.tasks) {
      const bool owned =
          record != assignment.workers.end() &&
          std::binary_search(record->second.active.begin(), record->second.active.end(), task);
      int64_t marker_time = 0;
      for (const StoreCopy& store : copy.stores)
        marker_time = std::max(marker_time, store.marker_time_ms);
      const Rank rank(copy.position(), owned, marker_time);
      const auto [known, is_new] = best.emplace(task, rank);
      if (!is_new && rank <= known->second) continue;
      known->second = rank;
      locality[task] = {.worker = id,
                        .node = worker.node,
                        .zone = worker.zone,
                        .volume = worker.volume,
                        .changelog_position = copy.position(),
                        .bytes = copy.bytes(),
                        .seen_at_ms = worker.seen_at_ms};
    }
  }
  return locality;
}

}  // namespace coho
