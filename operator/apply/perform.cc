#include "operator/apply/perform.h"

#include "common/base/log.h"
#include "operator/api/names.h"
#include "operator/kube/kinds.h"
#include "operator/observe/facts.h"

namespace coho {
namespace {

using kube::Json;
using kube::TextAt;

// An object without a namespace would be applied to the wrong place, so it gets the job's.
Status ApplyOne(const JobId& id, const Json& object, kube::Api& api, PerformOutcome* outcome) {
  const std::string kind = TextAt(object, {"kind"});
  const kube::ResourceType* type = TypeOfKind(TextAt(object, {"apiVersion"}), kind);
  if (type == nullptr) return Internal("plan wants to apply an unknown kind \"" + kind + "\"");
  if (TextAt(object, {"metadata", "namespace"}) != id.ns) {
    return Internal("plan wants to apply " + kind + " outside of the job's namespace");
  }
  COHO_ASSIGN_OR_RETURN(const Json stored, api.Apply(*type, object));
  outcome->applied[{kind, TextAt(stored, {"metadata", "name"})}] = ReadObjectFacts(stored, id.name);
  ++outcome->objects_written;
  return Status::Ok();
}

Status DeleteOne(const JobId& id, const DeleteAction& action, kube::Api& api) {
  const kube::ResourceType* type = TypeOfKind(action.api_version, action.kind);
  if (type == nullptr)
    return Internal("plan wants to delete an unknown kind \"" + action.kind + "\"");
  if (action.uid.empty())
    return Internal("plan wants to delete " + action.kind + " " + action.name + " without its uid");
  LogInfo("deleting", {{"job", id.ToString()}, {"kind", action.kind}, {"name", action.name}});
  const Status status = api.Delete(*type, {id.ns, action.name},
                                   {.uid = action.uid, .grace_period = action.grace_period});
  // The name belongs to a new object already: what we meant is gone.
  return status.code() == Code::kConflict ? Status::Ok() : status;
}

Status CutShort() { return Aborted("this operator leads no more: the rest of the plan is left"); }

bool IsRefusal(const Status& status) {
  return status.code() == Code::kInvalidArgument || status.code() == Code::kUnauthenticated ||
         status.code() == Code::kConflict || status.code() == Code::kInternal;
}

Status WriteObjects(const StreamJob& job, const ReconcilePlan& plan, kube::Api& api,
                    const MayWrite& may_write, PerformOutcome* outcome) {
  for (const Json& object : plan.apply) {
    if (!may_write()) return CutShort();
    COHO_RETURN_IF_ERROR(ApplyOne(job.id, object, api, outcome));
  }
  for (const DeleteAction& action : plan.deletes) {
    if (!may_write()) return CutShort();
    COHO_RETURN_IF_ERROR(DeleteOne(job.id, action, api));
    outcome->deleted.push_back({action.kind, action.name});
  }
  return Status::Ok();
}

}  // namespace

kube::EventSubject SubjectOf(const JobId& id, const std::string& uid) {
  return {.api_version = std::string(kApiVersion),
          .kind = std::string(kStreamJobKind),
          .ns = id.ns,
          .name = id.name,
          .uid = uid};
}

PerformOutcome Perform(const StreamJob& job, const ReconcilePlan& plan, kube::Api& api,
                       kube::EventRecorder& events, const MayWrite& may_write) {
  PerformOutcome outcome;
  outcome.status = WriteObjects(job, plan, api, may_write, &outcome);
  if (IsRefusal(outcome.status)) outcome.write_error = outcome.status.message();
  if (outcome.status.ok() && !may_write()) outcome.status = CutShort();
  if (plan.status && may_write()) {
    const Status written = api.ApplyStatus(StreamJobType(), *plan.status).status();
    outcome.status_written = written.ok();
    // A job deleted meanwhile has no status any more.
    if (outcome.status.ok() && !written.ok() && written.code() != Code::kNotFound)
      outcome.status = written;
  }
  if (!outcome.status.ok()) return outcome;
  for (const PlannedEvent& event : plan.events) {
    events.Record({.about = SubjectOf(job.id, job.uid),
                   .warning = event.warning,
                   .reason = event.reason,
                   .action = event.action,
                   .note = event.note});
  }
  return outcome;
}

}  // namespace coho
