// Runs the coordinators of all jobs on one Kafka cluster (one set of credentials): reads heartbeats, performs the actions of each
// Coordinator, prepares each job's topics. One thread of its own, one consumer, one transactional producer, one admin client,
// however many jobs. Used by the operator and by the standalone worker.
//
// Thread rule: all methods may be called from any thread; callbacks come from the service's thread and must not block.
// Errors of one job never touch another: they appear as its view's problem and are retried with back-off.
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
    std::string transactional_id;  // R2: per operator installation, or per job in standalone mode
    const Clock* clock = &Clock::Real();
    std::function<void(const JobId&)> on_change;  // the view changed
    std::function<void(const JobId&, const EmitEvent&)> on_event;
  };
  // Starts the thread; connects in the background.
  [[nodiscard]] static std::unique_ptr<CoordinationService> Start(Options options);
  ~CoordinationService();  // stops; writes under way are finished

  // Adds it, or takes over changed options (workers, failover, inputs checked anew).
  void SetJob(const Job& job, const JobIdentity& identity = {});
  void SetPodFacts(const JobId& id, const std::map<WorkerId, PodFact>& facts);
  void RemoveJob(const JobId& id);  // forgets it; leaves its topics
  [[nodiscard]] std::optional<JobView> View(const JobId& id) const;
  // Set once another coordinator with the same transactional id took over (R2): nothing is written any more.
  [[nodiscard]] bool fenced() const;

 private:
  CoordinationService();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coho
