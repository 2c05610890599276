// Whom the job shares Kafka with, and faults of several steps that the coordinating side has to
// stand: each step alone is common, and chance puts them together too rarely.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/contract/problem_reason.h"
#include "common/model/heartbeat.h"
#include "tests/simulation/shipped/world.h"

namespace coho::simulation {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A release that says more than this one knows.
void AsAnotherRelease(std::string* value) {
  json object = json::parse(*value, nullptr, false);
  if (!object.is_object()) return;
  object["ofAnotherRelease"] = {{"list", {1, "two", nullptr}}, {"flag", true}};
  *value = object.dump();
}

}  // namespace

// Dice of its own: what is added here leaves the rest of a seed as it was.
void World::DrawCompany() {
  sim::Dice draw(options_.seed * 7 + 5);
  cloud_.kafka.on_decided = [this](const std::string& id, bool commit,
                                   const std::set<TopicPartition>& partitions) {
    OnDecided(id, commit, partitions);
  };
  cloud_.kafka.on_handed_over = [this](const TopicPartition& at) { OnHandedOver(at); };
  if (!has_company_) return;
  late_right_ = draw.Percent(20);
  later_workers_ = draw.Percent(15);
  later_coordinator_ = draw.Percent(15);
  keep_doubles_ = draw.Percent(50);
  if (draw.Percent(25))
    neighbour_ = std::make_unique<Neighbour>(&cloud_, options_.seed * 3 + 1, standalone_,
                                             [this](const std::string& what) { Violate(what); });
  cloud_.kafka.rewrite = [this](const std::string& topic, std::string* value) {
    if (later_workers_ && topic == job_.HeartbeatsTopic()) AsAnotherRelease(value);
    if (later_coordinator_ && topic == job_.CoordinatorTopic()) AsAnotherRelease(value);
  };
}

// At most one owner that can commit: whoever commits for a task is not somebody else than whom the
// coordinator topic gives it to.
void World::OnDecided(const std::string& transactional_id, bool commit,
                      const std::set<TopicPartition>& partitions) {
  const std::string begin = job_.kafka.topic_prefix + "-worker-";
  if (commit && cut_write_ && cut_write_->begun && transactional_id.starts_with(kOwnOperator))
    CutWriter();
  if (!commit || !transactional_id.starts_with(begin)) return;
  // When its next heartbeat has told of it.
  if (ends_at_proof_ != nullptr && sim::Scheduler::CurrentProcess() == ends_at_proof_)
    scheduler_.After(seconds(1), [this, process = ends_at_proof_] { scheduler_.Kill(process); });
  const WorkerId by(std::atoi(transactional_id.c_str() + begin.size()));
  for (const TopicPartition& at : partitions) CheckOwner(by, at, " committed for task ");
}

void World::CheckCompany() {
  for (const Operator& one : operators_) {
    if (one.transactional_id != kRivalInstallation) continue;
    // Where the coordinator topic is lost, too, as long as there is state that it was about.
    const bool asked = job_.state.on_leftover == OnLeftover::kAdopt;
    if (one.view->prepared && !asked && (!may_refuse_ || StateIsLeft()))
      return Violate("another installation coordinates the job without being asked to");
    if (!one.view->problem || may_refuse_) continue;
    const JobProblem& problem = *one.view->problem;
    if (MeaningOf(problem.reason).kafka_away) continue;
    const bool refused = problem.reason == ProblemReason::kClaimedByAnother ||
                         problem.reason == ProblemReason::kLeftoverTopics;
    if (!refused || problem.message.find("installation \"") == std::string::npos)
      return Violate("another installation is not told whose the job is, but " + problem.message);
  }
  std::map<WorkerId, std::vector<std::string>> before;
  before.swap(replaced_);
  for (const auto& [worker, assignment] : folded_.assignment.workers) {
    const std::vector<std::string>& was = before[worker];
    if (std::find(was.begin(), was.end(), assignment.incarnation) != was.end())
      return Violate("worker " + ToString(worker) +
                     ": a process that was replaced speaks for it again, and its successor ends");
    replaced_[worker] = assignment.replaced;
  }
}

void World::PowerCut(Duration lasts) {
  const MonotonicTime back = scheduler_.now() + lasts;
  for (const Pod& pod : pods_) scheduler_.Kill(pod.process);
  for (int32_t i = 0; i < job_.workers.count; ++i)
    restart_at_[WorkerId(i)] = back + draw_.Millis(0, 1500);
}

Job World::JobAsEdited() const {
  Job job = job_;
  if (!bad_edit_) return job;
  job.inputs.push_back(job.inputs.front());
  job.inputs.back().topic = *bad_edit_ % 2 == 0 ? "nowhere" : "uneven";
  return job;
}

// The spec names an input that is not there, or one with too many partitions; it is mended later,
// or not at all.
void World::BadEdit(int64_t which, Duration lasts) {
  if (bad_edit_ || standalone_) return;
  (void)cloud_.kafka.CreateTopic("uneven", tasks_ + 1, {});
  bad_edit_ = which;
  // Nothing happens that the former plan could get lost by: then the job goes on by it.
  static const std::set<FaultKind> kHarmless = {
      FaultKind::kBadEdit,    FaultKind::kKillWorker,   FaultKind::kStopWorker,
      FaultKind::kWipeDisk,   FaultKind::kFreezeWorker, FaultKind::kDoubleWorker,
      FaultKind::kMuteWorker, FaultKind::kScale,        FaultKind::kPowerCut};
  bad_edit_may_stay_ = folded_.assignment.generation > Generation() &&
                       std::all_of(faults_.begin(), faults_.end(), [](const Fault& fault) {
                         return kHarmless.contains(fault.kind);
                       });
  if (!bad_edit_may_stay_ || which % 4 > 1) scheduler_.After(lasts, [this] { MendBadEdit(); });
}

void World::MendBadEdit() { bad_edit_.reset(); }

// A process takes over that nobody hears of, and stands still while a task is to move away; the
// first one, which has not noticed, is stopped.
void World::UnheardTwin(WorkerId worker, Duration lasts) {
  const auto first = std::find_if(pods_.begin(), pods_.end(), [&](const Pod& pod) {
    return pod.worker == worker && !pod.process->ended;
  });
  if (first == pods_.end()) return;
  const Pod before = *first;
  StartWorker(worker, NewDisk());
  sim::Process* twin = pods_.back().process;
  const Duration unheard = std::min<Duration>(lasts, seconds(8)) + seconds(4);
  cloud_.network.muted_until[twin] = scheduler_.now() + unheard;
  const Duration moves = draw_.Millis(100, 1500);
  scheduler_.After(moves, [this, worker] {
    if (calm_) return;
    if (worker.value() == job_.workers.count - 1 && job_.workers.count > 1) {
      --job_.workers.count;
    } else if (job_.workers.count < std::min(tasks_, 3)) {
      ++job_.workers.count;
    }
  });
  scheduler_.After(moves + draw_.Millis(0, 700), [this, twin] { scheduler_.Freeze(twin); });
  scheduler_.After(moves + draw_.Millis(0, 1500), [this, before] { Terminate(before); });
  scheduler_.After(unheard, [this, twin] { scheduler_.Thaw(twin, false); });
}

void World::StrangeHeartbeat(WorkerId worker, int64_t which) {
  WorkerReport report{.node = "nowhere"};
  report.transactional_ids = {job_.TransactionalId(worker, 0),
                              neighbour_ == nullptr
                                  ? std::string("payments")
                                  : neighbour_->job().TransactionalId(WorkerId(0), 0)};
  const Heartbeat beat{.worker = worker,
                       .incarnation = "stranger-" + std::to_string(which),
                       .sequence = 1,
                       .phase = WorkerPhase::kRunning,
                       .life = folded_.assignment.life,
                       .acknowledged = folded_.assignment.generation,
                       .report = report};
  sim::KafkaRecord record;
  record.key = ToString(worker);
  record.value = EncodeHeartbeat(beat).value;
  int64_t offset = 0;
  (void)cloud_.kafka.Produce({job_.HeartbeatsTopic(), 0}, {}, {}, {std::move(record)}, &offset);
}

// What lies on a disk that no worker has. Harmless; but nobody here wrote it.
void World::StrangeRecord(int64_t which) {
  WorkerCopies copies{.disk_id = "by-hand-" + std::to_string(which), .node = "nowhere"};
  const TopicRecord written = EncodeCopies(WorkerId(7), copies);
  sim::KafkaRecord record;
  record.key = written.key;
  record.value = written.value;
  int64_t offset = 0;
  (void)cloud_.kafka.Produce({job_.CoordinatorTopic(), 0}, {}, {}, {std::move(record)}, &offset);
}

// What the job wrote before its coordinator topic was lost is still there.
bool World::StateIsLeft() const {
  return std::any_of(left_.begin(), left_.end(), [this](const std::string& topic) {
    return cloud_.kafka.topics().contains(topic);
  });
}

void World::ForgetCoordinatorTopic() {
  for (const auto& [name, topic] : cloud_.kafka.topics()) {
    if (name.starts_with(job_.kafka.topic_prefix) &&
        (name.ends_with("-changelog") || name.ends_with("-positions")))
      left_.insert(name);
  }
  folded_ = {};
  folded_to_ = 0;
  replaced_.clear();
}

// The coordinator topic is lost, and its job taken over without it while workers go on by what it
// said: some of them stand still and hear of it only when the new one is as long as the old one
// was.
void World::NewLife(Duration lasts) {
  if (standalone_) return;
  may_refuse_ = true;
  for (const Pod& pod : pods_) {
    if (!draw_.Percent(60) || pod.process->frozen || pod.process->ended) continue;
    scheduler_.Freeze(pod.process);
    scheduler_.After(lasts + draw_.Millis(5000, 20'000),
                     [this, process = pod.process] { scheduler_.Thaw(process, false); });
  }
  (void)cloud_.kafka.DeleteTopic(job_.CoordinatorTopic());
  ForgetCoordinatorTopic();
  job_.state.on_leftover = OnLeftover::kAdopt;
  for (const Operator& one : operators_) scheduler_.Kill(one.process);
  const int32_t workers = job_.workers.count;
  for (int i = 1; i <= 8; ++i) {
    scheduler_.After(seconds(3 * i), [this, i, workers] {
      if (!calm_) job_.workers.count = i % 2 == 0 ? workers : 1 + workers % std::min(tasks_, 3);
    });
  }
  faults_last_ = std::max(faults_last_, scheduler_.now() - begin_ + lasts + seconds(30));
}

// A process stands still, and others take its place one after the other, each for a moment, some
// beside each other; the coordinator may restart with each of them. Then the first one goes on.
void World::RestartStorm(WorkerId worker, int64_t which) {
  const auto first = std::find_if(pods_.begin(), pods_.end(), [&](const Pod& pod) {
    return pod.worker == worker && !pod.process->ended && !pod.process->frozen;
  });
  if (first == pods_.end()) return;
  sim::Process* twin = first->process;
  scheduler_.Freeze(twin);
  disk_of_[worker] = NewDisk();
  const bool coordinators_too = which % 3 == 0;
  const bool overlaps = which % 5 == 0;
  Duration at{};
  for (int64_t left = 3 + which % 14; left > 0; --left) {
    at += draw_.Millis(50, 700);
    scheduler_.After(at, [=, this] {
      if (calm_) return;
      for (const Pod& pod : pods_) {
        const bool rests = overlaps && draw_.Percent(50) && pods_.size() < 6;
        if (pod.worker == worker && pod.process != twin && !rests) scheduler_.Kill(pod.process);
      }
      for (const Operator& one : operators_) {
        if (coordinators_too) scheduler_.Kill(one.process);
      }
      StartWorker(worker, disk_of_[worker]);
    });
  }
  scheduler_.After(at + draw_.Millis(50, 5000), [this, twin] { scheduler_.Thaw(twin, false); });
}

}  // namespace coho::simulation
