#include "worker/admin/health.h"

#include <chrono>

namespace coho {

Health Liveness(std::span<const ThreadProgress> threads, MonotonicTime now, Duration bound) {
  for (const ThreadProgress& thread : threads) {
    if (now - thread.last <= bound) continue;
    return {
        .ok = false,
        .text = thread.name + " has not gone round for " +
                std::to_string(
                    std::chrono::duration_cast<std::chrono::seconds>(now - thread.last).count()) +
                " s"};
  }
  return {.ok = true, .text = "ok"};
}

namespace {

Health ReadinessOfTasks(const WorkerStatus& status) {
  if (AllTasksRun(status)) {
    return {.ok = true, .text = "ok: " + std::to_string(status.member.given.size()) + " tasks run"};
  }
  if (status.member.phase == WorkerPhase::kDraining || status.member.phase == WorkerPhase::kGone) {
    return {.ok = false, .text = "draining"};
  }
  if (!status.member.waiting_for.empty())
    return {.ok = false, .text = "waiting for " + status.member.waiting_for};
  size_t running = 0;
  for (const LoopStatus& loop : status.loops) {
    for (const TaskStatus& task : loop.tasks) running += task.report.state == TaskState::kRunning;
  }
  return {.ok = false,
          .text = std::to_string(running) + " of " + std::to_string(status.member.given.size()) +
                  " tasks run"};
}

}  // namespace

Health Readiness(const WorkerStatus& status) {
  Health health = ReadinessOfTasks(status);
  if (!status.coordinator) return health;
  if (health.ok && status.coordinator->stopped) {
    health = {.ok = false,
              .text = std::to_string(status.member.given.size()) +
                      " tasks run, but nobody coordinates the job"};
  }
  health.text += "; the coordinator in this process: " + status.coordinator->text;
  return health;
}

}  // namespace coho
