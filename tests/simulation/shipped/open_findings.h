// What the simulation finds and is not mended yet: kinds of violations, each with how many of
// 20,000 seeds may show it. Any other violation, or more of these, fails the test; a kind that is
// mended goes from the list.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace coho::simulation {

struct OpenFinding {
  std::string says;  // part of the violation
  uint64_t most = 0;
  std::string known;  // of its cause
};
[[nodiscard]] const std::vector<OpenFinding>& OpenFindings();
// The kind that a violation is of; nullptr: none of them.
[[nodiscard]] const OpenFinding* OpenKindOf(const std::string& violation);

}  // namespace coho::simulation
