// The coordinators of all jobs, by Kafka cluster: one CoordinationService for all jobs that reach
// Kafka in the same way (servers, properties, Secret), started with the first such job and ended
// with the last. Only the leading operator has any.
//
// A job has one coordinator at any time: when its way to Kafka is edited, the next service gets it
// only after the one before has let go of it. A coordinator that was taken over in Kafka is a
// problem of its jobs (CoordinatorFenced), never of the process.
//
// Safe to use from any thread. No call waits for Kafka: services end in the background, with no
// lock held.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/coordinating/service.h"
#include "common/model/job.h"
#include "common/model/job_identity.h"

namespace coho {

// What is used of a CoordinationService.
class JobCoordination {
 public:
  virtual ~JobCoordination() = default;
  virtual void SetJob(const Job& job, const JobIdentity& identity) = 0;
  virtual void SetPodFacts(const JobId& id, const std::map<WorkerId, PodFact>& facts) = 0;
  virtual void RemoveJob(const JobId& id) = 0;
  // nullopt: it does not have the job, or has let go of it.
  [[nodiscard]] virtual std::optional<JobView> View(const JobId& id) const = 0;
};

class CoordinationServices {
 public:
  using OnChange = std::function<void(const JobId&)>;
  using OnEvent = std::function<void(const JobId&, const EmitEvent&)>;
  using StartCoordination =
      std::function<std::unique_ptr<JobCoordination>(CoordinationService::Options)>;
  struct Options {
    OnChange on_change;  // from the services' threads
    OnEvent on_event;
    std::function<bool()> may_write = {};  // as a CoordinationService's; not asked after Stop
    const Clock* clock = &Clock::Real();
    StartCoordination start = StartService;
    // How long a service is waited for that does not let go of a job. Then the claim in Kafka keeps
    // the two apart.
    Duration longest_hand_over = std::chrono::seconds(30);
  };
  explicit CoordinationServices(Options options);
  ~CoordinationServices();

  // Gives the job to the service of its cluster, unless that has exactly this job already.
  // `secrets`: the content of the job's Secret; a changed one replaces the service. False: the
  // service before has not let go of it; to be called again soon. REQUIRES: on_change takes no part
  // in what it tells (it may be called from within).
  [[nodiscard]] bool Run(const Job& job, const JobIdentity& identity,
                         const std::map<std::string, std::string>& secrets);
  void SetPodFacts(const JobId& id, const std::map<WorkerId, PodFact>& facts);
  void Forget(const JobId& id);
  // nullopt: no service has the job.
  [[nodiscard]] std::optional<JobView> View(const JobId& id) const;
  [[nodiscard]] size_t size() const;
  // Ends all services, at the same time; true when all have ended within `most`. What has not goes
  // on ending by itself and calls nobody any more.
  bool Stop(Duration most);

  [[nodiscard]] static std::unique_ptr<JobCoordination> StartService(
      CoordinationService::Options options);

 private:
  using ServicePtr = std::unique_ptr<JobCoordination>;
  struct Given {
    Job job;
    JobIdentity identity;
    friend bool operator==(const Given&, const Given&) = default;
  };
  // Of a service: set when nothing of it runs any more. Shared with the thread in which it ends.
  using EndedFlag = std::shared_ptr<std::atomic<bool>>;
  struct Entry {
    std::map<std::string, std::string> secrets;
    ServicePtr service;
    EndedFlag ended = std::make_shared<std::atomic<bool>>(false);
    std::map<JobId, Given> jobs;
  };
  struct HandOver {
    EndedFlag ended;  // of the service before
    MonotonicTime since;
  };
  class Gate;    // what services call back through
  class Reaper;  // where they end

  // How a job reaches Kafka, as text: the key of `entries_`, and the source of the hash in the
  // transactional id. Names the Secret, without its content: a hash of a password does not belong
  // where others can read it.
  [[nodiscard]] static std::string ClusterKey(const Job& job);
  void ForgetLocked(const JobId& id);
  [[nodiscard]] bool LetGoLocked(const JobId& id);
  [[nodiscard]] ServicePtr StartLocked(const std::string& key, const Job& job,
                                       const JobIdentity& identity,
                                       const std::map<std::string, std::string>& secrets) const;

  const Options options_;
  const std::shared_ptr<Gate> gate_;      // shared with the services' callbacks
  const std::shared_ptr<Reaper> reaper_;  // shared with the threads in which services end
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;     // by ClusterKey; guarded by mutex_
  std::map<JobId, std::string> key_of_job_;  // guarded by mutex_
  std::map<JobId, HandOver> leaving_;        // guarded by mutex_
};

}  // namespace coho
