// Why a worker is not ready, in words for people: from its pod's status, its last exit code and its
// termination message. Pure.
#pragma once

#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "operator/api/observed.h"
#include "operator/report/situation.h"

namespace coho {

struct WorkerTrouble {
  bool failing = false;  // needs somebody's attention; false: it is on its way
  std::string
      // WorkerFailed, ImageUnavailable, ContainerNotStarted, Unschedulable, NodeLost, WorkerSilent;
      // or NotReady
      reason;
  std::string
      message;  // "worker 1 (pod visits-worker-1-1 on node2) ..."; the same for as long as the cause is the same
  std::optional<int32_t> exit_code;  // of WorkerFailed
};

// nullopt: the worker is ready.
[[nodiscard]] std::optional<WorkerTrouble> WorkerTroubleOf(const Observed& observed,
                                                           const Situation& situation,
                                                           WorkerId worker);

// A pod that cannot be scheduled for less than this is no trouble yet: its claim may be a moment
// behind.
inline constexpr Duration kUnschedulableGrace = std::chrono::seconds(10);

// "its task failed (exit code 70)" for every code that a worker documents, and for signals.
[[nodiscard]] std::string ExitText(int32_t exit_code, const std::string& reason);

// The first `longest` bytes, cut between characters.
[[nodiscard]] std::string Shortened(const std::string& text, size_t longest);

}  // namespace coho
