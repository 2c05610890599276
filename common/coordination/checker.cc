#include "common/coordination/checker.h"

#include <algorithm>
#include <map>

namespace coho {
namespace {

using Owners = std::map<TaskId, WorkerId>;

// Strictly ascending: sorted, and none twice.
bool Ascending(const std::vector<TaskId>& tasks) {
  return std::adjacent_find(tasks.begin(), tasks.end(),
                            [](TaskId a, TaskId b) { return a >= b; }) == tasks.end();
}

std::string Name(WorkerId worker) { return "worker " + ToString(worker); }
std::string Name(TaskId task) { return "task " + ToString(task); }

}  // namespace

std::vector<std::string> CheckAssignment(const JobModel& model, const Assignment& assignment) {
  std::vector<std::string> violations;
  Owners owners;
  for (const auto& [id, worker] : assignment.workers) {
    if (id.value() < 0) violations.push_back(Name(id) + " cannot exist: ids begin at 0");
    if (!Ascending(worker.active))
      violations.push_back(Name(id) + ": its active tasks are not sorted");
    if (!Ascending(worker.standby))
      violations.push_back(Name(id) + ": its standby tasks are not sorted");
    if (worker.generation > assignment.generation) {
      violations.push_back(Name(id) + ": its record is of generation " +
                           ToString(worker.generation) + ", after the assignment's " +
                           ToString(assignment.generation));
    }
    if (!worker.active.empty() && worker.transactional_ids.empty()) {
      violations.push_back(Name(id) +
                           " owns tasks, but none of its transactional ids are recorded");
    }
    for (const TaskId task : worker.active) {
      if (task.value() < 0 || task.value() >= model.tasks) {
        violations.push_back(Name(task) + " does not exist: the job has " +
                             std::to_string(model.tasks) + " tasks");
      }
      const auto [owner, inserted] = owners.emplace(task, id);
      if (!inserted)
        violations.push_back(Name(task) + " is owned by " + Name(owner->second) + " and " +
                             Name(id));
    }
  }
  for (const auto& [id, worker] : assignment.workers) {
    for (const TaskId task : worker.standby) {
      if (task.value() < 0 || task.value() >= model.tasks) {
        violations.push_back("standby of " + Name(task) + " on " + Name(id) +
                             ": the task does not exist");
      }
      const auto owner = owners.find(task);
      if (owner != owners.end() && owner->second == id) {
        violations.push_back(Name(task) + " is active and standby on " + Name(id));
      }
    }
  }
  return violations;
}

std::vector<std::string> CheckStep(const Assignment& before, const Assignment& after) {
  std::vector<std::string> violations;
  if (after.generation != before.generation.Next()) {
    violations.push_back("generation " + ToString(before.generation) + " is followed by " +
                         ToString(after.generation));
  }
  Owners owners;
  for (const auto& [id, worker] : before.workers) {
    for (const TaskId task : worker.active) owners.emplace(task, id);
  }
  for (const auto& [id, worker] : after.workers) {
    for (const TaskId task : worker.active) {
      const auto owner = owners.find(task);
      if (owner != owners.end() && owner->second != id) {
        violations.push_back(Name(task) + " passes from " + Name(owner->second) + " to " +
                             Name(id) + " without being released");
      }
    }
  }
  return violations;
}

}  // namespace coho
