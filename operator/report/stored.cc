#include "operator/report/stored.h"

namespace coho {
namespace {

using nlohmann::json;

constexpr char kReason[] = "AwaitingReports";
constexpr char kMessage[] =
    "as it was: the coordinator began anew and has not heard from all workers yet";

bool WasTrue(const Observed& observed, const std::string& type) {
  const json stored = StoredCondition(observed.job.status, type);
  return TextOf(stored, "status") == "True" &&
         stored.value("observedGeneration", int64_t{-1}) == observed.job.generation;
}

}  // namespace

std::string TextOf(const json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

json StoredCondition(const json& status, const std::string& type) {
  const auto conditions = status.find("conditions");
  if (conditions == status.end() || !conditions->is_array()) return json();
  for (const json& condition : *conditions) {
    if (TextOf(condition, "type") == type) return condition;
  }
  return json();
}

bool IsListening(const Observed& observed, const Situation& situation) {
  if (situation.problem || !WasTrue(observed, "Ready")) return false;
  return !observed.coordination || !observed.coordination->prepared ||
         observed.coordination->listening;
}

void KeepConditions(const Observed& observed, const TaskOverview& tasks,
                    std::vector<Condition>* conditions) {
  for (Condition& condition : *conditions) {
    // Without a report a task is not known to run; one that is restored said so.
    const bool unheard = condition.type == "StateRestored" && tasks.restoring == 0;
    if (condition.status == Truth::kTrue || !WasTrue(observed, condition.type)) continue;
    if (condition.status == Truth::kUnknown || unheard)
      condition = {condition.type, Truth::kTrue, kReason, kMessage};
  }
}

Condition KeptReady() { return {"Ready", Truth::kTrue, kReason, kMessage}; }

void KeepFigures(const Observed& observed, json* status) {
  const json& stored = observed.job.status;
  const auto keep = [](const json& from, json* to, const char* key) {
    if (from.is_object() && from.contains(key)) (*to)[key] = from.at(key);
  };
  for (const char* key : {"assignment", "tasks", "tasksSummary", "sticky", "lag"})
    keep(stored, status, key);
  if (stored.is_object() && stored.contains("workers"))
    keep(stored.at("workers"), &(*status)["workers"], "sticky");
  if (!observed.coordination || !observed.coordination->prepared)
    keep(stored, status, "assignmentGeneration");
}

}  // namespace coho
