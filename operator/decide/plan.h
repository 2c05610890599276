// One reconcile of one StreamJob, as a pure function: what was observed in, what is to be done out. Level-based: the whole
// desired state is computed anew each time; whatever is right already is left out of the plan.
//
// Safety: nothing is deleted unless the observed object is this job's (its uid is a precondition of the delete); nothing is
// deleted while the job has a problem that blocks it or the coordinator's view of it is not there; a job that runs is never
// taken down because its spec became wrong. Same input, same plan.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/base/clock.h"
#include "common/coordination/service.h"
#include "operator/api/stream_job.h"

namespace coho {

struct OperatorSettings {
  std::string image_pull_policy = "IfNotPresent";  // of workers
};

// What every applied object tells of itself.
struct ObjectFacts {
  std::string uid;
  std::string controller_uid;  // of its controller owner reference; empty: none
  std::string applied_hash;    // annotation coho.dev/applied-hash
};

struct StatefulSetFacts {
  std::string name;
  ObjectFacts object;
  std::string template_hash;  // annotation coho.dev/template-hash of spec.template
  bool observed = false;      // status.observedGeneration >= metadata.generation: its controller knows this template
  bool delete_claim_with_set = false;  // persistentVolumeClaimRetentionPolicy.whenDeleted: Delete
  bool deleting = false;
};

struct PodFacts {
  std::string name;
  std::string uid;
  std::string node;  // empty: not scheduled
  bool running = false;  // the worker container runs
  bool ready = false;    // condition Ready
  bool deleting = false;
  int32_t restarts = 0;
  std::string waiting_reason;   // of the worker container: CrashLoopBackOff, ImagePullBackOff, ...; empty: not waiting
  std::string waiting_message;
  std::optional<int32_t> exit_code;  // of its latest termination (state.terminated, else lastState.terminated)
  std::string exit_reason;           // OOMKilled, Error, Completed
  std::string exit_message;          // termination message
  std::string unschedulable;         // message of condition PodScheduled=False; empty: none
  std::string template_hash;         // annotation coho.dev/template-hash
};

struct VolumeFacts {
  std::string claim;
  std::string claim_uid;
  bool claim_deleting = false;
  bool owned_by_set = false;  // the claim has an owner reference to a StatefulSet: it goes when the set goes
  std::string volume;         // PersistentVolume; empty: not bound
  std::string node;           // the only node that the volume's node affinity admits; empty: none or several
  std::string zone;
};

struct NodeFacts {
  std::string hostname;  // label kubernetes.io/hostname
  std::string zone;
  bool ready = true;
  std::optional<WallTime> not_ready_since;  // last transition of condition Ready, when it is not True
  bool unschedulable = false;
  bool out_of_service = false;  // taint node.kubernetes.io/out-of-service
};

struct ObjectKey {
  std::string kind;
  std::string name;
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};

struct Observed {
  StreamJob job;
  std::optional<JobView> coordination;  // nullopt: the service does not have the job (yet)
  std::map<WorkerId, StatefulSetFacts> sets;
  std::map<WorkerId, PodFacts> pods;
  std::map<WorkerId, VolumeFacts> volumes;
  bool nodes_known = false;  // false: nodes cannot be read; then no node is ever called lost
  std::map<std::string, NodeFacts> nodes;
  // The job's ServiceAccount, ConfigMaps, Service and PodDisruptionBudget.
  std::map<ObjectKey, ObjectFacts> objects;
  // Apply everything even where the stored hash is right: repairs what others changed. For the first reconcile after a start
  // and now and then.
  bool repair = false;
  // When this process last wrote the job's status: changes of lag alone are written at most every 10 s.
  std::optional<WallTime> status_written;
  OperatorSettings settings;
  WallTime now;
};

struct DeleteAction {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;                      // precondition
  std::optional<int64_t> grace_period;  // seconds; 0: the node is lost, and Kafka fences what may still run there
  friend bool operator==(const DeleteAction&, const DeleteAction&) = default;
};

struct PlannedEvent {
  bool warning = false;
  std::string reason;
  std::string action;
  std::string note;
  friend bool operator==(const PlannedEvent&, const PlannedEvent&) = default;
};

enum class Coordination {
  kRun,     // CoordinationService::SetJob with job.job, SetPodFacts with pod_facts
  kKeep,    // the spec cannot be used: what the service has goes on as it is; SetPodFacts if it has the job
  kForget,  // RemoveJob
};

struct ReconcilePlan {
  std::vector<nlohmann::json> apply;    // full objects for server-side apply, in this order, before `deletes`
  std::vector<DeleteAction> deletes;    // in this order
  std::optional<nlohmann::json> status;  // full object for server-side apply on /status; nullopt: what is stored is right
  std::vector<PlannedEvent> events;     // to be emitted after the writes succeeded
  std::map<WorkerId, PodFact> pod_facts;
  Coordination coordination = Coordination::kKeep;
  std::optional<Duration> requeue_after;  // nullopt: wait for the next change
};

[[nodiscard]] ReconcilePlan PlanReconcile(const Observed& observed);

}  // namespace coho
