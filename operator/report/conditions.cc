#include "operator/report/conditions.h"

#include <algorithm>
#include <optional>

#include "operator/report/assignment_lines.h"
#include "operator/report/stored.h"
#include "operator/report/worker_state.h"

namespace coho {
namespace {

constexpr size_t kLongestMessage = 2000;
constexpr size_t kMostTroubles = 3;

std::string Of(int32_t some, int32_t all, const std::string& what) {
  return std::to_string(some) + " of " + std::to_string(all) + " " + what;
}

std::string WorkerNumbers(const std::set<WorkerId>& workers) {
  std::string text;
  for (const WorkerId id : workers) text += (text.empty() ? "" : ", ") + ToString(id);
  return (workers.size() == 1 ? "worker " : "workers ") + Shortened(text, 60);
}

std::string NameText(ProblemReason reason) { return std::string(NameOf(reason)); }

bool IsPrepared(const Observed& observed) {
  return observed.coordination && observed.coordination->prepared;
}

// Everything the conditions are made from, computed once.
struct Facts {
  const Observed& observed;
  const Situation& situation;
  const TaskOverview& tasks;
  WorkerCounts workers;
  std::vector<WorkerTrouble> troubles;  // of desired workers, failing ones first
};

std::string TroublesText(const std::vector<WorkerTrouble>& troubles, bool failing_only) {
  std::string text;
  size_t shown = 0;
  size_t more = 0;
  for (const WorkerTrouble& trouble : troubles) {
    if (failing_only && !trouble.failing) continue;
    if (shown == kMostTroubles) {
      ++more;
      continue;
    }
    text += (shown++ == 0 ? "" : "; ") + trouble.message;
  }
  if (more > 0) text += "; and " + std::to_string(more) + " more";
  return text;
}

const WorkerTrouble* FirstFailing(const Facts& facts) {
  return facts.troubles.empty() || !facts.troubles.front().failing ? nullptr
                                                                   : &facts.troubles.front();
}

const WorkerTrouble* EndedWith(const Facts& facts, ExitCode code) {
  const auto found = std::find_if(facts.troubles.begin(), facts.troubles.end(),
                                  [code](const WorkerTrouble& t) { return t.exit_code == code; });
  return found == facts.troubles.end() ? nullptr : &*found;
}

Condition ConfigValid(const Facts& facts) {
  const std::optional<JobProblem>& problem = facts.situation.problem;
  if (problem && problem->blocks_start && !MeaningOf(problem->reason).may_pass) {
    return {"ConfigValid", Truth::kFalse, NameText(problem->reason), problem->message};
  }
  if (const WorkerTrouble* refused = EndedWith(facts, kExitJobFile)) {
    return {"ConfigValid", Truth::kFalse, "RefusedByWorker", refused->message};
  }
  if (IsPrepared(facts.observed))
    return {"ConfigValid", Truth::kTrue, "Valid", "the spec can be used"};
  if (problem) return {"ConfigValid", Truth::kUnknown, NameText(problem->reason), problem->message};
  return {"ConfigValid", Truth::kUnknown, "Checking", "the topics of the job are being checked"};
}

Condition Assigned(const Facts& facts) {
  const TaskOverview& tasks = facts.tasks;
  if (tasks.total() == 0) {
    return {"Assigned", Truth::kUnknown, "NotPrepared", "the number of tasks is not known yet"};
  }
  const int32_t assigned = tasks.total() - tasks.unassigned;
  const std::string text = Of(assigned, tasks.total(), "tasks have a worker");
  if (tasks.unassigned > 0) {
    return {"Assigned", Truth::kFalse, assigned == 0 ? "WaitingForWorkers" : "TasksUnassigned",
            text};
  }
  return {"Assigned", Truth::kTrue, "AllTasksAssigned", text};
}

Condition WorkersAvailable(const Facts& facts) {
  const std::string text = Of(facts.workers.ready, facts.workers.desired, "workers are ready");
  if (facts.workers.desired == 0)
    return {"WorkersAvailable", Truth::kUnknown, "NotPrepared", "no worker is wanted yet"};
  if (facts.troubles.empty()) return {"WorkersAvailable", Truth::kTrue, "AllReady", text};
  return {"WorkersAvailable", Truth::kFalse, facts.troubles.front().reason,
          text + ": " + TroublesText(facts.troubles, false)};
}

Condition StateRestored(const Facts& facts) {
  const TaskOverview& tasks = facts.tasks;
  if (tasks.total() == 0) {
    return {"StateRestored", Truth::kUnknown, "NotPrepared",
            "the number of tasks is not known yet"};
  }
  if (const WorkerTrouble* refused = EndedWith(facts, kExitStateRefused))
    return {"StateRestored", Truth::kFalse, "RefusedByWorker", refused->message};
  if (tasks.restoring > 0) {
    int64_t done = 0;
    int64_t all = 0;
    for (const TaskSummary& task : tasks.tasks) {
      if (task.condition != TaskCondition::kRestoring) continue;
      done += task.report->restored_records;
      all += task.report->restore_total;
    }
    return {"StateRestored", Truth::kFalse, "Restoring",
            Of(tasks.restoring, tasks.total(), "tasks restore their state, ") +
                std::to_string(RestorePercent(done, all)) + "% done"};
  }
  if (tasks.running < tasks.total()) {
    return {"StateRestored", Truth::kFalse, "TasksNotRunning",
            Of(tasks.running, tasks.total(), "tasks run")};
  }
  return {"StateRestored", Truth::kTrue, "Restored",
          "all " + std::to_string(tasks.total()) + " tasks run with their state"};
}

struct AwayTask {
  TaskId task;
  std::string state_node;
};

// A task of the worker whose state is on another node than its pod; nullopt: none.
std::optional<AwayTask> TaskAwayFromState(const JobView& view, WorkerId worker,
                                          const std::string& node) {
  const auto part = view.assignment.workers.find(worker);
  if (part == view.assignment.workers.end()) return std::nullopt;
  for (const TaskId task : part->second.active) {
    const auto place = view.locality.find(task);
    if (place == view.locality.end() || place->second.node.empty() || place->second.node == node)
      continue;
    return AwayTask{task, place->second.node};
  }
  return std::nullopt;
}

bool IsSticky(const Observed& observed, WorkerId worker) {
  const auto pod = observed.pods.find(worker);
  if (pod == observed.pods.end() || pod->second.node.empty()) return false;
  return !observed.coordination ||
         !TaskAwayFromState(*observed.coordination, worker, pod->second.node);
}

Condition HostAffinity(const Facts& facts) {
  const std::string type = "HostAffinitySatisfied";
  if (!IsPrepared(facts.observed)) {
    return {type, Truth::kUnknown, "NotPrepared", "where the state is stored is not known yet"};
  }
  const std::string text =
      Of(facts.workers.sticky, facts.workers.desired, "workers run where their state is");
  for (const WorkerId id : facts.situation.desired) {
    const auto pod = facts.observed.pods.find(id);
    if (pod == facts.observed.pods.end() || pod->second.node.empty()) continue;
    if (const auto away = TaskAwayFromState(*facts.observed.coordination, id, pod->second.node)) {
      return {type, Truth::kFalse, "StateElsewhere",
              text + ": task " + ToString(away->task) + "'s state is on " + away->state_node +
                  ", worker " + ToString(id) + " runs on " + pod->second.node};
    }
  }
  if (facts.workers.sticky < facts.workers.desired) return {type, Truth::kFalse, "NotPlaced", text};
  return {type, Truth::kTrue, "AllSticky", text};
}

Condition Progressing(const Facts& facts) {
  const Situation& situation = facts.situation;
  const auto yes = [](const char* reason, std::string message) {
    return Condition{"Progressing", Truth::kTrue, reason, std::move(message)};
  };
  if (situation.problem && situation.problem->blocks_start) {
    return {"Progressing", Truth::kFalse, "Blocked", situation.problem->message};
  }
  if (!IsPrepared(facts.observed))
    return yes("Preparing", "the topics of the job are being checked");
  if (!situation.missing.empty())
    return yes("CreatingWorkers", WorkerNumbers(situation.missing) + " being created");
  if (!situation.leaving.empty()) {
    return yes("RemovingWorkers", WorkerNumbers(situation.leaving) + " being emptied and removed");
  }
  if (!situation.outdated.empty()) {
    return yes("RollingOut", "an older template still runs in " +
                                 WorkerNumbers(situation.outdated) +
                                 "; one at a time is replaced while all others are ready");
  }
  if (const WorkerTrouble* failing = FirstFailing(facts)) {
    return {"Progressing", Truth::kFalse, failing->reason, TroublesText(facts.troubles, true)};
  }
  if (!facts.troubles.empty()) return yes("StartingWorkers", TroublesText(facts.troubles, false));
  if (!facts.observed.coordination->settled)
    return yes("Assigning", "tasks are on their way to their workers");
  if (facts.tasks.running < facts.tasks.total()) {
    return yes("StartingTasks", Of(facts.tasks.running, facts.tasks.total(), "tasks run"));
  }
  return {"Progressing", Truth::kFalse, "Settled", "nothing is left to be done"};
}

Condition Degraded(const Facts& facts) {
  if (const auto& problem = facts.situation.problem) {
    return {"Degraded", Truth::kTrue, NameText(problem->reason), problem->message};
  }
  if (const WorkerTrouble* failing = FirstFailing(facts)) {
    return {"Degraded", Truth::kTrue, failing->reason, TroublesText(facts.troubles, true)};
  }
  return {"Degraded", Truth::kFalse, "AsExpected", "no fault is known"};
}

Condition Ready(const Facts& facts, const std::vector<Condition>& others) {
  const TaskOverview& tasks = facts.tasks;
  const WorkerCounts& workers = facts.workers;
  if (const auto& problem = facts.situation.problem;
      problem && (problem->blocks_start || facts.situation.kafka_is_away())) {
    // Workers go on without the operator's way to Kafka; how they are cannot be known.
    const bool unknown = MeaningOf(problem->reason).may_pass && workers.ready > 0;
    return {"Ready", unknown ? Truth::kUnknown : Truth::kFalse, NameText(problem->reason),
            problem->message};
  }
  if (const WorkerTrouble* failing = FirstFailing(facts)) {
    return {"Ready", Truth::kFalse, failing->reason, TroublesText(facts.troubles, true)};
  }
  for (const char* type : {"ConfigValid", "WorkersAvailable", "Assigned", "StateRestored"}) {
    const auto found = std::find_if(others.begin(), others.end(),
                                    [&](const Condition& c) { return c.type == type; });
    if (found->status != Truth::kTrue)
      return {"Ready", Truth::kFalse, found->reason, found->message};
  }
  return {"Ready", Truth::kTrue, "Running",
          std::to_string(tasks.running) + "/" + std::to_string(tasks.total()) +
              " tasks running on " + std::to_string(workers.ready) + "/" +
              std::to_string(workers.desired) + " workers, " + std::to_string(workers.sticky) +
              " sticky"};
}

}  // namespace

WorkerCounts CountWorkers(const Observed& observed, const Situation& situation) {
  WorkerCounts counts{.desired = static_cast<int32_t>(situation.desired.size())};
  for (const WorkerId id : situation.desired) {
    counts.ready += !WorkerTroubleOf(observed, situation, id);
    counts.sticky += IsSticky(observed, id);
  }
  return counts;
}

std::vector<Condition> Conditions(const Observed& observed, const Situation& situation,
                                  const TaskOverview& tasks) {
  Facts facts{observed, situation, tasks, CountWorkers(observed, situation), {}};
  for (const WorkerId id : situation.desired) {
    if (auto trouble = WorkerTroubleOf(observed, situation, id))
      facts.troubles.push_back(std::move(*trouble));
  }
  std::stable_partition(facts.troubles.begin(), facts.troubles.end(),
                        [](const WorkerTrouble& t) { return t.failing; });

  std::vector<Condition> conditions = {
      ConfigValid(facts),  Assigned(facts),    WorkersAvailable(facts), StateRestored(facts),
      HostAffinity(facts), Progressing(facts), Degraded(facts)};
  const bool listening = IsListening(observed, situation);
  if (listening) KeepConditions(observed, tasks, &conditions);
  Condition ready = Ready(facts, conditions);
  if (listening && ready.status == Truth::kTrue) ready = KeptReady();
  conditions.insert(conditions.begin(), std::move(ready));
  for (Condition& condition : conditions)
    condition.message = Shortened(condition.message, kLongestMessage);
  return conditions;
}

}  // namespace coho
