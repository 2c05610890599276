#include "tests/simulation/shipped/world.h"

#include <algorithm>
#include <utility>

#include "common/base/mutant.h"

namespace coho::simulation {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr int64_t kKeysPerTask = 3;
// Beyond the homecoming time-out: restarts, sessions, restores, and transactions of the dead that
// Kafka has to time out first.
constexpr Duration kLiveness = seconds(150);

}  // namespace

World::World(const WorldOptions& options)
    : options_(options),
      draw_(options.seed),
      cloud_(options.seed + 77),
      scheduler_(cloud_.scheduler),
      begin_(cloud_.scheduler.now()) {
  cloud_.tell = options.tell;
  DrawJob();
  DrawFaults();
  DrawCompany();
  oracle_ = std::make_unique<Oracle>(job_.processing.guarantee, job_.inputs.front().start_from,
                                     job_.stores.front().changelog);
}

void World::DrawJob() {
  tasks_ = static_cast<int32_t>(draw_.Between(1, 4));
  job_.id = {.ns = "sim", .name = "job"};
  job_.task.name = "count";
  job_.kafka.bootstrap_servers = "kafka:9092";
  job_.kafka.topic_prefix = "coho-sim.job";
  job_.inputs.push_back({.topic = "in", .key = SerdeType::kString, .value = SerdeType::kString});
  if (draw_.Percent(15)) job_.inputs.front().start_from = StartFrom::kLatest;
  job_.outputs.push_back(
      {.topic = "out", .key = SerdeType::kString, .value = SerdeType::kString, .partitions = 2});
  const int64_t stores = draw_.Percent(70) ? 1 : 2;
  for (int64_t i = 0; i < stores; ++i)
    job_.stores.push_back({.name = "counts" + std::to_string(i),
                           .key = SerdeType::kString,
                           .value = SerdeType::kInt64});
  job_.workers.count = static_cast<int32_t>(draw_.Between(1, std::min(tasks_, 3)));
  job_.workers.run_loops = draw_.Percent(30) ? 2 : 1;
  job_.processing.guarantee = draw_.Percent(25) ? Guarantee::kAtLeastOnce : Guarantee::kExactlyOnce;
  job_.processing.commit_interval = milliseconds(draw_.Between(1, 10) * 100);
  job_.storage.flush_interval = seconds(draw_.Between(1, 12));
  job_.failover.session_timeout = seconds(draw_.Between(3, 6));
  job_.failover.homecoming_timeout = seconds(draw_.Percent(20) ? 0 : draw_.Between(2, 20));
  DrawStores();
  standalone_ = draw_.Percent(25);
  tells_pod_facts_ = draw_.Percent(40);
  quiet_feed_ = draw_.Percent(40);
  (void)cloud_.kafka.CreateTopic("in", tasks_, {});
  sim::Kafka::Weather& weather = cloud_.kafka.weather;
  weather.marker_delay_min = std::chrono::microseconds(200);
  weather.marker_delay_max = draw_.Percent(50) ? milliseconds(3) : draw_.Millis(20, 1500);
  sim::Network& network = cloud_.network;
  network.latency_max_us = draw_.Percent(70) ? 4000 : draw_.Between(10'000, 200'000);
  if (draw_.Percent(40)) network.lost_before_per_mille = draw_.Between(1, 60);
  if (draw_.Percent(40)) network.lost_after_per_mille = draw_.Between(1, 60);
  if (draw_.Percent(30)) network.slow_fetch_percent = draw_.Between(5, 60);
  if (draw_.Percent(30)) network.late_percent = draw_.Between(2, 30);
  if (draw_.Percent(30)) network.doubled_percent = draw_.Between(2, 20);
  network.late_max_ms = draw_.Between(200, 9000);
}

// Dice of its own: what is added here leaves the rest of a seed as it was.
void World::DrawStores() {
  sim::Dice draw(options_.seed + 991);
  if (job_.stores.size() > 1) {
    job_.stores.back().changelog = !draw.Percent(25);
  } else if (draw.Percent(8)) {
    job_.stores.back().changelog = false;
  }
  if (draw.Percent(10)) user_.takes = std::chrono::microseconds(draw.Between(100, 30'000));
  if (draw.Percent(10)) user_.hangs = draw.Millis(500, 9000);
  for (const StoreSpec& store : job_.stores) user_.kept.push_back(store.changelog);
  user_.strict = job_.processing.guarantee == Guarantee::kExactlyOnce;
}

void World::Violate(const std::string& what) {
  if (violation_.empty()) violation_ = what;
  scheduler_.Stop();
}

void World::FeedOne(const std::string& topic, int32_t partition, int64_t key) {
  const std::string name =
      (topic == "in" ? "k" : "x") + std::to_string(partition) + "-" + std::to_string(key);
  sim::KafkaPartition* in = cloud_.kafka.Find({topic, partition});
  if (in == nullptr || in->away_until > scheduler_.now()) return;
  oracle_->Fed(name);
  sim::KafkaRecord record;
  record.key = name;
  record.value = std::to_string(oracle_->fed(name));
  int64_t offset = 0;
  (void)cloud_.kafka.Produce({topic, partition}, {}, {}, {std::move(record)}, &offset);
}

void World::Feed() {
  if (feeding_) {
    const int32_t partition = static_cast<int32_t>(draw_.Between(0, tasks_ - 1));
    // A quiet partition has a record now and then.
    if (!quiet_feed_ || partition != 0 || draw_.Percent(4))
      FeedOne(job_.inputs[static_cast<size_t>(draw_.Next() % job_.inputs.size())].topic, partition,
              draw_.Between(0, kKeysPerTask - 1));
  }
  scheduler_.After(draw_.Millis(20, 400), [this] { Feed(); });
}

bool World::SomebodyRuns(WorkerId worker) const {
  return std::any_of(pods_.begin(), pods_.end(),
                     [&](const Pod& pod) { return pod.worker == worker && !pod.process->ended; });
}

// Starts what should run, ends what should not.
void World::Kubelet() {
  const MonotonicTime now = scheduler_.now();
  for (int32_t i = 0; i < job_.workers.count; ++i) {
    const WorkerId worker(i);
    if (SomebodyRuns(worker)) {
      restart_at_.erase(worker);
      continue;
    }
    const auto [at, is_new] = restart_at_.try_emplace(worker);
    if (is_new)
      at->second = now + (calm_ ? draw_.Millis(100, 1000)
                                : draw_.Millis(100, draw_.Percent(30) ? 20'000 : 3000));
    if (now < at->second || kubelet_waits_) continue;
    if (disk_of_[worker].empty()) disk_of_[worker] = "disk" + ToString(worker);
    StartWorker(worker, disk_of_[worker]);
  }
  for (Pod& pod : pods_) {
    if (pod.process->ended || pod.worker.value() < job_.workers.count ||
        !removable_.contains(pod.worker) || spared_.contains(pod.worker))
      continue;
    cloud_.Trace("remove " + pod.process->name);
    removable_.erase(pod.worker);
    Terminate(pod);
  }
  if (!standalone_) {
    const bool runs = std::any_of(operators_.begin(), operators_.end(), [](const Operator& o) {
      return !o.process->ended && o.transactional_id == "coho-operator-sim";
    });
    if (!runs && operator_restart_at_ == MonotonicTime())
      operator_restart_at_ = now + draw_.Millis(50, calm_ ? 1000 : 6000);
    if (!runs && now >= operator_restart_at_) {
      StartOperator("coho-operator-sim", false);
      operator_restart_at_ = {};
    }
  }
  std::erase_if(pods_, [](const Pod& pod) { return pod.process->ended; });
  std::erase_if(operators_, [](const Operator& o) { return o.process->ended; });
  scheduler_.After(milliseconds(300), [this] { Kubelet(); });
}

void World::FoldCoordinatorTopic() {
  const TopicPartition topic{job_.CoordinatorTopic(), 0};
  const auto fetched = cloud_.kafka.Fetch(topic, folded_to_, true, static_cast<size_t>(-1));
  if (fetched.error == sim::Error::kOffsetOutOfRange && fetched.begin > folded_to_) {
    ForgetCoordinatorTopic();
    folded_to_ = fetched.begin;
    return FoldCoordinatorTopic();
  }
  if (fetched.error != sim::Error::kNone) return;
  folded_to_ = fetched.next;
  for (const sim::KafkaRecord* record : fetched.records) {
    ApplyCoordinatorRecord(
        {.key = record->key, .value = record->value, .tombstone = !record->has_value}, &folded_)
        .IgnoreError("the product says so itself");
  }
}

void World::WatchCoordinatorTopic() {
  FoldCoordinatorTopic();
  CheckCompany();
  std::map<TaskId, WorkerId> owners;
  for (const auto& [worker, assignment] : folded_.assignment.workers) {
    for (const TaskId task : assignment.active) owners[task] = worker;
  }
  if (owners == owners_) return;
  if (only_outages_ && owners_settled_) {
    for (const auto& [task, owner] : owners_) {
      if (owners.contains(task) && owners[task] != owner)
        return Violate("task " + ToString(task) + " moved from worker " + ToString(owner) +
                       " to worker " + ToString(owners[task]) +
                       ", and nothing but common outages had happened");
    }
    return;
  }
  owners_ = std::move(owners);
}

bool World::Balanced() const {
  std::map<WorkerId, int32_t> tasks;
  for (const auto& [task, owner] : owners_) ++tasks[owner];
  for (int32_t i = 0; i < job_.workers.count; ++i) {
    if (tasks[WorkerId(i)] < tasks_ / job_.workers.count) return false;
  }
  return static_cast<int32_t>(owners_.size()) == tasks_;
}

void World::Check() {
  if (std::string wrong = oracle_->Read(&cloud_.kafka, "out"); !wrong.empty())
    return Violate(wrong);
  WatchCoordinatorTopic();
  scheduler_.After(milliseconds(500), [this] { Check(); });
}

bool World::RunUntil(const std::function<bool()>& done, Duration most) {
  const MonotonicTime end = scheduler_.now() + most;
  while (violation_.empty() && !done() && scheduler_.now() < end)
    scheduler_.RunUntil(std::min(end, scheduler_.now() + milliseconds(500)));
  return violation_.empty() && done();
}

// Faults end. What went through them goes on; of two processes with one identity one is ended, as a
// person would.
void World::CalmDown() {
  cloud_.Trace("calm");
  calm_ = true;
  sim::Network& network = cloud_.network;
  network = {};
  for (const auto& [name, topic] : cloud_.kafka.topics()) {
    for (sim::KafkaPartition& partition : topic->partitions) partition.away_until = {};
  }
  kubelet_waits_ = false;
  if (!bad_edit_may_stay_) MendBadEdit();
  if (job_.inputs.size() > 1) (void)cloud_.kafka.CreateTopic("in2", tasks_, {});
  for (const auto& [path, disk] : cloud_.disks) disk->full = false;
  for (const auto& process : scheduler_.processes()) scheduler_.Thaw(process.get(), false);
  for (size_t i = 0; !keep_doubles_ && i < pods_.size(); ++i) {
    for (size_t j = i + 1; j < pods_.size(); ++j) {
      if (pods_[i].worker != pods_[j].worker || pods_[i].process->ended || pods_[j].process->ended)
        continue;
      scheduler_.Kill(pods_[draw_.Percent(50) ? i : j].process);
    }
  }
  for (const Operator& one : operators_) {
    if (one.rival && one.transactional_id != kRivalInstallation &&
        (one.transactional_id != kOwnOperator || standalone_))
      scheduler_.Kill(one.process);
  }
}

// Every task has its worker, no worker has too few, nothing changes any more: with the processes
// that went through the faults.
void World::AwaitRest() {
  constexpr Duration kUnchanged = seconds(12);
  const auto next_door = [this] { return neighbour_ == nullptr || neighbour_->Missing().empty(); };
  if (!RunUntil(next_door, kLiveness) && violation_.empty())
    Violate("next door: not at rest: " + neighbour_->Missing());
  if (may_refuse_) return;
  // Without an operator an edit is heard of at the next start alone.
  const auto placed = [this] {
    return standalone_ ? static_cast<int32_t>(owners_.size()) == tasks_ : Balanced();
  };
  Generation last = folded_.assignment.generation;
  MonotonicTime since = scheduler_.now();
  const auto rests = [&] {
    if (folded_.assignment.generation != std::exchange(last, folded_.assignment.generation))
      since = scheduler_.now();
    return placed() && scheduler_.now() - since >= kUnchanged;
  };
  if (!RunUntil(rests, kLiveness + job_.failover.homecoming_timeout) && violation_.empty())
    Violate("not at rest: generation " + ToString(last) + ", \"" + folded_.assignment.reason +
            (placed() ? "\", came after everything was done"
                      : "\", leaves tasks where they should not be"));
}

std::string World::Run() {
  scheduler_.At(begin_, [this] {
    Kubelet();
    Feed();
    Check();
    if (neighbour_ != nullptr) neighbour_->Start();
  });
  for (size_t i = 0; i < faults_.size(); ++i) {
    if (!options_.without.contains(i))
      scheduler_.At(begin_ + faults_[i].at, [this, i] { Apply(i); });
  }
  if (only_outages_) scheduler_.At(begin_ + seconds(19), [this] { owners_settled_ = Balanced(); });
  (void)RunUntil([this] { return scheduler_.now() - begin_ >= faults_last_; }, minutes(10));
  if (violation_.empty()) CalmDown();
  (void)RunUntil([] { return false; }, seconds(3));
  feeding_ = false;
  if (neighbour_ != nullptr) neighbour_->StopFeeding();
  const auto complete = [this] {
    if (std::string wrong = oracle_->Read(&cloud_.kafka, "out"); !wrong.empty()) Violate(wrong);
    return oracle_->Complete();
  };
  const Duration most =
      may_refuse_ ? Duration(seconds(30)) : kLiveness + job_.failover.homecoming_timeout;
  if (!RunUntil(complete, most) && violation_.empty() && !may_refuse_)
    Violate("not at rest: " + oracle_->Missing());
  AwaitRest();
  if (!violation_.empty() || may_refuse_) return violation_;

  // Everything once more from disk or changelog.
  cloud_.Trace("restart of all");
  owners_settled_ = false;
  for (Pod& pod : pods_) {
    if (pod.process->ended) continue;
    if (draw_.Percent(50)) {
      scheduler_.Kill(pod.process);
    } else {
      Terminate(pod);
    }
    if (draw_.Percent(50)) disk_of_[pod.worker] = NewDisk();
  }
  (void)RunUntil([] { return false; }, seconds(1));
  for (int32_t task = 0; task < tasks_; ++task) {
    for (int64_t key = 0; key < kKeysPerTask; ++key) FeedOne("in", task, key);
  }
  if (!RunUntil(complete, kLiveness + job_.failover.homecoming_timeout) && violation_.empty())
    Violate("not at rest after a restart: " + oracle_->Missing());
  return violation_;
}

}  // namespace coho::simulation
