#include "tests/simulation/shipped/open_findings.h"

namespace coho::simulation {

// Seeds are those of the day on which the kind was listed.
const std::vector<OpenFinding>& OpenFindings() {
  static const auto& kOpen = *new const std::vector<OpenFinding>{
      {"a process that was replaced speaks for it again", 12,
       "seeds 4644, 7665, 10578, 12596, 15620, 19147: processes that end within a fraction of a "
       "second, one after the other; a late heartbeat of one names it again for a moment"},
      {"another installation", 4,
       "seeds 15682, 18967: a rival installation while the coordinator topic has no claim"},
      {", which generation 1 gives to worker", 4,
       "seeds 13647, 15921: a twin of before wakes when the coordinator topic, or the job, was "
       "made "
       "anew and counts generations from one again"},
      {"not at rest: key", 3,
       "seed 18442: a second process of a worker that coordinates itself, beside a compaction"},
  };
  return kOpen;
}

const OpenFinding* OpenKindOf(const std::string& violation) {
  for (const OpenFinding& open : OpenFindings()) {
    if (violation.find(open.says) != std::string::npos) return &open;
  }
  return nullptr;
}

}  // namespace coho::simulation
