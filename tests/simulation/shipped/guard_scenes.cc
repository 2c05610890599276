// Faults that come at the one moment at which a guard of the protocol is needed.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "tests/simulation/shipped/world.h"

namespace coho::simulation {

using std::chrono::milliseconds;
using std::chrono::seconds;

// For a task's state: at most one owner.
void World::CheckOwner(WorkerId by, const TopicPartition& at, const char* did) {
  if (!at.topic.starts_with(job_.kafka.topic_prefix + "-") ||
      (!at.topic.ends_with("-changelog") && !at.topic.ends_with("-positions")))
    return;
  FoldCoordinatorTopic();
  for (const auto& [worker, assignment] : folded_.assignment.workers) {
    const std::vector<TaskId>& active = assignment.active;
    if (worker != by &&
        std::find(active.begin(), active.end(), TaskId(at.partition)) != active.end())
      Violate("worker " + ToString(by) + did + std::to_string(at.partition) +
              ", which generation " + ToString(folded_.assignment.generation) +
              " gives to worker " + ToString(worker));
  }
}

// Kafka refuses nothing of a producer without transactions.
void World::OnHandedOver(const TopicPartition& at) {
  const sim::Process* process = sim::Scheduler::CurrentProcess();
  const auto pod = std::find_if(pods_.begin(), pods_.end(),
                                [&](const Pod& one) { return one.process == process; });
  if (pod != pods_.end()) CheckOwner(pod->worker, at, " wrote for task ");
}

std::vector<sim::Process*> World::ProcessesOf(WorkerId worker) const {
  std::vector<sim::Process*> processes;
  for (const Pod& pod : pods_) {
    if (pod.worker == worker && !pod.process->ended) processes.push_back(pod.process);
  }
  return processes;
}

// A worker grows silent, and is not needed any more; what takes its tasks away is committed, but to
// be read only later. It comes back when it was fenced, and before.
void World::LateMarkers(int64_t which) {
  const WorkerId worker(job_.workers.count - 1);
  const std::vector<sim::Process*> frozen = ProcessesOf(worker);
  if (worker.value() < 1 || frozen.empty() || scheduler_.now() < scene_until_) return;
  const Duration silent = job_.failover.session_timeout + draw_.Millis(2500, 4000);
  scene_until_ = scheduler_.now() + silent + seconds(10);
  for (sim::Process* process : frozen) scheduler_.Freeze(process);
  scheduler_.After(silent, [=, this] {
    if (calm_ || job_.workers.count != worker.value() + 1) return;
    --job_.workers.count;
    spared_.insert(worker);
    cloud_.kafka.weather.marker_late[job_.CoordinatorTopic()] = draw_.Millis(1000, 4000);
    cloud_.kafka.on_initialised = [=, this, left = job_.workers.run_loops]() mutable {
      const auto* by = sim::Scheduler::CurrentProcess();
      if (calm_ || by == nullptr || ProcessesOf(worker) != frozen ||
          std::find(frozen.begin(), frozen.end(), by) != frozen.end() || --left != 0)
        return;
      scheduler_.After(draw_.Millis(1, 300),
                       [=, this] { ComeBackMeanwhile(worker, which, frozen); });
    };
    scheduler_.After(seconds(8), [this, worker] {
      cloud_.kafka.weather.marker_late.clear();
      spared_.erase(worker);
    });
  });
}

// As the process that it was, or another one. It stands still once more with what it could begin.
void World::ComeBackMeanwhile(WorkerId worker, int64_t which,
                              const std::vector<sim::Process*>& frozen) {
  cloud_.kafka.weather.marker_late.clear();
  if (calm_) return;
  if (which % 2 == 0) {
    for (sim::Process* process : frozen) scheduler_.Thaw(process, false);
  } else {
    for (sim::Process* process : frozen) scheduler_.Kill(process);
    StartWorker(worker, disk_of_[worker]);
  }
  cloud_.kafka.on_initialised = [=, this, left = job_.workers.run_loops]() mutable {
    sim::Process* back = sim::Scheduler::CurrentProcess();
    const std::vector<sim::Process*> all = ProcessesOf(worker);
    if (calm_ || std::find(all.begin(), all.end(), back) == all.end() || --left != 0) return;
    scheduler_.After(draw_.Millis(30, 900), [this, back] {
      if (calm_) return;
      scheduler_.Freeze(back);
      scheduler_.After(draw_.Millis(3000, 6000), [this, back] { scheduler_.Thaw(back, false); });
    });
  };
}

// A generation is under way when its writer is cut off: just before it is decided, or just after.
// Meanwhile what it was made for may be taken back.
void World::CutWrite(int64_t which, Duration lasts) {
  const int32_t most = std::min(tasks_, 3);
  if (standalone_ || cut_write_ || most < 2 || scheduler_.now() < scene_until_) return;
  scene_until_ = scheduler_.now() + seconds(25);
  const int32_t workers = job_.workers.count;
  cut_write_ = {.decided = which % 2 == 0,
                .back = which % 4 < 2,
                .workers = workers,
                .lasts = seconds(10) + std::min<Duration>(lasts, seconds(12))};
  job_.workers.count = workers < most ? workers + 1 : workers - 1;
  cloud_.kafka.on_produced = [this](const std::string& id, const TopicPartition& at,
                                    const sim::KafkaRecord& record) {
    if (!cut_write_ || !id.starts_with(kOwnOperator) || at.topic != job_.CoordinatorTopic() ||
        record.key != "assignment")
      return;
    cut_write_->begun = true;
    if (!cut_write_->decided) CutWriter();
  };
  scheduler_.At(scene_until_, [this] { cut_write_.reset(); });
}

void World::CutWriter() {
  const WriteToCut cut = *std::exchange(cut_write_, std::nullopt);
  if (calm_) return;
  for (const Operator& one : operators_)
    cloud_.network.cut_until[one.process] = scheduler_.now() + cut.lasts;
  if (!cut.back) return;
  scheduler_.After(draw_.Millis(0, 8000), [this, cut] {
    if (!calm_) job_.workers.count = cut.workers;
  });
}

// Nobody hears of a worker until its tasks are somebody else's; its user code, which stood still
// all along, goes on only when it is heard again.
void World::HungTask(sim::Process* process, int64_t which) {
  if (scheduler_.now() < scene_until_) return;
  const Duration unheard = job_.failover.session_timeout + job_.failover.homecoming_timeout +
                           seconds(2) + milliseconds(which % 4000);
  const MonotonicTime heard = scheduler_.now() + unheard;
  cloud_.network.muted_until[process] = heard;
  cloud_.stands_until[process] = heard + draw_.Millis(100, 3000);
  scene_until_ = cloud_.stands_until[process];
}

// Everybody is told of an input, and only then is it made.
void World::LateInput(Duration lasts) {
  if (job_.inputs.size() > 1 || standalone_) return;
  job_.inputs.push_back(job_.inputs.front());
  job_.inputs.back().topic = "in2";
  for (const Pod& one : pods_)  // rolled, one after the other
    scheduler_.After(draw_.Millis(0, 5000), [this, one] { Terminate(one); });
  scheduler_.After(lasts, [this] { (void)cloud_.kafka.CreateTopic("in2", tasks_, {}); });
}

void World::When(const std::function<bool()>& is, const std::function<void()>& then, int looks) {
  if (calm_) return;
  if (is() || looks == 0) return then();
  scheduler_.After(milliseconds(20), [=, this] { When(is, then, looks - 1); });
}

// Of a worker with two loops an older process still has one id, a newer one initialised the other
// one later. Its tasks are taken away; the newer one proves what it can, and is gone; the older one
// stood still, and goes on when they are somebody else's.
void World::HalfTwin(int64_t which) {
  const WorkerId worker(job_.workers.count - 1);
  const std::vector<sim::Process*> before = ProcessesOf(worker);
  if (worker.value() < 1 || before.size() != 1 || job_.workers.run_loops != 2 || standalone_ ||
      neighbour_ != nullptr || scheduler_.now() < scene_until_)
    return;
  scene_until_ = scheduler_.now() + seconds(20);
  StartWorker(worker, NewDisk());
  sim::Process* twin = pods_.back().process;
  cloud_.network.muted_until[twin] = scheduler_.now() + std::chrono::hours(1);
  const auto taken = std::make_shared<std::string>();  // by the newer one, and back again
  cloud_.kafka.on_taken = [=, this](const std::string& id) {
    if (calm_ || sim::Scheduler::CurrentProcess() != twin || !taken->empty()) return;
    *taken = id;
    scheduler_.Freeze(twin);
  };
  const auto tasks_of = [this](bool all, WorkerId of) {
    FoldCoordinatorTopic();
    size_t tasks = 0;
    for (const auto& [one, assignment] : folded_.assignment.workers)
      if (all || one == of) tasks += assignment.active.size();
    return tasks;
  };
  // Until then the older one has noticed, and taken back what it needs.
  scheduler_.After(draw_.Millis(1500, 4000), [=, this] {
    if (calm_ || job_.workers.count != worker.value() + 1 || before.front()->ended) return;
    scheduler_.Freeze(before.front());
    --job_.workers.count;
    spared_.insert(worker);
    scheduler_.After(seconds(12), [this, worker] { spared_.erase(worker); });
    When([=] { return tasks_of(false, worker) == 0; },
         [=, this] {
           cloud_.network.muted_until.erase(twin);
           cloud_.network.coordinator_away_until[*taken] = scheduler_.now() + seconds(3);
           ends_at_proof_ = twin;
           scheduler_.Thaw(twin, false);
           When([=, this] { return tasks_of(true, worker) == static_cast<size_t>(tasks_); },
                [=, this] {
                  scheduler_.After(milliseconds(which % 300),
                                   [=, this] { scheduler_.Thaw(before.front(), false); });
                });
         });
  });
}

}  // namespace coho::simulation
