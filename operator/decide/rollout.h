// Brings pods to the current template by deleting them, one worker at a time (the sets are
// OnDelete). Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "operator/api/observed.h"

namespace coho {

struct Rollout {
  std::set<WorkerId> outdated;    // pods on an older template
  std::vector<WorkerId> replace;  // pods to be deleted now
};

// `templates`: desired template hash per desired worker. A pod that is not ready loses nothing by
// being replaced and goes at once, so that a broken rollout can be mended; a ready one goes only
// while all others are ready, the lowest id first. A set whose controller has not seen the new
// template is waited for: it would bring back the old one.
[[nodiscard]] Rollout PlanRollout(const Observed& observed,
                                  const std::map<WorkerId, std::string>& templates);

}  // namespace coho
