#include "tests/simulation/shipped/open_findings.h"

namespace coho::simulation {

// Seeds are those of the day on which the kind was listed.
const std::vector<OpenFinding>& OpenFindings() {
  static const auto& kOpen = *new const std::vector<OpenFinding>{
      {"another installation", 4,
       "seeds 15682, 18967: a rival installation while the coordinator topic has no claim"},
      {", which generation 1 gives to worker", 4,
       "seeds 13647, 15921: a twin of before wakes when the coordinator topic, or the job, was "
       "made "
       "anew and counts generations from one again"},
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
