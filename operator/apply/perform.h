// Performs a plan: writes objects, deletes, status and events to the API server. Does what the plan
// says and nothing else; the next reconcile starts from what came of it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "operator/decide/plan.h"
#include "operator/kube/api.h"
#include "operator/kube/events.h"

namespace coho {

// Asked before each write: false once this operator leads no more, or ends. Then the rest of a plan
// is its successor's.
using MayWrite = std::function<bool()>;

struct PerformOutcome {
  Status status;  // the first failure
  // Set when the API server refused an object for good (invalid, forbidden, another's): in its
  // words, for people.
  std::string write_error;
  std::map<ObjectKey, ObjectFacts> applied;  // as they are stored now
  int objects_written = 0;
  std::vector<ObjectKey> deleted;
  bool status_written = false;
};

// In order: applies, deletes, status, events. A failed apply ends applies and deletes; the status
// is written all the same, and the events are left out, because they would tell of what did not
// happen.
[[nodiscard]] PerformOutcome Perform(const StreamJob& job, const ReconcilePlan& plan,
                                     kube::Api& api, kube::EventRecorder& events,
                                     const MayWrite& may_write);

// The job as the subject of events.
[[nodiscard]] kube::EventSubject SubjectOf(const JobId& id, const std::string& uid);

}  // namespace coho
