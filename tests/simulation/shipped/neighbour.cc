#include "tests/simulation/shipped/neighbour.h"

#include <algorithm>
#include <utility>

namespace coho::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int32_t kWorkers = 2;
constexpr int64_t kKeys = 2;
const char* const kInput = "in-next-door";
const char* const kOutput = "out-next-door";

Job NextDoor() {
  Job job;
  job.id = {.ns = "sim", .name = "next-door"};
  job.task.name = "count";
  job.kafka.bootstrap_servers = "kafka:9092";
  job.kafka.topic_prefix = "coho-sim.next-door";
  job.inputs.push_back({.topic = kInput, .key = SerdeType::kString, .value = SerdeType::kString});
  job.outputs.push_back(
      {.topic = kOutput, .key = SerdeType::kString, .value = SerdeType::kString, .partitions = 1});
  job.stores.push_back({.name = "counts", .key = SerdeType::kString, .value = SerdeType::kInt64});
  job.workers.count = kWorkers;
  // Longer than any heartbeat is late.
  job.failover.session_timeout = seconds(20);
  job.failover.homecoming_timeout = seconds(60);
  return job;
}

}  // namespace

Neighbour::Neighbour(sim::Cloud* cloud, uint64_t seed, bool standalone,
                     std::function<void(const std::string&)> violate)
    : cloud_(*cloud),
      draw_(seed),
      standalone_(standalone),
      violate_(std::move(violate)),
      job_(NextDoor()),
      user_{.kept = {true}},
      oracle_(job_.processing.guarantee, job_.inputs.front().start_from, true),
      workers_(kWorkers) {
  (void)cloud_.kafka.CreateTopic(kInput, kWorkers, {});
}

void Neighbour::Start() {
  // Its own workers initialise its producers, and nobody has a reason to do it for them.
  cloud_.kafka.on_taken = [this](const std::string& transactional_id) {
    const sim::Process* process = sim::Scheduler::CurrentProcess();
    const std::string by = process == nullptr ? "nobody" : process->name;
    if (transactional_id.starts_with(job_.kafka.topic_prefix + "-worker-") &&
        !by.starts_with("next-door"))
      violate_("the job next door lost the power of " + transactional_id + " by " + by);
  };
  Keep();
  Feed();
  Check();
}

void Neighbour::Keep() {
  for (int32_t i = 0; i < kWorkers; ++i) {
    Worker& worker = workers_[static_cast<size_t>(i)];
    if (worker.process != nullptr && !worker.process->ended) continue;
    worker.control = std::make_shared<WorkerControl>();
    WorkerProcess process{.job = job_,
                          .user = user_,
                          .oracle = &oracle_,
                          .worker = WorkerId(i),
                          .disk = "next-door-" + std::to_string(i),
                          .coordinates = standalone_ && i == 0};
    worker.process = cloud_.scheduler.Start(
        "next-door" + std::to_string(i), 200 + i,
        [process, control = worker.control] { RunWorkerProcess(process, control); });
  }
  cloud_.scheduler.After(seconds(1), [this] { Keep(); });
}

void Neighbour::KillAll() {
  for (const Worker& worker : workers_) {
    if (worker.process != nullptr) cloud_.scheduler.Kill(worker.process);
  }
}

void Neighbour::Feed() {
  if (feeding_) {
    const auto partition = static_cast<int32_t>(draw_.Between(0, kWorkers - 1));
    const std::string key =
        "n" + std::to_string(partition) + "-" + std::to_string(draw_.Between(0, kKeys - 1));
    const sim::KafkaPartition* in = cloud_.kafka.Find({kInput, partition});
    if (in != nullptr && in->away_until <= cloud_.scheduler.now()) {
      oracle_.Fed(key);
      sim::KafkaRecord record;
      record.key = key;
      record.value = std::to_string(oracle_.fed(key));
      int64_t offset = 0;
      (void)cloud_.kafka.Produce({kInput, partition}, {}, {}, {std::move(record)}, &offset);
    }
  }
  cloud_.scheduler.After(draw_.Millis(200, 2000), [this] { Feed(); });
}

void Neighbour::Check() {
  if (std::string wrong = oracle_.Read(&cloud_.kafka, kOutput); !wrong.empty())
    violate_("next door: " + wrong);
  const auto fetched =
      cloud_.kafka.Fetch({job_.CoordinatorTopic(), 0}, folded_to_, true, static_cast<size_t>(-1));
  if (fetched.error == sim::Error::kNone) {
    folded_to_ = fetched.next;
    for (const sim::KafkaRecord* record : fetched.records) {
      ApplyCoordinatorRecord(
          {.key = record->key, .value = record->value, .tombstone = !record->has_value}, &folded_)
          .IgnoreError("the product says so itself");
    }
  }
  // The first one heard of may be given all of them.
  const bool shared =
      std::count_if(folded_.assignment.workers.begin(), folded_.assignment.workers.end(),
                    [](const auto& worker) { return !worker.second.active.empty(); }) == kWorkers;
  settled_ = settled_ || shared;
  for (const auto& [worker, assignment] : folded_.assignment.workers) {
    if (!settled_) break;
    for (const TaskId task : assignment.active) {
      const auto [owner, is_new] = owners_.try_emplace(task, worker);
      if (owner->second != worker)
        violate_("next door: task " + ToString(task) + " moved from worker " +
                 ToString(owner->second) + " to worker " + ToString(worker));
    }
  }
  cloud_.scheduler.After(milliseconds(700), [this] { Check(); });
}

}  // namespace coho::simulation
