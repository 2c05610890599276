// The conditions of a StreamJob. Each has a reason for programs and a message for people, which
// names the field, what was found and what to do. Pure; messages stay the same while the cause is
// the same.
#pragma once

#include <string>
#include <vector>

#include "operator/api/observed.h"
#include "operator/report/situation.h"
#include "operator/report/tasks.h"

namespace coho {

enum class Truth { kTrue, kFalse, kUnknown };

struct Condition {
  std::string type;
  Truth status = Truth::kUnknown;
  std::string reason;
  std::string message;
  friend bool operator==(const Condition&, const Condition&) = default;
};

// A count of workers and how many of them are as they should be.
struct WorkerCounts {
  int32_t desired = 0;
  int32_t ready = 0;
  int32_t sticky =
      0;  // run on the node where the state of all their tasks is, or have none stored yet
};
[[nodiscard]] WorkerCounts CountWorkers(const Observed& observed, const Situation& situation);

// Ready, ConfigValid, Assigned, WorkersAvailable, StateRestored, HostAffinitySatisfied,
// Progressing, Degraded: all of them, in this order.
[[nodiscard]] std::vector<Condition> Conditions(const Observed& observed,
                                                const Situation& situation,
                                                const TaskOverview& tasks);

}  // namespace coho
