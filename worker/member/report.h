// What a worker tells the coordinator of itself. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/model/assignment.h"
#include "worker/loop/loop_status.h"
#include "worker/member/member_state.h"
#include "worker/store/engine.h"

namespace coho {

struct WorkerIdentity {
  WorkerId id;
  std::string node;
  std::string zone;
  std::string pod;
  std::string volume;
  std::string disk_id;
  std::string version;
};

// `on_disk`: the engines that lie in the state directory; those of tasks that run are left out of
// the report's on_disk.
[[nodiscard]] WorkerReport MakeReport(const WorkerIdentity& identity,
                                      const std::vector<std::string>& transactional_ids,
                                      const std::vector<LoopStatus>& loops,
                                      const std::vector<EngineFactory::OnDisk>& on_disk,
                                      const std::string& problem);

// Leaves out half of what lies on the disk beside the tasks that run, the smallest; then figures of
// the tasks that run. False: there is nothing left to leave out.
[[nodiscard]] bool TrimReport(WorkerReport* report);

// kStates: other tasks, another state of one, another problem; kFigures: only positions, lags and
// sizes; nullopt: equal.
[[nodiscard]] std::optional<ReportChange> CompareReports(const WorkerReport& before,
                                                         const WorkerReport& after);

}  // namespace coho
