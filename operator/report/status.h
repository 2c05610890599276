// The status of a StreamJob as JSON, and the events that its changes are worth. Pure; same input,
// same bytes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "operator/api/observed.h"
#include "operator/report/event.h"
#include "operator/report/situation.h"

namespace coho {

// The whole of `status`. A condition keeps the lastTransitionTime of the stored status while its
// truth stays the same.
[[nodiscard]] nlohmann::json BuildStatus(const Observed& observed, const Situation& situation);

// The stored status with the one thing that is known when a reconcile failed by an exception. Reads
// nothing of the spec, which may be the cause.
[[nodiscard]] nlohmann::json StatusOfCaughtError(nlohmann::json status, int64_t generation,
                                                 const std::string& what, WallTime now);

// True if the two differ in nothing but lags, which change all the time.
[[nodiscard]] bool SameButLag(const nlohmann::json& a, const nlohmann::json& b);

// A Warning for each new cause of Degraded; a Normal event when the job becomes Ready and when it
// recovers.
[[nodiscard]] std::vector<PlannedEvent> EventsOfChange(const nlohmann::json& before,
                                                       const nlohmann::json& after);

// "2026-03-01T12:00:00Z"
[[nodiscard]] std::string Timestamp(WallTime time);

}  // namespace coho
