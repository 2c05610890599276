// The invariants of docs/design.md as functions. Used in production before a generation is written,
// by tests, and by the simulator after every step. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/model/assignment.h"

namespace coho {

// Violations of one assignment against its model, for people; empty: fine. A task owned twice; a
// task or worker that does not exist; a standby beside its active; unsorted lists; a worker with
// tasks but no recorded transactional ids.
[[nodiscard]] std::vector<std::string> CheckAssignment(const JobModel& model,
                                                       const Assignment& assignment);

// Violations of a step from one generation to the next: generation grows by one; no task passes
// from one worker to another in one step (it must be released in between).
[[nodiscard]] std::vector<std::string> CheckStep(const Assignment& before, const Assignment& after);

}  // namespace coho
