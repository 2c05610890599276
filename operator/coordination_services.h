// The coordinators of all jobs, by Kafka cluster: one CoordinationService for all jobs that reach Kafka in the same way (servers,
// properties, Secret), started with the first such job and ended with the last. Only the leading operator has any.
//
// Safe to use from any thread; calls may wait for a service to end.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "common/coordinating/service.h"
#include "common/model/job.h"

namespace coho {

class CoordinationServices {
 public:
  struct Options {
    // Part of the services' transactional ids: two operators with the same id fence each other, as leader and former leader of
    // one installation must; operators of different installations on one Kafka cluster need different ids.
    std::string installation_id;
    std::function<void(const JobId&)> on_change;  // from the services' threads
    std::function<void(const JobId&, const EmitEvent&)> on_event;
  };
  explicit CoordinationServices(Options options) : options_(std::move(options)) {}
  ~CoordinationServices();

  // Gives the job to the service of its cluster, unless that has exactly this job already. `secrets`: the content of the job's
  // Secret; a changed one replaces the service, under the same transactional id.
  void Run(const Job& job, const std::map<std::string, std::string>& secrets);
  void SetPodFacts(const JobId& id, const std::map<WorkerId, PodFact>& facts);
  void Forget(const JobId& id);
  // nullopt: no service has the job.
  [[nodiscard]] std::optional<JobView> View(const JobId& id) const;
  // Another operator took over the coordinators.
  [[nodiscard]] bool fenced() const;
  [[nodiscard]] size_t size() const;
  // Ends all services.
  void Stop();

 private:
  struct Entry {
    std::map<std::string, std::string> secrets;
    std::unique_ptr<CoordinationService> service;
    std::map<JobId, Job> jobs;
  };
  // How a job reaches Kafka, as text: the key of `entries_`, and the source of the hash in the transactional id. Names the
  // Secret, without its content: a hash of a password does not belong where others can read it.
  [[nodiscard]] static std::string ClusterKey(const Job& job);
  void ForgetLocked(const JobId& id);
  [[nodiscard]] std::unique_ptr<CoordinationService> StartService(
      const std::string& key, const Job& job,
      const std::map<std::string, std::string>& secrets) const;

  const Options options_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;     // by ClusterKey; guarded by mutex_
  std::map<JobId, std::string> key_of_job_;  // guarded by mutex_
};

}  // namespace coho
