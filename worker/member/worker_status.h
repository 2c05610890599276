// What a worker knows of itself, put together from its member and its loops. Values; made anew at
// each call.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/model/assignment.h"
#include "worker/loop/loop_status.h"

namespace coho {

struct MemberStatus {
  WorkerPhase phase = WorkerPhase::kStarting;
  Generation generation;
  Generation acknowledged;
  bool caught_up = false;   // the coordinator topic was read to its end
  std::set<TaskId> given;   // by the last assignment
  uint64_t heartbeats = 0;  // acknowledged by Kafka
  std::string waiting_for;  // for people; empty: for nothing
  int64_t started_at_ms = 0;
};

// Of a coordinator in the process.
struct CoordinatorProblem {
  std::string text;  // for people: the reason, what was found and what to do
  // It does not coordinate, and knows of nobody who does: what runs goes on, but nothing would move
  // away from a worker that fails.
  bool stopped = false;
};

struct WorkerStatus {
  MemberStatus member;
  std::vector<LoopStatus> loops;
  std::optional<CoordinatorProblem> coordinator = std::nullopt;
};

// The assignment is known and acknowledged, and every task that it gives is running. True for a
// worker without tasks.
[[nodiscard]] inline bool AllTasksRun(const WorkerStatus& status) {
  const MemberStatus& member = status.member;
  if (!member.caught_up || member.phase != WorkerPhase::kRunning ||
      member.generation == Generation() || member.acknowledged != member.generation) {
    return false;
  }
  std::set<TaskId> missing = member.given;
  for (const LoopStatus& loop : status.loops) {
    for (const TaskStatus& task : loop.tasks) {
      if (task.report.state == TaskState::kRunning) missing.erase(task.report.task);
    }
  }
  return missing.empty();
}

}  // namespace coho
