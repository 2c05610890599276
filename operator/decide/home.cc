#include "operator/decide/home.h"

#include <algorithm>
#include <map>
#include <string>

#include "operator/decide/nodes.h"

namespace coho {
namespace {

struct Place {
  std::string node;
  std::string zone;
};

// The tasks whose state counts: those it is to run; of a worker that is given none, those it last
// had.
bool Counts(const JobView& view, WorkerId worker, TaskId task, const TaskLocality& place) {
  const auto part = view.assignment.workers.find(worker);
  if (part == view.assignment.workers.end() || part->second.active.empty())
    return place.worker == worker;
  return std::binary_search(part->second.active.begin(), part->second.active.end(), task);
}

Place PlaceOfMostState(const JobView& view, WorkerId worker) {
  struct Sum {
    int64_t bytes = 0;
    std::string zone;
  };
  std::map<std::string, Sum> nodes;
  for (const auto& [task, place] : view.locality) {
    if (place.node.empty() || !Counts(view, worker, task, place)) continue;
    Sum& sum = nodes[place.node];
    // An empty store makes a home, too; the first of two equal nodes wins.
    if (__builtin_add_overflow(sum.bytes, std::max<int64_t>(place.bytes, 0) + 1, &sum.bytes))
      sum.bytes = INT64_MAX;
    if (sum.zone.empty()) sum.zone = place.zone;
  }
  Place best;
  int64_t most = 0;
  for (const auto& [node, sum] : nodes) {
    if (sum.bytes <= most) continue;
    most = sum.bytes;
    best = {node, sum.zone};
  }
  return best;
}

Place PlaceOf(const Observed& observed, WorkerId worker) {
  const auto volume = observed.volumes.find(worker);
  if (volume != observed.volumes.end() && !volume->second.node.empty() &&
      !volume->second.claim_deleting) {
    return {volume->second.node, volume->second.zone};
  }
  return observed.coordination ? PlaceOfMostState(*observed.coordination, worker) : Place();
}

}  // namespace

WorkerHome HomeOf(const Observed& observed, WorkerId worker) {
  const Place place = PlaceOf(observed, worker);
  if (place.node.empty()) return {};
  WorkerHome home{.hostname = place.node, .zone = place.zone};
  if (const auto node = observed.nodes.find(place.node); node != observed.nodes.end()) {
    if (!node->second.hostname.empty()) home.hostname = node->second.hostname;
    if (!node->second.zone.empty()) home.zone = node->second.zone;
  }
  if (IsNodeLost(observed, place.node)) home.hostname.clear();
  return home;
}

}  // namespace coho
