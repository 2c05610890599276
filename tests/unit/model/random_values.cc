#include "tests/unit/model/random_values.h"

#include <set>

namespace coho::test {

using std::chrono::hours;
using std::chrono::milliseconds;

Job Random::MakeJob() {
  Job job;
  job.id = {Label(63), Label(40)};
  job.image = Flip() ? "" : Text();
  job.task.name = "t" + Text();
  for (int64_t n = Int(0, 4); n > 0; --n) job.task.config[Text()] = Text();
  job.kafka.bootstrap_servers = Flip() ? "kafka:9092" : "a.b:1,[::1]:65535";
  if (Flip()) job.kafka.properties = {{"security.protocol", "SASL_SSL"}, {"linger.ms", Text()}};
  if (Flip()) job.kafka.secret_name = Label(20);
  job.kafka.topic_prefix = Topic();
  job.kafka.replication_factor = Flip() ? int16_t{-1} : static_cast<int16_t>(Int(1, INT16_MAX));

  const auto serde = [&] { return Enum(SerdeType::kJson); };
  std::set<std::string> topics;
  for (int64_t n = Int(1, 4); n > 0; --n) {
    InputSpec input{Topic(), serde(), serde(), Enum(StartFrom::kLatest)};
    if (topics.insert(input.topic).second) job.inputs.push_back(input);
  }
  for (int64_t n = Int(0, 4); n > 0; --n) {
    OutputSpec output{Topic(), serde(), serde(), static_cast<int32_t>(Int(0, 1000))};
    if (topics.insert(output.topic).second) job.outputs.push_back(output);
  }
  std::set<std::string> stores;
  for (int64_t n = Int(0, 4); n > 0; --n) {
    StoreSpec store{Label(30), serde(), serde(), Flip()};
    if (stores.insert(store.name).second) job.stores.push_back(store);
  }
  job.workers = {static_cast<int32_t>(Int(1, 1000)), static_cast<int32_t>(Int(1, 64))};
  job.processing = {.guarantee = Enum(Guarantee::kAtLeastOnce),
                    .commit_interval = Time(milliseconds(1), std::chrono::minutes(5)),
                    .window_interval = Flip() ? Duration::zero() : Time(milliseconds(1), hours(24)),
                    .on_error = Enum(OnError::kDeadLetter),
                    .dead_letter_topic = "dead" + Topic()};
  job.storage = {.flush_interval = Time(milliseconds(1), hours(24)),
                 .size = std::to_string(Int(1, 999)) + (Flip() ? "Gi" : ""),
                 .storage_class_name = Flip() ? "" : Text(),
                 .delete_when_scaled = Flip(),
                 .delete_when_deleted = Flip()};
  job.failover.heartbeat_interval = Time(milliseconds(10), hours(1));
  job.failover.session_timeout =
      Time(3 * job.failover.heartbeat_interval + milliseconds(30), hours(24));
  job.failover.homecoming_timeout = Time(job.failover.session_timeout, hours(1000));
  job.failover.lost_node_policy = Enum(LostNodePolicy::kReplace);
  job.failover.lost_node_timeout = Time(std::chrono::seconds(10), hours(1000));
  job.state.on_leftover = Enum(OnLeftover::kAdopt);
  return job;
}

std::vector<TaskId> Random::Tasks() {
  std::set<TaskId> tasks;
  for (int64_t n = Int(0, 5); n > 0; --n) tasks.emplace(static_cast<int32_t>(Int(0, 100)));
  return {tasks.begin(), tasks.end()};
}

std::vector<std::string> Random::Texts() {
  std::vector<std::string> texts;
  for (int64_t n = Int(0, 3); n > 0; --n) texts.push_back(Text());
  return texts;
}

Assignment Random::MakeAssignment() {
  Assignment assignment{
      .generation = Generation(Int(1, 1'000'000)), .reason = Text(), .life = Text()};
  for (int64_t n = Int(0, 5); n > 0; --n) {
    assignment.workers[WorkerId(static_cast<int32_t>(Int(0, 6)))] = {
        Generation(Int(1, 5)), Tasks(), Tasks(), Texts(), Text(), Texts()};
  }
  return assignment;
}

std::vector<StoreCopy> Random::StoreCopies() {
  std::map<std::string, StoreCopy> stores;
  for (int64_t n = Int(0, 3); n > 0; --n) {
    const std::string name = Text();
    stores[name] = {name, Int(0, INT64_MAX), Int(0, 1 << 30), Int(0, INT64_MAX)};
  }
  std::vector<StoreCopy> list;
  for (auto& [name, store] : stores) list.push_back(std::move(store));
  return list;
}

WorkerCopies Random::MakeCopies() {
  WorkerCopies copies{.disk_id = Text(),
                      .node = Text(),
                      .zone = Text(),
                      .volume = Text(),
                      .seen_at_ms = Int(0, INT64_MAX),
                      .tasks = {}};
  for (const TaskId task : Tasks()) copies.tasks[task].stores = StoreCopies();
  return copies;
}

std::vector<TaskReport> Random::Reports() {
  std::vector<TaskReport> reports;
  for (const TaskId task : Tasks()) {
    reports.push_back({.task = task,
                       .state = Enum(TaskState::kFailed),
                       .restore_source = Enum(RestoreSource::kWiped),
                       .restored_records = Int(0, 5),
                       .restore_total = Int(0, 5),
                       .lag = Int(-1, 5),
                       .changelog_position = Int(0, INT64_MAX),
                       .state_bytes = Int(0, 2),
                       .stores = StoreCopies()});
  }
  return reports;
}

Heartbeat Random::MakeHeartbeat() {
  Heartbeat beat{.worker = WorkerId(static_cast<int32_t>(Int(0, INT32_MAX))),
                 .incarnation = Text(),
                 .sequence = Int(0, INT64_MAX),
                 .phase = Enum(WorkerPhase::kGone),
                 .life = Text(),
                 .acknowledged = Generation(Int(0, INT64_MAX))};
  for (int64_t n = Int(0, 3); n > 0; --n) beat.proven[Text()] = Generation(Int(0, INT64_MAX));
  beat.session = std::chrono::milliseconds(Int(0, 86'400'000));
  if (Flip()) {
    beat.report = {.node = Text(),
                   .zone = Text(),
                   .pod = Text(),
                   .volume = Text(),
                   .disk_id = Text(),
                   .version = Text(),
                   .transactional_ids = Texts(),
                   .tasks = Reports(),
                   .on_disk = Reports(),
                   .partial = Flip(),
                   .problem = Text()};
  }
  return beat;
}

}  // namespace coho::test
