// What a job's stored status says, and when it goes on to hold: a coordinator that began anew (the
// operator restarted, another one leads) has yet to hear how the job is, which degrades nothing.
// Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "operator/api/observed.h"
#include "operator/report/conditions.h"

namespace coho {

[[nodiscard]] std::string TextOf(const nlohmann::json& object, const char* key);
// The condition of this type in a stored status, or null.
[[nodiscard]] nlohmann::json StoredCondition(const nlohmann::json& status, const std::string& type);

// The coordinator has not heard yet what all workers do, nothing is known to be wrong, and the job
// was ready with the spec that it has.
[[nodiscard]] bool IsListening(const Observed& observed, const Situation& situation);

// REQUIRES: IsListening. What cannot be known yet is as it was stored.
void KeepConditions(const Observed& observed, const TaskOverview& tasks,
                    std::vector<Condition>* conditions);
[[nodiscard]] Condition KeptReady();
void KeepFigures(const Observed& observed, nlohmann::json* status);

}  // namespace coho
