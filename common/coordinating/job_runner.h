// One job in the coordination service: prepares its topics, then drives its Coordinator: performs the actions, brings it heartbeats and
// time. A failure is kept as the job's problem and tried again later; it never waits.
//
// Thread rule: the service's thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/coordinating/cluster.h"
#include "common/coordination/coordinator.h"
#include "common/coordinating/service.h"
#include "common/model/assignment.h"
#include "common/model/job.h"

namespace coho {

class JobRunner {
 public:
  using OnEvent = std::function<void(const JobId&, const EmitEvent&)>;
  // Everything pointed to outlives the runner.
  JobRunner(const Job& job, Cluster* cluster, const Clock* clock, OnEvent on_event);
  ~JobRunner();
  JobRunner(const JobRunner&) = delete;
  JobRunner& operator=(const JobRunner&) = delete;

  void SetJob(const Job& job);
  void SetPodFacts(const std::map<WorkerId, PodFact>& facts);
  void OnHeartbeat(int64_t offset, std::string_view value);
  // Does what is due. kFenced: another coordinator took over, nothing may be written any more.
  [[nodiscard]] Status Step();
  // The cluster cannot be reached, for all jobs.
  void OnUnreachable(const Status& status);
  [[nodiscard]] const std::string& heartbeats_topic() const { return heartbeats_topic_; }
  // Nothing has to be asked of Kafka before this time.
  [[nodiscard]] bool PreparationDue() const { return !coordinator_ && clock_->Now() >= retry_at_; }
  [[nodiscard]] JobView View() const;
  // Whether the view may have changed since the last call. Mere heartbeats count only a few times a second.
  [[nodiscard]] bool TakeChanged();

 private:
  void Prepare();
  void Run(const TopicPlan& plan, TopicFacts facts);
  void Halt();
  void Recheck();
  [[nodiscard]] Status Resume();
  [[nodiscard]] Status Perform();
  [[nodiscard]] Status Write(const WriteRecords& write);
  void Take(CoordinatorActions actions);
  void FailPreparation(JobProblem problem);
  void SetProblem(std::optional<JobProblem> problem);
  [[nodiscard]] CoordinatorOptions OptionsFor(const JobModel& model) const;
  [[nodiscard]] WallTime Wall() const { return clock_->WallNow(); }

  Job job_;
  Cluster* const cluster_;
  const Clock* const clock_;
  const OnEvent on_event_;
  const std::string heartbeats_topic_;

  std::optional<JobProblem> problem_;
  std::optional<Coordinator> coordinator_;
  TopicFacts facts_;  // stored: what the coordinator topic holds, as far as it is known
  std::map<WorkerId, PodFact> pod_facts_;
  std::deque<CoordinatorAction> to_do_;
  std::optional<WriteRecords> doubtful_;  // nobody knows whether it was written
  int64_t connection_ = 0;                // the cluster's, when facts_.stored was read
  int64_t live_from_ = 0;                 // heartbeats before this offset are history
  bool unreadable_told_ = false;
  MonotonicTime retry_at_;
  Duration retry_after_;
  MonotonicTime recheck_at_;
  MonotonicTime tick_at_;
  bool changed_ = true;
  bool heard_ = false;
  MonotonicTime told_at_;
};

}  // namespace coho
