// Faults that take several steps: each of them alone is common, and chance puts them together too
// rarely.
#include <algorithm>

#include "tests/simulation/shipped/world.h"

namespace coho::simulation {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string World::NewDisk() { return "disk" + std::to_string(100 + ++disks_made_); }

// A process is frozen while it starts, when it has initialised its producers, or some of them, and
// was not heard yet. A second one takes over, and is frozen in its turn when its tasks are to move
// away; then the first one goes on.
void World::LateTwin(int64_t which) {
  const WorkerId worker(job_.workers.count - 1);
  if (worker.value() < 1 || pods_.size() > 5) return;
  StartWorker(worker, NewDisk());
  sim::Process* twin = pods_.back().process;
  cloud_.network.muted_until[twin] = scheduler_.now() + std::chrono::hours(1);
  cloud_.kafka.on_initialised = [=, this, left = 1 + which % job_.workers.run_loops]() mutable {
    if (!calm_ && sim::Scheduler::CurrentProcess() == twin && --left == 0) scheduler_.Freeze(twin);
  };
  scheduler_.After(draw_.Millis(40, 1500), [=, this] {
    if (calm_) return;
    for (const Pod& pod : pods_) {
      if (pod.worker == worker && pod.process != twin) scheduler_.Kill(pod.process);
    }
    disk_of_[worker] = NewDisk();
    StartWorker(worker, disk_of_[worker]);
    scheduler_.After(draw_.Millis(2000, 8000), [=, this, successor = pods_.back().process] {
      if (calm_) return;
      scheduler_.Freeze(successor);
      if (worker.value() == job_.workers.count - 1) --job_.workers.count;
      const Duration thaw = draw_.Millis(20, 2500);
      scheduler_.After(thaw, [=, this] {
        cloud_.network.muted_until.erase(twin);
        scheduler_.Thaw(twin, false);
      });
      if (which % 3 == 0)
        scheduler_.After(thaw + draw_.Millis(5, 150), [=, this] { scheduler_.Kill(twin); });
      scheduler_.After(thaw + draw_.Millis(100, 2500),
                       [=, this] { scheduler_.Thaw(successor, false); });
    });
  });
}

// A worker is suspended, its tasks go elsewhere for good, and what said so is compacted away before
// it goes on.
void World::LongFreeze() {
  const WorkerId worker(job_.workers.count - 1);
  if (worker.value() < 1) return;
  --job_.workers.count;
  spared_.insert(worker);
  std::vector<sim::Process*> frozen;
  for (const Pod& pod : pods_) {
    if (pod.worker == worker && !pod.process->ended) frozen.push_back(pod.process);
  }
  for (sim::Process* process : frozen) scheduler_.Freeze(process);
  scheduler_.After(draw_.Millis(4000, 25'000), [this, frozen, worker] {
    spared_.erase(worker);
    if (!calm_) {
      scheduler_.SkipWallTime(std::chrono::hours(24 * 9));
      Compact(false);
    }
    for (sim::Process* process : frozen) scheduler_.Thaw(process, false);
  });
}

// Kafka loses what it acknowledged, while the only worker is at rest: the end of the topics in
// which its state lies, or all of their records.
void World::LoseRecords(bool all) {
  if (job_.workers.count != 1 || pods_.size() != 1 || pods_.front().process->ended) return;
  may_refuse_ = true;
  kubelet_waits_ = true;
  Terminate(pods_.front());
  scheduler_.After(kGracePeriod + seconds(1), [this, all, process = pods_.front().process] {
    kubelet_waits_ = false;
    if (calm_ || process->exit_code != 0) return;
    no_more_faults_ = true;
    for (const auto& [name, topic] : cloud_.kafka.topics()) {
      if (!name.ends_with("-changelog") && !name.ends_with("-positions")) continue;
      for (int32_t p = 0; p < static_cast<int32_t>(topic->partitions.size()); ++p) {
        if (all) {
          cloud_.kafka.DeleteRecords({name, p}, topic->partitions[static_cast<size_t>(p)].end);
        } else {
          cloud_.kafka.LoseEnd({name, p}, draw_.Between(2, 12));
        }
      }
    }
  });
}

// What a worker was told last cannot be read any more; what it was told before can.
void World::SpoilRecord(int64_t which) {
  sim::KafkaPartition* topic = cloud_.kafka.Find({job_.CoordinatorTopic(), 0});
  if (topic == nullptr) return;
  may_refuse_ = true;
  const std::string key = "worker/" + std::to_string(which % job_.workers.count);
  for (size_t i = topic->log.size(); i-- > 0;) {
    sim::KafkaRecord& record = topic->log[i];
    if (record.key != key || record.state != sim::KafkaRecord::State::kCommitted) continue;
    record.value = "spoiled";
    return;
  }
}

// Retention is faster than the job.
void World::Retire(int64_t which) {
  oracle_->Forgive();
  for (int32_t p = 0; p < tasks_; ++p) {
    const sim::KafkaPartition* in = cloud_.kafka.Find({"in", p});
    if (in != nullptr) cloud_.kafka.DeleteRecords({"in", p}, in->end - which % 4);
  }
}

// The disk's next reader finds that its marker or its data cannot be read.
void World::Corrupt(const Pod& pod, int64_t which) {
  scheduler_.Kill(pod.process);
  const auto disk = cloud_.disks.find(pod.disk);
  if (disk == cloud_.disks.end()) return;
  for (auto& [name, files] : disk->second->stores) {
    // What is found out only while it is written has to come from a changelog again.
    const auto store = std::find_if(job_.stores.begin(), job_.stores.end(),
                                    [&](const StoreSpec& s) { return s.name == name.first; });
    files.corrupt = which % 2 == 0 || !store->changelog ? sim::StoreFiles::Corrupt::kMarker
                                                        : sim::StoreFiles::Corrupt::kWhenWritten;
  }
}

// The cleaner comes by while stores are replayed.
void World::CompactReplayed() {
  for (const Pod& one : pods_) scheduler_.Kill(one.process);
  LookForReplays(10'000);
}

void World::LookForReplays(int looks) {
  for (const auto& [name, topic] : cloud_.kafka.topics()) {
    if (!name.ends_with("-changelog")) continue;
    for (const sim::KafkaPartition& partition : topic->partitions) {
      if (!partition.watchers.empty()) return Compact(true);
    }
  }
  if (looks > 0) scheduler_.After(milliseconds(1), [this, looks] { LookForReplays(looks - 1); });
}

void World::Compact(bool raise_begin) {
  for (const auto& [name, topic] : cloud_.kafka.topics()) {
    const auto policy = topic->config.find("cleanup.policy");
    if (policy == topic->config.end() || policy->second != "compact") continue;
    for (int32_t p = 0; p < static_cast<int32_t>(topic->partitions.size()); ++p) {
      cloud_.kafka.Compact({name, p});
      const sim::KafkaPartition& at = topic->partitions[static_cast<size_t>(p)];
      if (raise_begin && !at.log.empty())
        cloud_.kafka.DeleteRecords({name, p}, at.log.front().offset);
    }
  }
}

void World::Terminate(const Pod& pod) {
  pod.control->terminate = true;
  scheduler_.Notify(pod.control.get(), true);
  scheduler_.After(kGracePeriod, [this, process = pod.process] { scheduler_.Kill(process); });
}

}  // namespace coho::simulation
