// What the operator sees of one StreamJob at one moment: made by observe, read by decide and
// report. Plain values; facts only, no judgement. Observe lists only objects that carry the job's
// label; whose they are, the controller's uid tells.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/coordination/job_view.h"
#include "operator/api/stream_job.h"

namespace coho {

struct OperatorSettings {
  std::string installation;
  std::string image_pull_policy = "IfNotPresent";  // of workers
};

// What every applied object tells of itself.
struct ObjectFacts {
  std::string uid;
  std::string controller_uid;  // of its controller owner reference; empty: none
  std::string applied_hash;    // annotation coho.dev/applied-hash
  // Its controller is a StreamJob of this job's name: ours, or an earlier one whose objects still
  // go away.
  bool of_this_name = false;
  friend bool operator==(const ObjectFacts&, const ObjectFacts&) = default;
};

struct StatefulSetFacts {
  std::string name;
  ObjectFacts object;
  std::string template_hash;  // annotation coho.dev/template-hash of spec.template
  std::string config_hash;    // annotation coho.dev/config-hash of spec.template
  bool observed =
      // status.observedGeneration >= metadata.generation: its controller knows this template
      false;
  bool delete_claim_with_set = false;  // persistentVolumeClaimRetentionPolicy.whenDeleted: Delete
  bool deleting = false;
};

struct PodFacts {
  std::string name;
  std::string uid;
  std::string node;      // empty: not scheduled
  bool running = false;  // the worker container runs
  bool ready = false;    // condition Ready
  bool deleting = false;
  int32_t restarts = 0;
  std::string
      // of the worker container: CrashLoopBackOff, ImagePullBackOff, ...; empty: not waiting
      waiting_reason;
  std::string waiting_message;
  std::optional<int32_t>
      exit_code;  // of its latest termination (state.terminated, else lastState.terminated)
  std::string exit_reason;    // OOMKilled, Error, Completed
  std::string exit_message;   // termination message
  std::string unschedulable;  // message of condition PodScheduled=False; empty: none
  std::optional<WallTime> unschedulable_since;  // its last transition
  std::string template_hash;                    // annotation coho.dev/template-hash
  std::string config_hash;                      // annotation coho.dev/config-hash
};

struct VolumeFacts {
  std::string claim;
  std::string claim_uid;
  bool claim_deleting = false;
  bool owned_by_set =
      false;  // the claim has an owner reference to a StatefulSet: it goes when the set goes
  std::string volume;  // PersistentVolume; empty: not bound
  std::string node;  // the only node that the volume's node affinity admits; empty: none or several
  std::string zone;
};

struct NodeFacts {
  std::string hostname;  // label kubernetes.io/hostname
  std::string zone;
  bool ready = true;
  std::optional<WallTime>
      not_ready_since;  // last transition of condition Ready, when it is not True
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
  // Why the service cannot be given the job, although its spec is fine: its Secret is missing, or
  // cannot be read.
  std::optional<JobProblem> connection_problem;
  std::string
      write_error;  // what the API server said to the latest apply that it refused; empty: none
  std::map<WorkerId, StatefulSetFacts> sets;
  std::map<WorkerId, PodFacts> pods;
  std::map<WorkerId, VolumeFacts> volumes;
  bool nodes_known = false;  // false: nodes cannot be read; then no node is ever called lost
  std::map<std::string, NodeFacts> nodes;
  // Another StreamJob of this installation has the same topic prefix, and has had it for longer.
  std::optional<JobId> prefix_holder;
  // The job's ServiceAccount, ConfigMaps (job files of earlier contents, too), Service and
  // PodDisruptionBudget.
  std::map<ObjectKey, ObjectFacts> objects;
  // A defect was caught when the job was reconciled last; empty: none.
  std::string internal_error;
  // Apply everything even where the stored hash is right: repairs what others changed. For the
  // first reconcile after a start and now and then.
  bool repair = false;
  // When this process last wrote the job's status: changes of lag alone are written at most every
  // 10 s.
  std::optional<WallTime> status_written;
  OperatorSettings settings;
  WallTime now;
};

}  // namespace coho
