// A cluster with one job, run on shipped code: workers (Worker with member, loops, restorer,
// stores), the coordination service in an operator or in a worker, over an unkind Kafka and disks
// that lose what was not flushed. One seed decides everything: the job, which kinds of faults there
// are and how often, and who is next at every moment.
//
// A run: faults for a while; then they end, and with the processes that went through them
// everything that was fed has to come out within a stated time; then all workers are restarted,
// some without their disks, and what they know must be what they knew.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/coordination/job_view.h"
#include "common/model/assignment.h"
#include "common/model/job.h"
#include "common/model/job_identity.h"
#include "tests/simulation/shipped/fault.h"
#include "tests/simulation/shipped/neighbour.h"
#include "tests/simulation/shipped/oracle.h"
#include "tests/simulation/shipped/processes.h"
#include "tests/simulation/shipped/user_task.h"
#include "tests/support/sim/cloud.h"

namespace coho::simulation {

struct WorldOptions {
  uint64_t seed = 1;
  std::set<FaultKind> only;  // empty: drawn
  std::set<size_t> without;  // numbers of faults that are left out
  bool tell = false;
};

class World {
 public:
  explicit World(const WorldOptions& options);
  // To the end or to the first violation; empty: all held.
  [[nodiscard]] std::string Run();

  [[nodiscard]] const std::vector<Fault>& faults() const { return faults_; }
  [[nodiscard]] uint64_t hash() const { return cloud_.hash; }
  [[nodiscard]] uint64_t switches() const { return cloud_.scheduler.switches(); }
  [[nodiscard]] Duration lasted() const { return cloud_.scheduler.now() - begin_; }

 private:
  struct Pod {
    WorkerId worker;
    std::string disk;
    sim::Process* process = nullptr;
    std::shared_ptr<WorkerControl> control;
  };
  struct Operator {
    sim::Process* process = nullptr;
    std::string transactional_id;
    bool rival = false;
    // What it sees of the job.
    std::shared_ptr<JobView> view = std::make_shared<JobView>();
    MonotonicTime began{};
  };

  // world.cc
  void DrawJob();
  void DrawStores();
  void DrawFaults();
  void Feed();
  void FeedOne(const std::string& topic, int32_t partition, int64_t key);
  void Kubelet();
  void Check();
  void Violate(const std::string& what);
  void WatchCoordinatorTopic();
  void FoldCoordinatorTopic();
  [[nodiscard]] bool Balanced() const;
  void CalmDown();
  void AwaitRest();
  [[nodiscard]] bool RunUntil(const std::function<bool()>& done, Duration most);
  [[nodiscard]] bool SomebodyRuns(WorkerId worker) const;
  // processes.cc
  void StartWorker(WorkerId worker, const std::string& disk);
  void StartOperator(const std::string& transactional_id, bool rival);
  void RunOperator(const std::string& transactional_id, const JobIdentity& identity,
                   const std::shared_ptr<JobView>& seen);
  // faults.cc
  void Apply(size_t number);
  [[nodiscard]] Pod* PodFor(int64_t which);
  [[nodiscard]] Operator* OperatorFor(int64_t which);
  // scenes.cc
  [[nodiscard]] std::string NewDisk();
  void LateTwin(int64_t which);
  void LongFreeze();
  void LoseRecords(bool all);
  void SpoilRecord(int64_t which);
  void Retire(int64_t which);
  void Corrupt(const Pod& pod, int64_t which);
  void CompactReplayed();
  void LookForReplays(int looks);
  void Compact(bool raise_begin);
  void Terminate(const Pod& pod);
  // coordination_scenes.cc
  void DrawCompany();
  void CheckCompany();
  void OnDecided(const std::string& transactional_id, bool commit,
                 const std::set<TopicPartition>& partitions);
  void PowerCut(Duration lasts);
  void BadEdit(int64_t which, Duration lasts);
  void MendBadEdit();
  [[nodiscard]] Job JobAsEdited() const;
  void UnheardTwin(WorkerId worker, Duration lasts);
  void StrangeHeartbeat(WorkerId worker, int64_t which);
  void StrangeRecord(int64_t which);
  void ForgetCoordinatorTopic();
  [[nodiscard]] bool StateIsLeft() const;
  void NewLife(Duration lasts);
  void RestartStorm(WorkerId worker, int64_t which);

  // guard_scenes.cc
  void CheckOwner(WorkerId by, const TopicPartition& at, const char* did);
  void OnHandedOver(const TopicPartition& at);
  [[nodiscard]] std::vector<sim::Process*> ProcessesOf(WorkerId worker) const;
  void LateMarkers(int64_t which);
  void ComeBackMeanwhile(WorkerId worker, int64_t which, const std::vector<sim::Process*>& frozen);
  void CutWrite(int64_t which, Duration lasts);
  void CutWriter();
  void HungTask(sim::Process* process, int64_t which);
  void LateInput(Duration lasts);
  void HalfTwin(int64_t which);
  // Looked at again and again, but not for ever.
  void When(const std::function<bool()>& is, const std::function<void()>& then, int looks = 300);

  static constexpr Duration kGracePeriod = std::chrono::seconds(30);
  static constexpr const char* kOwnOperator = "coho-operator-sim";
  static constexpr const char* kRivalInstallation = "coho-operator-rival";

  const WorldOptions options_;
  sim::Dice draw_;  // of the job and the faults; the scheduler has dice of its own
  sim::Cloud cloud_;
  sim::Scheduler& scheduler_;
  MonotonicTime begin_;
  Job job_;
  UserTask user_;
  int32_t tasks_ = 1;
  bool standalone_ = false;
  bool tells_pod_facts_ = false;
  bool quiet_feed_ = false;
  std::vector<Fault> faults_;
  Duration faults_last_{};
  bool feeding_ = true;
  bool kubelet_waits_ = false;   // starts no worker
  bool no_more_faults_ = false;  // but for those that are under way
  bool calm_ = false;
  bool may_refuse_ = false;    // something that cannot be mended happened
  bool only_outages_ = false;  // nothing but common outages: then nothing may move
  std::unique_ptr<Oracle> oracle_;
  std::vector<Pod> pods_;
  std::vector<Operator> operators_;
  std::set<WorkerId> removable_;
  std::set<WorkerId> spared_;  // not ended yet, though not needed any more
  std::map<WorkerId, MonotonicTime> restart_at_;
  std::map<WorkerId, std::string> disk_of_;
  MonotonicTime operator_restart_at_{};
  int64_t disks_made_ = 0;
  CoordinatorState folded_;
  int64_t folded_to_ = 0;
  std::map<TaskId, WorkerId> owners_;
  bool owners_settled_ = false;
  // The company it is in: coordination_scenes.cc.
  std::unique_ptr<Neighbour> neighbour_;
  bool has_company_ = false;
  bool late_right_ = false;  // the operator may read the cluster's uid only after its first restart
  bool later_workers_ = false;  // of a release that says more
  bool later_coordinator_ = false;
  bool keep_doubles_ = false;  // no person ends them
  int operators_begun_ = 0;
  std::optional<int64_t> bad_edit_;
  bool bad_edit_may_stay_ = false;  // somebody coordinates by the plan before it
  std::map<WorkerId, std::vector<std::string>> replaced_;  // on record when it was read last
  std::set<std::string> left_;   // topics with state, when the coordinator topic was lost
  MonotonicTime scene_until_{};  // one of them at a time
  struct WriteToCut {
    bool decided = false;  // it is, and nobody is told
    bool begun = false;
    bool back = false;  // what it was made for is taken back
    int32_t workers = 0;
    Duration lasts{};
  };
  std::optional<WriteToCut> cut_write_;
  sim::Process* ends_at_proof_ = nullptr;
  std::string violation_;
};

}  // namespace coho::simulation
