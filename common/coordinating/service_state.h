// All jobs of one Kafka cluster in the coordinating service as a state machine: their runners, the
// one writer that they share, and whose answer each event is. Events in, actions out; nothing
// waits, so no job waits for another.
//
// Pure but for what the runners' Coordinators are; no clock, no IO, no logging. Thread-compatible.
//
// A turn: what arrived is delivered in its order, then time passes (OnTick). For how long a worker
// has been silent is told by the heartbeats' own stream (HeartbeatsHeard, behind everything that
// was said before), never by a tick: a turn that comes late makes nobody silent.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/backoff.h"
#include "common/coordinating/cluster_port.h"
#include "common/coordinating/runner_state.h"

namespace coho {

struct AskCluster {
  RequestId id = 0;
  ClusterRequest request;
};
struct TellJobEvent {
  JobId job;
  EmitEvent event;
};
struct JobNote {  // for the log; no job: of the service
  std::optional<JobId> job;
  Note note;
};
using ServiceAction = std::variant<AskCluster, TellJobEvent, JobNote>;

class ServiceState {
 public:
  explicit ServiceState(RunnerState::Options options);

  void SetJob(const Job& job, const JobIdentity& identity, Times t);
  void SetPodFacts(const JobId& id, const std::map<WorkerId, PodFact>& facts, Times t);
  void RemoveJob(const JobId& id);
  void OnEvents(std::vector<ClusterEvent> events, Times t);
  // REQUIRES: everything that had arrived was handed to OnEvents.
  void OnTick(Times t);

  [[nodiscard]] std::vector<ServiceAction> Take();
  // Views that may have changed since the last call.
  [[nodiscard]] std::map<JobId, JobView> TakeViews(MonotonicTime now);

 private:
  struct Target {
    JobId job;
    int64_t runner = 0;  // which runner of the job: one may have been replaced
    int64_t ticket = 0;
    bool writes = false;
  };
  struct Entry {
    std::unique_ptr<RunnerState> runner;
    int64_t number = 0;
  };
  void OnEvent(ClusterEvent event, Times t);
  void OnAnswered(Answered answered, Times t);
  void OnWriterOpened(const WriterOpened& opened, Times t);
  void OpenWriterIfWanted(Times t);
  void Collect(const JobId& id, RunnerState& runner);
  void Add(const Job& job, const JobIdentity& identity, Times t);

  const RunnerState::Options options_;
  std::map<JobId, Entry> runners_;
  std::map<std::string, JobId> by_heartbeats_;
  std::map<RequestId, Target> asked_;
  std::vector<ServiceAction> out_;
  RequestId requests_ = 0;
  int64_t numbers_ = 0;
  int64_t writer_ = 0;
  std::optional<RequestId> opening_;
  Backoff open_retry_;
  MonotonicTime open_at_;
  JobId prepared_last_;
};

}  // namespace coho
