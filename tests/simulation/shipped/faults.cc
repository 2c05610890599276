#include <algorithm>

#include "tests/simulation/shipped/world.h"

namespace coho::simulation {

using std::chrono::milliseconds;
using std::chrono::seconds;

const char* NameOf(FaultKind kind) {
  static constexpr const char* kNames[kFaultKinds] = {"kill worker",
                                                      "stop worker",
                                                      "freeze worker",
                                                      "sleep machine",
                                                      "double worker",
                                                      "cut worker",
                                                      "wipe disk",
                                                      "full disk",
                                                      "kill all",
                                                      "kill operator",
                                                      "freeze operator",
                                                      "cut operator",
                                                      "rival operator",
                                                      "foreign operator",
                                                      "Kafka away",
                                                      "leader away",
                                                      "coordinator away",
                                                      "scale",
                                                      "expire offsets",
                                                      "compact",
                                                      "jump clock",
                                                      "long stop",
                                                      "remake heartbeats",
                                                      "add input",
                                                      "late twin",
                                                      "corrupt disk",
                                                      "compact replayed",
                                                      "long freeze",
                                                      "mute worker",
                                                      "retire records",
                                                      "remake input",
                                                      "delete changelog",
                                                      "delete coordinator topic",
                                                      "lose ends",
                                                      "lose records",
                                                      "spoil record",
                                                      "power cut",
                                                      "bad edit",
                                                      "throttle operator",
                                                      "rival installation",
                                                      "unheard twin",
                                                      "strange heartbeat",
                                                      "strange record",
                                                      "remake coordinator topic",
                                                      "new life",
                                                      "restart storm",
                                                      "late markers",
                                                      "cut write",
                                                      "hung task",
                                                      "late input",
                                                      "half twin"};
  return kNames[static_cast<size_t>(kind)];
}

void World::DrawFaults() {
  std::vector<FaultKind> kinds;
  has_company_ = options_.only.empty()
                     ? sim::Dice(options_.seed * 7 + 3).Percent(40)
                     : *options_.only.rbegin() >= FaultKind::kPowerCut ||
                           options_.only == std::set<FaultKind>{FaultKind::kKillOperator};
  const std::set<FaultKind> outages = {FaultKind::kKafkaAway,       FaultKind::kKillOperator,
                                       FaultKind::kFreezeOperator,  FaultKind::kCutOperator,
                                       FaultKind::kPowerCut,        FaultKind::kBadEdit,
                                       FaultKind::kThrottleOperator};
  only_outages_ = options_.only.empty() ? draw_.Percent(5)
                                        : std::includes(outages.begin(), outages.end(),
                                                        options_.only.begin(), options_.only.end());
  for (size_t i = 0; i < kFaultKinds; ++i) {
    const auto kind = static_cast<FaultKind>(i);
    // Dice of their own: a kind that is added leaves what there was as it was.
    sim::Dice own(options_.seed * 131 + i);
    const bool of_company = kind >= FaultKind::kPowerCut;
    const bool rare =
        (kind >= FaultKind::kRetire && !of_company) || kind >= FaultKind::kRemakeCoordinatorTopic;
    const bool of_guards = kind >= FaultKind::kLateMarkers;
    const bool drawn =
        own.Percent(of_guards ? 1 : (rare ? 3 : 30)) && (has_company_ || !of_company);
    if (options_.only.empty() ? drawn : options_.only.contains(kind)) kinds.push_back(kind);
  }
  if (only_outages_) {
    if (options_.only.empty()) kinds = {outages.begin(), outages.end()};
    const bool waits = draw_.Percent(50);
    if (options_.only.empty() && !waits) std::erase(kinds, FaultKind::kPowerCut);
    if (std::find(kinds.begin(), kinds.end(), FaultKind::kPowerCut) != kinds.end()) {
      // Longer than all need to come back together.
      job_.failover.homecoming_timeout = seconds(draw_.Between(8, 20));
    } else {
      // Whoever is called silent loses its tasks at once.
      job_.failover.homecoming_timeout = seconds(0);
      job_.failover.session_timeout = seconds(6);
      cloud_.network.late_percent = 0;
    }
  }
  faults_last_ = draw_.Millis(15'000, 60'000);
  Duration at = draw_.Millis(0, 15'000);
  if (only_outages_) at = seconds(20);
  const int64_t mean = draw_.Between(500, 10'000);
  while (!kinds.empty() && at < faults_last_) {
    Fault fault{
        .at = at,
        .kind =
            kinds[static_cast<size_t>(draw_.Between(0, static_cast<int64_t>(kinds.size()) - 1))]};
    fault.which = draw_.Between(0, 1 << 20);
    fault.lasts = draw_.Percent(60) ? draw_.Millis(100, 6000) : draw_.Millis(6000, 40'000);
    faults_.push_back(fault);
    at += draw_.Millis(mean / 10, 2 * mean);
  }
}

World::Pod* World::PodFor(int64_t which) {
  std::vector<Pod*> live;
  for (Pod& pod : pods_) {
    if (!pod.process->ended) live.push_back(&pod);
  }
  return live.empty() ? nullptr : live[static_cast<size_t>(which) % live.size()];
}

World::Operator* World::OperatorFor(int64_t which) {
  std::vector<Operator*> live;
  for (Operator& one : operators_) {
    if (!one.process->ended) live.push_back(&one);
  }
  return live.empty() ? nullptr : live[static_cast<size_t>(which) % live.size()];
}

void World::Apply(size_t number) {
  if (calm_ || no_more_faults_) return;
  const Fault& fault = faults_[number];
  const MonotonicTime until = scheduler_.now() + fault.lasts;
  Pod* pod = PodFor(fault.which);
  Operator* op = OperatorFor(fault.which);
  cloud_.Trace("FAULT " + std::to_string(number) + " " + NameOf(fault.kind) + " " +
               std::to_string(fault.which) + " for " +
               std::to_string(fault.lasts / milliseconds(1)) + " ms");
  const auto freeze = [&](sim::Process* process, bool sleep) {
    scheduler_.Freeze(process);
    scheduler_.At(until, [this, process, sleep, lasts = fault.lasts] {
      if (!process->frozen) return;
      if (sleep) process->monotonic_behind += lasts;
      cloud_.Trace("thaw " + process->name);
      scheduler_.Thaw(process, sleep);
    });
  };
  switch (fault.kind) {
    case FaultKind::kKillWorker:
      if (pod != nullptr) scheduler_.Kill(pod->process);
      break;
    case FaultKind::kStopWorker:
      if (pod == nullptr) break;
      Terminate(*pod);
      break;
    case FaultKind::kFreezeWorker:
    case FaultKind::kSleepMachine:
      if (pod != nullptr) freeze(pod->process, fault.kind == FaultKind::kSleepMachine);
      break;
    case FaultKind::kDoubleWorker:
      if (pod == nullptr || pods_.size() > 6) break;
      disk_of_[pod->worker] = NewDisk();
      StartWorker(pod->worker, disk_of_[pod->worker]);
      break;
    case FaultKind::kCutWorker:
      if (pod != nullptr) cloud_.network.cut_until[pod->process] = until;
      break;
    case FaultKind::kWipeDisk:
      if (pod == nullptr) break;
      scheduler_.Kill(pod->process);
      if (const auto disk = cloud_.disks.find(pod->disk); disk != cloud_.disks.end()) {
        disk->second->stores.clear();
        ++disk->second->wiped;
      }
      break;
    case FaultKind::kFullDisk:
      if (pod == nullptr) break;
      if (const auto disk = cloud_.disks.find(pod->disk); disk != cloud_.disks.end()) {
        disk->second->full = true;
        scheduler_.At(until, [full = disk->second] { full->full = false; });
      }
      break;
    case FaultKind::kKillAll:
      for (const Pod& one : pods_) scheduler_.Kill(one.process);
      for (const Operator& one : operators_) scheduler_.Kill(one.process);
      if (neighbour_ != nullptr) neighbour_->KillAll();
      break;
    case FaultKind::kKillOperator:
      if (op != nullptr) scheduler_.Kill(op->process);
      break;
    case FaultKind::kFreezeOperator:
      if (op != nullptr) freeze(op->process, false);
      break;
    case FaultKind::kCutOperator:
      if (op != nullptr) cloud_.network.cut_until[op->process] = until;
      break;
    case FaultKind::kRivalOperator:
      if (operators_.size() < 3 && !standalone_) StartOperator("coho-operator-sim", true);
      break;
    case FaultKind::kForeignOperator:
      may_refuse_ = true;  // where its claim came first, a person has to decide
      if (operators_.size() < 3) StartOperator("coho-operator-other", true);
      break;
    case FaultKind::kKafkaAway:
      cloud_.network.kafka_away_until = std::max(cloud_.network.kafka_away_until, until);
      break;
    case FaultKind::kLeaderAway: {
      const auto& topics = cloud_.kafka.topics();
      auto topic = topics.begin();
      std::advance(topic,
                   static_cast<std::ptrdiff_t>(static_cast<size_t>(fault.which) % topics.size()));
      for (sim::KafkaPartition& partition : topic->second->partitions) partition.away_until = until;
      break;
    }
    case FaultKind::kCoordinatorAway:
      if (fault.which % 3 == 0 || pod == nullptr) {
        cloud_.network.coordinator_away_until[job_.ConsumerGroup()] = until;
      } else if (fault.which % 3 == 1) {
        cloud_.network.coordinator_away_until["coho-operator-sim"] = until;
      } else {
        cloud_.network.coordinator_away_until[job_.TransactionalId(
            pod->worker, static_cast<int32_t>(fault.which / 3 % 2))] = until;
      }
      break;
    case FaultKind::kScale:
      job_.workers.count = 1 + static_cast<int32_t>(fault.which % std::min(tasks_, 3));
      break;
    case FaultKind::kExpireOffsets:
      cloud_.kafka.ExpireOffsets(job_.ConsumerGroup());
      break;
    case FaultKind::kLongStop:
      for (const Pod& one : pods_) scheduler_.Kill(one.process);
      for (const Operator& one : operators_) scheduler_.Kill(one.process);
      if (neighbour_ != nullptr) neighbour_->KillAll();
      scheduler_.SkipWallTime(std::chrono::hours(24 * 9));
      cloud_.kafka.ExpireOffsets(job_.ConsumerGroup());
      [[fallthrough]];
    case FaultKind::kCompact:
      Compact(fault.which % 4 == 0);
      break;
    case FaultKind::kJumpClock:
      if (pod != nullptr)
        pod->process->wall_off += fault.which % 2 == 0 ? fault.lasts * 100 : -fault.lasts;
      break;
    case FaultKind::kRemakeHeartbeats:
      if (cloud_.kafka.DeleteTopic(job_.HeartbeatsTopic()) == sim::Error::kNone)
        (void)cloud_.kafka.CreateTopic(job_.HeartbeatsTopic(), 1, {{"cleanup.policy", "delete"}});
      break;
    case FaultKind::kAddInput:
      if (fault.which % 3 == 0) {
        job_.workers.run_loops = 3 - job_.workers.run_loops;
      } else if (job_.inputs.size() == 1) {
        (void)cloud_.kafka.CreateTopic("in2", tasks_, {});
        job_.inputs.push_back(job_.inputs.front());
        job_.inputs.back().topic = "in2";
      } else {
        break;
      }
      for (const Pod& one : pods_) {  // rolled, one after the other
        if (fault.which % 2 == 0)
          cloud_.network.coordinator_away_until[job_.TransactionalId(one.worker, 1)] =
              until + seconds(5);
        scheduler_.After(draw_.Millis(0, 5000), [this, one] { Terminate(one); });
      }
      break;
    case FaultKind::kLateTwin:
      LateTwin(fault.which);
      break;
    case FaultKind::kCorruptDisk:
      if (pod != nullptr) Corrupt(*pod, fault.which);
      break;
    case FaultKind::kCompactReplayed:
      CompactReplayed();
      break;
    case FaultKind::kLongFreeze:
      LongFreeze();
      break;
    case FaultKind::kMuteWorker:
      if (pod != nullptr) cloud_.network.muted_until[pod->process] = until;
      break;
    case FaultKind::kPowerCut:
      PowerCut(fault.lasts);
      break;
    case FaultKind::kBadEdit:
      BadEdit(fault.which, fault.lasts);
      break;
    case FaultKind::kThrottleOperator:
      if (op != nullptr) cloud_.network.throttled_until[op->process] = until;
      break;
    case FaultKind::kRivalInstallation:
      if (operators_.size() < 3 && folded_.claim) StartOperator(kRivalInstallation, true);
      break;
    case FaultKind::kUnheardTwin:
      if (pod != nullptr && pods_.size() < 6) UnheardTwin(pod->worker, fault.lasts);
      break;
    case FaultKind::kStrangeHeartbeat:
      if (pod != nullptr) StrangeHeartbeat(pod->worker, fault.which);
      break;
    case FaultKind::kStrangeRecord:
      StrangeRecord(fault.which);
      break;
    case FaultKind::kRetire:
      Retire(fault.which);
      break;
    case FaultKind::kLoseEnds:
    case FaultKind::kLoseRecords:
      LoseRecords(fault.kind == FaultKind::kLoseRecords);
      break;
    case FaultKind::kRemakeInput:
      may_refuse_ = true;
      oracle_->Forgive();
      (void)cloud_.kafka.DeleteTopic("in");
      (void)cloud_.kafka.CreateTopic("in", tasks_, {});
      break;
    case FaultKind::kDeleteChangelog:
      may_refuse_ = true;
      (void)cloud_.kafka.DeleteTopic(job_.ChangelogTopic(job_.stores.front().name));
      break;
    case FaultKind::kDeleteCoordinatorTopic:
      may_refuse_ = true;
      (void)cloud_.kafka.DeleteTopic(job_.CoordinatorTopic());
      ForgetCoordinatorTopic();
      break;
    case FaultKind::kRemakeCoordinatorTopic:
      may_refuse_ = true;
      (void)cloud_.kafka.DeleteTopic(job_.CoordinatorTopic());
      (void)cloud_.kafka.CreateTopic(job_.CoordinatorTopic(), 1, {{"cleanup.policy", "compact"}});
      ForgetCoordinatorTopic();
      break;
    case FaultKind::kNewLife:
      NewLife(fault.lasts);
      break;
    case FaultKind::kRestartStorm:
      if (pod != nullptr && pods_.size() < 6) RestartStorm(pod->worker, fault.which);
      break;
    case FaultKind::kLateMarkers:
      LateMarkers(fault.which);
      break;
    case FaultKind::kCutWrite:
      CutWrite(fault.which, fault.lasts);
      break;
    case FaultKind::kHungTask:
      if (pod != nullptr) HungTask(pod->process, fault.which);
      break;
    case FaultKind::kLateInput:
      LateInput(fault.lasts);
      break;
    case FaultKind::kHalfTwin:
      HalfTwin(fault.which);
      break;
    case FaultKind::kSpoilRecord:
      SpoilRecord(fault.which);
      break;
    case FaultKind::kMany:
      break;
  }
}

}  // namespace coho::simulation
