#include "operator/report/status.h"

#include <array>
#include <cstdio>
#include <ctime>
#include <utility>

#include "common/contract/event_reason.h"
#include "common/contract/problem_reason.h"
#include "operator/api/names.h"
#include "operator/report/assignment_lines.h"
#include "operator/report/conditions.h"
#include "operator/report/stored.h"
#include "operator/report/worker_state.h"

namespace coho {
namespace {

using nlohmann::json;

constexpr size_t kLongestNote = 1000;

const char* TruthText(Truth truth) {
  switch (truth) {
    case Truth::kTrue:
      return "True";
    case Truth::kFalse:
      return "False";
    case Truth::kUnknown:
      return "Unknown";
  }
  return "Unknown";
}

json ConditionsJson(const Observed& observed, const std::vector<Condition>& conditions) {
  json list = json::array();
  for (const Condition& condition : conditions) {
    const json stored = StoredCondition(observed.job.status, condition.type);
    std::string since = TextOf(stored, "lastTransitionTime");
    if (since.empty() || TextOf(stored, "status") != TruthText(condition.status))
      since = Timestamp(observed.now);
    list.push_back({{"type", condition.type},
                    {"status", TruthText(condition.status)},
                    {"reason", condition.reason},
                    {"message", condition.message},
                    {"observedGeneration", observed.job.generation},
                    {"lastTransitionTime", since}});
  }
  return list;
}

// A stored condition has the name only.
bool IsKafkaAway(std::string_view reason) {
  for (const ProblemMeaning& meaning : ProblemMeanings()) {
    if (meaning.name == reason) return meaning.kafka_away;
  }
  return false;
}

bool IsHeld(const Observed& observed, const Situation& situation) {
  return observed.coordination && observed.coordination->prepared && !situation.is_not_ours();
}

std::string Ratio(int32_t some, int32_t all) {
  return std::to_string(some) + "/" + std::to_string(all);
}

}  // namespace

std::string Timestamp(WallTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(time));
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text.data(), length);
}

json BuildStatus(const Observed& observed, const Situation& situation) {
  const TaskOverview tasks = SummarizeTasks(observed);
  const WorkerCounts workers = CountWorkers(observed, situation);
  const std::string& name = observed.job.id.name;
  json status = {
      {"observedGeneration", observed.job.generation},
      {"replicas", observed.pods.size()},
      {"selector", std::string(kJobLabel) + "=" + name},
      {"conditions", ConditionsJson(observed, Conditions(observed, situation, tasks))},
      {"assignment", AssignmentLines(tasks, "ConfigMap " + AssignmentConfigMapName(name))},
      {"tasks",
       {{"total", tasks.total()},
        {"running", tasks.running},
        {"restoring", tasks.restoring},
        {"unassigned", tasks.unassigned}}},
      {"workers",
       {{"desired", workers.desired}, {"ready", workers.ready}, {"sticky", workers.sticky}}},
      {"tasksSummary", Ratio(tasks.running, tasks.total())},
      {"workersSummary", Ratio(workers.ready, workers.desired)},
      {"sticky", Ratio(workers.sticky, workers.desired)},
      {"lag", LagText(tasks.lag)},
  };
  // Who holds the job's claim says so: an installation without it finds here whose the job is.
  if (IsHeld(observed, situation)) {
    status["installation"] = observed.settings.installation;
  } else if (const std::string before = TextOf(observed.job.status, "installation");
             !before.empty()) {
    status["installation"] = before;
  }
  if (observed.coordination)
    status["assignmentGeneration"] = observed.coordination->assignment.generation.value();
  if (IsListening(observed, situation)) KeepFigures(observed, &status);
  return status;
}

bool SameButLag(const json& a, const json& b) {
  const auto without_lag = [](json status) {
    if (!status.is_object()) return status;
    status.erase("lag");
    if (const auto lines = status.find("assignment"); lines != status.end() && lines->is_array()) {
      for (json& line : *lines) {
        if (line.is_string()) line = std::string(WithoutLag(line.get_ref<const std::string&>()));
      }
    }
    return status;
  };
  return without_lag(a) == without_lag(b);
}

json StatusOfCaughtError(json status, int64_t generation, const std::string& what, WallTime now) {
  const std::string message = Shortened("a defect of Coho was caught: " + what, kLongestNote);
  if (!status.is_object()) status = json::object();
  json& conditions = status["conditions"];
  if (!conditions.is_array()) conditions = json::array();
  json degraded = {{"type", "Degraded"},
                   {"status", "True"},
                   {"reason", NameOf(ProblemReason::kInternalError)},
                   {"message", message},
                   {"observedGeneration", generation},
                   {"lastTransitionTime", Timestamp(now)}};
  for (json& condition : conditions) {
    if (TextOf(condition, "type") != "Degraded") continue;
    if (TextOf(condition, "status") == "True")
      degraded["lastTransitionTime"] = condition.value("lastTransitionTime", Timestamp(now));
    condition = std::move(degraded);
    return status;
  }
  conditions.push_back(std::move(degraded));
  return status;
}

std::vector<PlannedEvent> EventsOfChange(const json& before, const json& after) {
  std::vector<PlannedEvent> events;
  const auto note = [](const json& condition) {
    return Shortened(TextOf(condition, "message"), kLongestNote);
  };
  const json was_degraded = StoredCondition(before, "Degraded");
  const json degraded = StoredCondition(after, "Degraded");
  const bool was = TextOf(was_degraded, "status") == "True";
  if (TextOf(degraded, "status") == "True") {
    const std::string reason = TextOf(degraded, "reason");
    // What Kafka's client says of one and the same outage differs from try to try.
    const bool same =
        was && TextOf(was_degraded, "reason") == reason &&
        (IsKafkaAway(reason) || TextOf(was_degraded, "message") == TextOf(degraded, "message"));
    // The reconcile loop announces a refused write itself, since a plan's events are left out when
    // a write fails. Objects that still go away after a delete are no cause for alarm.
    if (!same && reason != NameOf(ProblemReason::kWriteRefused) &&
        reason != NameOf(ProblemReason::kBeingCleanedUp)) {
      events.push_back(
          {.warning = true, .reason = reason, .action = "Reconcile", .note = note(degraded)});
    }
  } else if (was) {
    events.push_back({.reason = std::string(NameOf(EventReason::kRecovered)),
                      .action = "Reconcile",
                      .note = "over: " + note(was_degraded)});
  }
  const json ready = StoredCondition(after, "Ready");
  if (TextOf(ready, "status") == "True" &&
      TextOf(StoredCondition(before, "Ready"), "status") != "True") {
    events.push_back({.reason = std::string(NameOf(EventReason::kReady)),
                      .action = "Reconcile",
                      .note = note(ready)});
  }
  return events;
}

}  // namespace coho
