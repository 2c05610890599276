// Runs the coordinators of all jobs on one Kafka cluster (one set of credentials): the thread
// around ServiceState, with a ClusterPort to Kafka. One writer and one follower of heartbeats,
// however many jobs. Used by the operator and by the standalone worker.
//
// Thread rule: all methods may be called from any thread and never wait for Kafka; callbacks come
// from the service's thread and must not block. Errors of one job never touch another: they appear
// as its view's problem and are retried with back-off.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/coordination/job_view.h"
#include "common/kafka/config.h"
#include "common/model/assignment.h"
#include "common/model/job.h"
#include "common/model/job_identity.h"

namespace coho {

class CoordinationService {
 public:
  struct Options {
    kafka::ClientConfig kafka;
    // How the service's transactional id begins (R2); it ends in what is new in each process. An
    // operator's begins with coho-operator-, one without an operator with the job's
    // <prefix>-coordinator.
    std::string transactional_id;
    // Where nobody else sees to it that there is one process: how long the claim of another one is
    // respected since it was written last, as it is again and again while that one lives. Zero: not
    // at all.
    Duration respect_claims = Duration::zero();
    // Asked, from any thread, right before each write to Kafka; false: it is not made. For who
    // leads by a lease, which may be over when it wakes from being frozen. Empty: always.
    std::function<bool()> may_write = {};
    int threads = 4;  // that wait for Kafka
    const Clock* clock = &Clock::Real();
    std::function<void(const JobId&)> on_change;  // the view changed
    std::function<void(const JobId&, const EmitEvent&)> on_event;
  };
  // Starts the thread; connects in the background.
  [[nodiscard]] static std::unique_ptr<CoordinationService> Start(Options options);
  ~CoordinationService();  // Stop, and then waits for it, a second or so
  // Asks it to end and returns at once: no more is written than what is under way.
  void Stop();

  // Adds it, or takes over changed options (workers, failover, inputs checked anew). The identity
  // says whose the topics are (R0).
  void SetJob(const Job& job, const JobIdentity& identity = {});
  void SetPodFacts(const JobId& id, const std::map<WorkerId, PodFact>& facts);
  void RemoveJob(const JobId& id);  // forgets it; leaves its topics
  // A job that another coordinator took over has problem CoordinatorFenced.
  [[nodiscard]] std::optional<JobView> View(const JobId& id) const;

 private:
  CoordinationService();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coho
