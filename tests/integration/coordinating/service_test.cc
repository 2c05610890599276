#include "common/coordinating/service.h"

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/kafka/admin.h"
#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"
#include "tests/integration/broker.h"

namespace coho {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::BrokerConfig;

// A service and the job it is asked to run, on topics with names of their own.
class Bench {
 public:
  explicit Bench(int32_t partitions = 4) : input(test::NewTopic("coordination", partitions)) {
    job.id = {"test", input};
    job.kafka.bootstrap_servers = test::Bootstrap();
    job.kafka.topic_prefix = input + "-job";
    job.inputs = {{input}};
    job.stores = {{"counts"}};
    job.workers.count = 2;
    job.failover.session_timeout = seconds(30);
  }

  std::unique_ptr<CoordinationService> Start(kafka::ClientConfig config = BrokerConfig(),
                                             const std::string& name = "coordinator",
                                             std::function<bool()> may_write = {}) {
    return CoordinationService::Start({.kafka = std::move(config),
                                       .transactional_id = job.kafka.topic_prefix + "-" + name,
                                       .may_write = std::move(may_write),
                                       .on_change = [this](const JobId&) { Changed(); },
                                       .on_event = [](const JobId&, const EmitEvent&) {}});
  }
  void Changed() {
    const std::lock_guard lock(mutex);
    ++changes;
    changed.notify_all();
  }
  // Waits until `holds` is true of the view.
  JobView Await(const CoordinationService& service,
                const std::function<bool(const JobView&)>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + seconds(40);
    std::unique_lock lock(mutex);
    while (true) {
      const std::optional<JobView> view = service.View(job.id);
      if (view && holds(*view)) return *view;
      REQUIRE_MESSAGE(
          std::chrono::steady_clock::now() < deadline,
          "not in time; problem: " << (view && view->problem ? view->problem->message : "none"));
      changed.wait_for(lock, milliseconds(100));
    }
  }

  std::string input;
  Job job;
  std::mutex mutex;
  std::condition_variable changed;
  int changes = 0;
};

// Sends a worker's heartbeats.
class FakeWorker {
 public:
  FakeWorker(const Job& job, int32_t id) : job_(job), id_(id) {
    auto producer = kafka::Producer::Create(BrokerConfig(), {});
    REQUIRE(producer.ok());
    producer_ = *std::move(producer);
    auto topic = producer_->OpenTopic(job.HeartbeatsTopic());
    REQUIRE(topic.ok());
    topic_ = *topic;
  }
  void Beat(int64_t acknowledged, const std::vector<TaskId>& tasks = {}) {
    Heartbeat beat{.worker = WorkerId(id_),
                   .incarnation = "first",
                   .sequence = ++sequence_,
                   .phase = WorkerPhase::kRunning,
                   .acknowledged = Generation(acknowledged),
                   .proven = {{job_.TransactionalId(WorkerId(id_), 0), Generation(acknowledged)}}};
    WorkerReport report{.node = "node" + std::to_string(id_)};
    report.transactional_ids = {job_.TransactionalId(WorkerId(id_), 0)};
    for (const TaskId task : tasks)
      report.tasks.push_back({.task = task, .state = TaskState::kRunning});
    beat.report = report;
    const TopicRecord record = EncodeHeartbeat(beat);
    REQUIRE(producer_->Send(topic_, 0, {.key = record.key, .value = record.value}).ok());
    REQUIRE(producer_->Flush(seconds(10)).ok());
  }

 private:
  const Job job_;
  const int32_t id_;
  int64_t sequence_ = 0;
  std::unique_ptr<kafka::Producer> producer_;
  kafka::Producer::Topic topic_;
};

// Keys and values of what is committed.
std::vector<TopicRecord> ReadAll(const std::string& topic) {
  auto reader = kafka::Consumer::Create(BrokerConfig(), {});
  REQUIRE(reader.ok());
  std::vector<TopicRecord> records;
  const Status read =
      (*reader)->ReadToEnd({topic, 0}, seconds(20), [&](const kafka::Record& record) {
        records.push_back({std::string(record.key()), std::string(record.value())});
        return Status::Ok();
      });
  REQUIRE_MESSAGE((read.ok() || read.code() == Code::kNotFound), read.ToString());
  return records;
}

TEST_CASE("service: who leads no more leaves no claim behind, however far it was") {
  // Frozen before its first write, its second, ...: it wakes when others lead.
  bool claimed = false;
  for (int writes = 0; !claimed && writes < 20; ++writes) {
    CAPTURE(writes);
    Bench bench;
    std::atomic<int> left = writes;
    std::atomic<bool> refused = false;
    auto frozen = bench.Start(BrokerConfig(), "coordinator-frozen", [&] {
      if (left-- > 0) return true;
      refused = true;
      bench.Changed();
      return false;
    });
    frozen->SetJob(bench.job);
    {
      std::unique_lock lock(bench.mutex);
      REQUIRE(bench.changed.wait_for(lock, seconds(40), [&] { return refused.load(); }));
    }
    frozen.reset();
    auto leader = bench.Start(BrokerConfig(), "coordinator-leader");
    leader->SetJob(bench.job);
    bench.Await(*leader, [](const JobView& v) { return v.prepared; });
    leader.reset();
    for (const TopicRecord& record : ReadAll(bench.job.CoordinatorTopic())) {
      if (record.key == "claim" && record.value.find("-coordinator-frozen-") != std::string::npos)
        claimed = true;
    }
    // Topics are made, and the claim is written and committed, before anything else is.
    if (writes < 3) CHECK_FALSE(claimed);
  }
  CHECK(claimed);  // so the last one before was refused on its way to commit it
}

TEST_CASE(
    "service: prepares the topics, assigns, moves tasks with fencing, and survives its own "
    "restart") {
  Bench bench;
  auto service = bench.Start();
  service->SetJob(bench.job);
  JobView view = bench.Await(*service, [](const JobView& v) { return v.prepared; });
  CHECK_FALSE(view.problem);
  REQUIRE(view.model);
  CHECK(view.model->tasks == 4);

  const auto admin = kafka::Admin::Create(BrokerConfig());
  REQUIRE(admin.ok());
  const std::string changelog = bench.job.ChangelogTopic("counts");
  auto topics = (*admin)->Describe(
      {changelog, bench.job.CoordinatorTopic(), bench.job.HeartbeatsTopic()}, seconds(10));
  REQUIRE(topics.ok());
  CHECK(topics->size() == 3);
  CHECK(topics->at(changelog).partitions == 4);
  auto config = (*admin)->TopicConfig(changelog, seconds(10));
  REQUIRE(config.ok());
  CHECK(config->at("cleanup.policy") == "compact");

  FakeWorker worker0(bench.job, 0);
  FakeWorker worker1(bench.job, 1);
  worker0.Beat(0);
  worker1.Beat(0);
  view = bench.Await(*service, [](const JobView& v) { return v.settled; });
  CHECK(view.assignment.generation == Generation(1));
  CHECK(view.assignment.workers.at(WorkerId(0)).active.size() == 2);
  CHECK(view.assignment.workers.at(WorkerId(1)).transactional_ids ==
        std::vector<std::string>{bench.job.TransactionalId(WorkerId(1), 0)});

  const std::vector<TaskId> tasks = view.assignment.workers.at(WorkerId(1)).active;
  worker1.Beat(1, tasks);
  bench.Await(*service, [&](const JobView& v) { return v.locality.contains(tasks[0]); });

  service.reset();
  service = bench.Start();
  service->SetJob(bench.job);
  view = bench.Await(*service, [](const JobView& v) { return v.prepared; });
  CHECK(view.assignment.generation == Generation(1));
  worker0.Beat(1);
  worker1.Beat(1, tasks);
  view = bench.Await(*service,
                     [&](const JobView& v) { return v.settled && v.locality.contains(tasks[0]); });
  CHECK(view.locality.at(tasks[0]).node == "node1");

  // A worker's producer, as the fence finds it.
  kafka::ProducerOptions options;
  options.transactional_id = bench.job.TransactionalId(WorkerId(1), 0);
  auto producer = kafka::Producer::Create(BrokerConfig(), options);
  REQUIRE(producer.ok());
  REQUIRE((*producer)->InitTransactions(seconds(30)).ok());
  bench.job.workers.count = 1;
  bench.job.failover.session_timeout = seconds(2);
  service->SetJob(bench.job);
  const auto beating = [&](const JobView& v) {
    worker0.Beat(v.assignment.generation.value());
    return v.settled && v.assignment.workers.at(WorkerId(0)).active.size() == 4;
  };
  view = bench.Await(*service, beating);
  CHECK(view.removable == std::set<WorkerId>{WorkerId(1)});
  auto topic = (*producer)->OpenTopic(bench.input);
  REQUIRE(topic.ok());
  REQUIRE((*producer)->BeginTransaction().ok());
  (*producer)
      ->Send(*topic, 0, {.value = "from the grave", .has_key = false})
      .IgnoreError("the commit tells");
  CHECK((*producer)->CommitTransaction(seconds(30)).code() == Code::kFenced);
}

TEST_CASE(
    "service: a missing input is told, does not disturb other jobs, and is found once it exists") {
  Bench bench;
  Bench other;
  auto service = bench.Start();
  bench.job.inputs[0].topic = test::UniqueName("missing");
  service->SetJob(bench.job);
  service->SetJob(other.job);
  const JobView view =
      bench.Await(*service, [](const JobView& v) { return v.problem.has_value(); });
  CHECK(view.problem->reason == ProblemReason::kTopicMissing);
  CHECK(view.problem->message == "spec.inputs[0].topic: topic \"" + bench.job.inputs[0].topic +
                                     "\" does not exist on " + test::Bootstrap() +
                                     "; create it, or correct the name");
  CHECK_FALSE(view.prepared);
  other.Await(*service, [](const JobView& v) { return v.prepared; });

  const auto admin = kafka::Admin::Create(BrokerConfig());
  REQUIRE(admin.ok());
  REQUIRE(
      (*admin)->Create({{.name = bench.job.inputs[0].topic, .partitions = 4}}, seconds(10)).ok());
  const JobView healed = bench.Await(*service, [](const JobView& v) { return v.prepared; });
  CHECK_FALSE(healed.problem);

  service->RemoveJob(bench.job.id);
  while (service->View(bench.job.id)) std::this_thread::yield();
  service->SetJob(bench.job);
  bench.Await(*service, [](const JobView& v) { return v.prepared; });
}

TEST_CASE("service: an older coordinator is fenced by a newer one of the same owner, and says so") {
  Bench bench;
  auto older = bench.Start();
  older->SetJob(bench.job);
  bench.Await(*older, [](const JobView& v) { return v.prepared; });
  auto newer = bench.Start();
  newer->SetJob(bench.job);
  bench.Await(*newer, [](const JobView& v) { return v.prepared; });
  FakeWorker(bench.job, 0).Beat(0);
  FakeWorker(bench.job, 1).Beat(0);
  const JobView view = bench.Await(*newer, [](const JobView& v) { return v.settled; });
  CHECK(view.assignment.generation == Generation(1));
  // Fenced, it reads the claim before it would write anything: at the next of its writes, which a
  // heartbeat brings about.
  FakeWorker third(bench.job, 0);
  bench.Await(*older, [&](const JobView& v) {
    third.Beat(v.assignment.generation.value(), {TaskId(0)});
    return v.problem && v.problem->reason == ProblemReason::kCoordinatorFenced;
  });
  const std::optional<JobView> after = newer->View(bench.job.id);
  REQUIRE(after);
  CHECK_FALSE(after->problem);
}

TEST_CASE("service: says whether Kafka is unreachable or refuses the credentials") {
  Bench bench;
  SUBCASE("nobody there") {
    auto service = bench.Start({.bootstrap_servers = "127.0.0.1:1"});
    service->SetJob(bench.job);
    const JobView view =
        bench.Await(*service, [](const JobView& v) { return v.problem.has_value(); });
    CHECK(view.problem->reason == ProblemReason::kKafkaUnreachable);
    CHECK(view.problem->blocks_start);
    CHECK_MESSAGE(view.problem->message.find("127.0.0.1:1") != std::string::npos,
                  view.problem->message);
  }
  SUBCASE("wrong password") {
    auto service = bench.Start(test::SaslConfig("wrong"));
    service->SetJob(bench.job);
    const JobView view =
        bench.Await(*service, [](const JobView& v) { return v.problem.has_value(); });
    CHECK(view.problem->reason == ProblemReason::kKafkaAuthenticationFailed);
    CHECK(view.problem->message.find("wrong") == std::string::npos);
  }
}

}  // namespace
}  // namespace coho
