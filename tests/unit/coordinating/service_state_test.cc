#include "common/coordinating/service_state.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include "tests/unit/coordinating/process.h"

namespace coho {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using test::MemoryKafka;
using test::Process;

const std::string kOurs = "coho-operator-a-1";
const std::string kTheirs = "coho-operator-a-2";

Job SomeJob(const std::string& name = "visits") {
  Job job;
  job.id = {"web", name};
  job.kafka.bootstrap_servers = "kafka:9092";
  job.kafka.topic_prefix = "coho-web." + name;
  job.inputs = {{"a"}};
  job.stores = {{"counts"}};
  job.workers.count = 2;
  return job;
}

struct World {
  MemoryKafka kafka;
  Job job = SomeJob();
  JobIdentity identity{"uid-1", "a", "cluster-1"};
  World() { kafka.Make("a", 4); }
  std::string topic() const { return job.CoordinatorTopic(); }
  CoordinatorState Stored() const {
    CoordinatorState state;
    for (const StoredRecord& record : kafka.topics.at(topic()).records)
      REQUIRE(ApplyCoordinatorRecord(record.record, &state).ok());
    return state;
  }
  void Start(Process& process) {
    process.state.SetJob(job, identity, process.Now());
    process.Run(seconds(3));
  }
};

class Worker {
 public:
  Worker(const Job& job, int32_t id) : job_(job), id_(id) {}
  Heartbeat Beat(int64_t acknowledged, const std::string& life = "life-1") {
    Heartbeat beat;
    beat.worker = WorkerId(id_);
    beat.life = life;
    beat.incarnation = "first";
    beat.sequence = ++sequence_;
    beat.phase = WorkerPhase::kRunning;
    beat.acknowledged = Generation(acknowledged);
    beat.proven[job_.TransactionalId(WorkerId(id_), 0)] = Generation(acknowledged);
    WorkerReport report{.node = "node" + std::to_string(id_)};
    report.transactional_ids = {job_.TransactionalId(WorkerId(id_), 0)};
    beat.report = report;
    return beat;
  }

 private:
  const Job& job_;
  int32_t id_;
  int64_t sequence_ = 0;
};

// Two workers that beat each second, as long as time runs.
void RunWithWorkers(World& world, Process& process, std::vector<Worker*> workers, Duration time) {
  for (Duration passed{}; passed < time; passed += seconds(1)) {
    for (Worker* worker : workers) {
      const JobView& view = process.views[world.job.id];
      process.Hear(world.job.HeartbeatsTopic(), worker->Beat(view.assignment.generation.value()));
    }
    process.Run(seconds(1));
  }
}

const JobView& ViewOf(const World& world, Process& process) { return process.views[world.job.id]; }

bool Wrote(const Process& process, const std::string& key) {
  return std::any_of(
      process.cluster.asked.begin(), process.cluster.asked.end(), [&](const auto& r) {
        const auto* write = std::get_if<WriteTopic>(&r);
        return write != nullptr &&
               std::any_of(write->records.begin(), write->records.end(),
                           [&](const TopicRecord& record) { return record.key == key; });
      });
}

TEST_CASE("claim: the first record of a coordinator topic, and what it says") {
  World world;
  Process process(&world.kafka, kOurs);
  world.Start(process);
  REQUIRE_FALSE(world.kafka.topics.at(world.topic()).records.empty());
  CHECK(world.kafka.topics.at(world.topic()).records[0].record.key == "claim");
  const CoordinatorState stored = world.Stored();
  REQUIRE(stored.claim);
  CHECK(stored.claim->transactional_id == kOurs);
  CHECK(stored.claim->identity() == world.identity);
  CHECK(stored.claim->kafka_cluster_id == "kafka-1");
  CHECK(stored.claim->life == "life-1");
  CHECK(ViewOf(world, process).prepared);
  CHECK_FALSE(ViewOf(world, process).problem);
  CHECK(world.kafka.topics.contains("coho-web.visits-counts-changelog"));
}

TEST_CASE(
    "claim: taken over by writing one's own, fencing the former one's id, and reading again") {
  World world;
  Process former(&world.kafka, kTheirs);
  world.Start(former);
  Process process(&world.kafka, kOurs);
  world.Start(process);
  CHECK(world.kafka.fenced == std::vector<std::string>{kTheirs});
  CHECK(world.Stored().claim->transactional_id == kOurs);
  CHECK(world.Stored().claim->life == "life-1");  // the topic's, whoever has it

  // In this order: claim written, former one fenced, everything read.
  const auto& asked = process.cluster.asked;
  const auto position = [&](auto matches) {
    return std::find_if(asked.begin(), asked.end(), matches) - asked.begin();
  };
  const auto claimed =
      position([](const auto& r) { return std::holds_alternative<WriteTopic>(r); });
  const auto fenced = position([](const auto& r) { return std::holds_alternative<FenceIds>(r); });
  CHECK(claimed < fenced);
  CHECK(std::any_of(asked.begin() + fenced, asked.end(),
                    [](const auto& r) { return std::holds_alternative<ReadTopic>(r); }));

  // The former one writes nothing more, and says by whom it was displaced.
  Worker worker0(world.job, 0);
  Worker worker1(world.job, 1);
  RunWithWorkers(world, former, {&worker0, &worker1}, seconds(3));
  REQUIRE(ViewOf(world, former).problem);
  CHECK(ViewOf(world, former).problem->reason == ProblemReason::kCoordinatorFenced);
  CHECK(ViewOf(world, former).problem->message.find(kOurs) != std::string::npos);
  CHECK_FALSE(ViewOf(world, former).prepared);
  CHECK(world.Stored().assignment.generation == Generation(0));
  CHECK(world.Stored().claim->transactional_id == kOurs);
}

TEST_CASE("claim: a compaction right after one was written does not hide whom it has to fence") {
  World world;
  Process former(&world.kafka, kTheirs);
  world.Start(former);
  Process process(&world.kafka, kOurs);
  bool fails = false;
  SUBCASE("at the first attempt") {}
  SUBCASE("nor when the attempt that wrote the claim failed") { fails = true; }
  process.hold = [&](const ClusterRequest& request) {
    if (!std::holds_alternative<ReadTopic>(request)) return false;
    if (world.Stored().claim->transactional_id != kOurs) return false;
    auto& records = world.kafka.topics.at(world.topic()).records;
    for (size_t i = records.size() - 1; i-- > 0;) {
      if (records[i].record.key == "claim")
        records.erase(records.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return std::exchange(fails, false);
  };
  process.state.SetJob(world.job, world.identity, process.Now());
  process.Run(seconds(1));
  if (!process.held.empty()) {
    world.kafka.away = Unavailable("for a moment");
    process.Release();
    world.kafka.away.reset();
  }
  process.Run(seconds(3));
  CHECK(ViewOf(world, process).prepared);
  CHECK(world.kafka.fenced == std::vector<std::string>{kTheirs});
}

TEST_CASE("claim: one that its writer did not live to act upon does not hide the one before it") {
  World world;
  Process alive(&world.kafka, "coho-operator-a-0");
  world.Start(alive);
  // A second one wrote its claim and died before it fenced anybody.
  Claim dead = *world.Stored().claim;
  dead.transactional_id = kTheirs;
  world.kafka.Append(world.topic(), EncodeClaim(dead));
  Process process(&world.kafka, kOurs);
  world.Start(process);
  CHECK(std::set<std::string>(world.kafka.fenced.begin(), world.kafka.fenced.end()) ==
        std::set<std::string>{"coho-operator-a-0", kTheirs});
  // Its claim stands there twice now: what was before is done with.
  world.kafka.fenced.clear();
  Process next(&world.kafka, "coho-operator-a-9");
  world.Start(next);
  CHECK(world.kafka.fenced == std::vector<std::string>{kOurs});
}

TEST_CASE(
    "claim: two that claim at the same time: the one whose claim is not the last steps back") {
  World world;
  Process first(&world.kafka, kOurs);
  world.Start(first);
  Process second(&world.kafka, kTheirs);
  int reads = 0;
  second.hold = [&](const ClusterRequest& r) {
    return std::holds_alternative<ReadTopic>(r) && ++reads == 2;
  };
  world.Start(second);  // has written its claim, and not read yet
  REQUIRE(second.held.size() == 1);
  Process third(&world.kafka, "coho-operator-a-3");
  world.Start(third);
  second.Release();
  second.Run(seconds(1));
  CHECK_FALSE(ViewOf(world, second).prepared);
  REQUIRE(ViewOf(world, second).problem);
  CHECK(ViewOf(world, second).problem->reason == ProblemReason::kCoordinatorFenced);
  CHECK(ViewOf(world, third).prepared);
}

TEST_CASE("claim: a foreign one is refused, with whose it is and the way on") {
  struct Row {
    JobIdentity identity;
    ProblemReason reason;
    const char* says;
  };
  const Row rows[] = {
      {{"uid-2", "a", "cluster-1"}, ProblemReason::kLeftoverTopics, "StreamJob uid uid-1"},
      {{"uid-1", "b", "cluster-1"}, ProblemReason::kClaimedByAnother, "installation \"a\""},
      {{"uid-1", "a", "cluster-2"},
       ProblemReason::kClaimedByAnother,
       "Kubernetes cluster cluster-1"},
  };
  for (const Row& row : rows) {
    World world;
    Process owner(&world.kafka, kTheirs);
    world.Start(owner);
    const size_t records = world.kafka.topics.at(world.topic()).records.size();
    Process process(&world.kafka, kOurs);
    world.identity = row.identity;
    world.Start(process);
    REQUIRE(ViewOf(world, process).problem);
    CHECK(ViewOf(world, process).problem->reason == row.reason);
    CHECK_MESSAGE(ViewOf(world, process).problem->message.find(row.says) != std::string::npos,
                  ViewOf(world, process).problem->message);
    CHECK(ViewOf(world, process).problem->message.find("onLeftover: Adopt") != std::string::npos);
    CHECK(world.kafka.topics.at(world.topic()).records.size() == records);
    CHECK(world.kafka.fenced.empty());
    CHECK_FALSE(Wrote(process, "claim"));
  }
}

TEST_CASE("claim: a job that was deleted and made again finds what the one before it left") {
  World world;
  Process process(&world.kafka, kOurs);
  world.Start(process);
  // Another job keeps the process's connection, and with it its transactional id, in use.
  process.state.SetJob(SomeJob("other"), world.identity, process.Now());
  process.Run(seconds(3));
  process.state.RemoveJob(world.job.id);
  process.views.clear();
  world.identity.job_uid = "uid-2";
  SUBCASE("and refuses it") {
    world.Start(process);
    REQUIRE(ViewOf(world, process).problem);
    CHECK(ViewOf(world, process).problem->reason == ProblemReason::kLeftoverTopics);
    CHECK_FALSE(ViewOf(world, process).prepared);
    CHECK(world.Stored().claim->job_uid == "uid-1");
  }
  SUBCASE("and takes it over where that is asked for") {
    world.job.state.on_leftover = OnLeftover::kAdopt;
    world.Start(process);
    CHECK(ViewOf(world, process).prepared);
    CHECK(world.Stored().claim->job_uid == "uid-2");
  }
}

TEST_CASE("claim: the topics that were in the way are deleted, and the job begins") {
  World world;
  Process owner(&world.kafka, kTheirs);
  world.Start(owner);
  Process process(&world.kafka, kOurs);
  world.identity.job_uid = "uid-2";
  world.Start(process);
  REQUIRE(ViewOf(world, process).problem);
  CHECK(ViewOf(world, process).problem->message.find("delete the topics") != std::string::npos);
  std::erase_if(world.kafka.topics, [](const auto& topic) { return topic.first != "a"; });
  process.Run(minutes(1));
  CHECK_FALSE(ViewOf(world, process).problem);
  CHECK(ViewOf(world, process).prepared);
  CHECK(world.Stored().claim->job_uid == "uid-2");
}

TEST_CASE("claim: another Kafka cluster, and ids that no coordinator has") {
  World world;
  Process owner(&world.kafka, kTheirs);
  world.Start(owner);
  SUBCASE("cluster") {
    world.kafka.cluster_id = "kafka-2";
    Process process(&world.kafka, kOurs);
    world.Start(process);
    REQUIRE(ViewOf(world, process).problem);
    CHECK(ViewOf(world, process).problem->reason == ProblemReason::kOtherKafkaCluster);
  }
  SUBCASE("a claim that names a worker's id has nobody fenced") {
    Claim claim = *world.Stored().claim;
    claim.transactional_id = world.job.TransactionalId(WorkerId(0), 0);
    world.kafka.Append(world.topic(), EncodeClaim(claim));
    Process process(&world.kafka, kOurs);
    world.Start(process);
    REQUIRE(ViewOf(world, process).problem);
    CHECK(ViewOf(world, process).problem->reason == ProblemReason::kClaimedByAnother);
    CHECK(world.kafka.fenced.empty());
  }
}

TEST_CASE(
    "claim: without an operator, the one that lives is respected, and followed when it is gone") {
  World world;
  world.identity = {"", "standalone", ""};
  const std::string prefix = world.job.kafka.topic_prefix + "-coordinator-";
  Process first(&world.kafka, prefix + "0-aaa", seconds(30));
  world.Start(first);
  Process second(&world.kafka, prefix + "1-bbb", seconds(30));
  world.Start(second);
  REQUIRE(ViewOf(world, second).problem);
  CHECK(ViewOf(world, second).problem->reason == ProblemReason::kCoordinatorFenced);
  CHECK(ViewOf(world, second).problem->message.find("stands by") != std::string::npos);
  // As long as the first one lives it says so, and nothing changes.
  for (int i = 0; i < 60; ++i) {
    first.Run(seconds(1));
    second.Run(milliseconds(200));
  }
  CHECK(world.Stored().claim->transactional_id == prefix + "0-aaa");
  CHECK(ViewOf(world, first).prepared);
  // Gone: within its time and a few looks.
  second.Run(minutes(1));
  CHECK(ViewOf(world, second).prepared);
  CHECK_FALSE(ViewOf(world, second).problem);
  CHECK(world.Stored().claim->transactional_id == prefix + "1-bbb");
  // The first one was only frozen: it says who took over, resumes when that one is gone, and never
  // fights.
  first.Run(seconds(1));
  CHECK(world.Stored().claim->transactional_id == prefix + "1-bbb");
  REQUIRE(ViewOf(world, first).problem);
  CHECK(ViewOf(world, first).problem->reason == ProblemReason::kCoordinatorFenced);
  first.Run(minutes(2));
  CHECK(ViewOf(world, first).prepared);
  // Its own restart needs nobody's time.
  Process again(&world.kafka, prefix + "0-ccc", seconds(30));
  world.Start(again);
  CHECK(ViewOf(world, again).prepared);
}

TEST_CASE("writer: one that was closed without a rival is opened again, and the topic read first") {
  for (const bool written : {true, false}) {
    for (const WriteOutcome outcome : {WriteOutcome::kUnknown, WriteOutcome::kFenced}) {
      CAPTURE(written);
      World world;
      Process process(&world.kafka, kOurs);
      world.Start(process);
      Worker worker0(world.job, 0);
      Worker worker1(world.job, 1);
      world.kafka.next_writes = {{written, outcome}};
      RunWithWorkers(world, process, {&worker0, &worker1}, seconds(8));
      // Whatever the doubtful write had become, the generations are without gap, and both sides
      // agree.
      const JobView& view = ViewOf(world, process);
      CHECK(view.prepared);
      CHECK_FALSE(view.problem);
      CHECK(view.settled);
      CHECK(view.assignment.workers == world.Stored().assignment.workers);
      int64_t last = 0;
      for (const StoredRecord& stored : world.kafka.topics.at(world.topic()).records) {
        if (stored.record.key != "assignment") continue;
        CoordinatorState state;
        REQUIRE(ApplyCoordinatorRecord(stored.record, &state).ok());
        CHECK(state.assignment.generation == Generation(++last));
      }
      CHECK(last > 0);
    }
  }
}

TEST_CASE("writer: a write that was certainly not made is made again by the same writer") {
  World world;
  Process process(&world.kafka, kOurs);
  world.Start(process);
  Worker worker0(world.job, 0);
  Worker worker1(world.job, 1);
  world.kafka.next_writes = {{false, WriteOutcome::kNotWritten}};
  RunWithWorkers(world, process, {&worker0, &worker1}, seconds(4));
  CHECK(ViewOf(world, process).settled);
  CHECK(world.kafka.epochs.at(kOurs) == 1);
}

TEST_CASE("silence: counted only while everybody could be heard") {
  World world;
  world.job.failover.homecoming_timeout = seconds(20);
  Process process(&world.kafka, kOurs);
  world.Start(process);
  Worker worker0(world.job, 0);
  Worker worker1(world.job, 1);
  RunWithWorkers(world, process, {&worker0, &worker1}, seconds(5));
  REQUIRE(ViewOf(world, process).settled);
  const Generation before = ViewOf(world, process).assignment.generation;
  const auto all_alive = [&] {
    for (const auto& [id, worker] : ViewOf(world, process).workers) {
      if (worker.standing != WorkerStanding::kAlive) return false;
    }
    return true;
  };
  SUBCASE("Kafka away for an hour") {
    world.kafka.away = Unavailable("gone");
    process.Run(minutes(60), /*hearing=*/false);
    CHECK(all_alive());
    CHECK(ViewOf(world, process).prepared);
    world.kafka.away.reset();
    process.Run(seconds(2));  // heard again, before anybody could beat
    CHECK(all_alive());
    RunWithWorkers(world, process, {&worker0}, seconds(1));
    RunWithWorkers(world, process, {&worker0, &worker1}, seconds(30));
    CHECK(all_alive());
    CHECK(ViewOf(world, process).assignment.generation == before);
  }
  SUBCASE("this process stood still, and the heartbeats wait behind what says that all is heard") {
    world.kafka.now_ms += 3'600'000;
    process.Turn({HeartbeatsHeard{world.job.HeartbeatsTopic(), process.Now().now}});
    CHECK(all_alive());
    RunWithWorkers(world, process, {&worker0, &worker1}, seconds(3));
    CHECK(ViewOf(world, process).assignment.generation == before);
  }
  SUBCASE("a worker that is silent while others are heard is called so") {
    RunWithWorkers(world, process, {&worker0}, seconds(12));
    CHECK(ViewOf(world, process).workers.at(WorkerId(1)).standing == WorkerStanding::kSilent);
  }
}

TEST_CASE("silence: where nobody can be heard for long, people are told") {
  World world;
  Process process(&world.kafka, kOurs);
  world.Start(process);
  Worker worker0(world.job, 0);
  Worker worker1(world.job, 1);
  RunWithWorkers(world, process, {&worker0, &worker1}, seconds(5));
  REQUIRE_FALSE(ViewOf(world, process).problem);
  // The leader of the heartbeats' partition is away; everything else answers.
  process.Run(minutes(2), /*hearing=*/false);
  REQUIRE(ViewOf(world, process).problem);
  CHECK(ViewOf(world, process).problem->reason == ProblemReason::kKafkaUnreachable);
  CHECK(ViewOf(world, process).problem->message.find(world.job.HeartbeatsTopic()) !=
        std::string::npos);
  CHECK_FALSE(ViewOf(world, process).problem->blocks_start);
  CHECK(ViewOf(world, process).prepared);
  RunWithWorkers(world, process, {&worker0, &worker1}, seconds(3));
  CHECK_FALSE(ViewOf(world, process).problem);
}

TEST_CASE("silence: a worker of a later version is not taken for silent, and people are told") {
  World world;
  world.job.failover.homecoming_timeout = seconds(20);
  Process process(&world.kafka, kOurs);
  world.Start(process);
  Worker worker0(world.job, 0);
  Worker worker1(world.job, 1);
  RunWithWorkers(world, process, {&worker0, &worker1}, seconds(5));
  REQUIRE(ViewOf(world, process).settled);
  const Assignment before = ViewOf(world, process).assignment;
  for (int i = 0; i < 60; ++i) {
    process.Turn({HeartbeatSeen{world.job.HeartbeatsTopic(), 1'000'000, world.kafka.now_ms,
                                R"({"v":1000,"worker":1})", "1"}});
    RunWithWorkers(world, process, {&worker0}, seconds(1));
  }
  CHECK(ViewOf(world, process).assignment == before);
  REQUIRE(ViewOf(world, process).problem);
  CHECK(ViewOf(world, process).problem->reason == ProblemReason::kUnreadableRecord);
  CHECK(ViewOf(world, process).problem->message.find("update") != std::string::npos);
  CHECK_FALSE(ViewOf(world, process).problem->blocks_start);
  RunWithWorkers(world, process, {&worker0, &worker1}, minutes(2));
  CHECK_FALSE(ViewOf(world, process).problem);
}

TEST_CASE("restart: half a minute of heartbeats is read, and nobody is silent before it was") {
  World world;
  Process former(&world.kafka, kOurs);
  world.Start(former);
  Worker worker0(world.job, 0);
  Worker worker1(world.job, 1);
  RunWithWorkers(world, former, {&worker0, &worker1}, seconds(5));
  REQUIRE(ViewOf(world, former).settled);
  const Generation before = ViewOf(world, former).assignment.generation;

  Process process(&world.kafka, kTheirs);
  const WallTime begun = process.Now().wall;
  process.state.SetJob(world.job, world.identity, process.Now());
  process.Run(seconds(1), /*hearing=*/false);
  std::vector<WallTime> followed_since;
  for (const ClusterRequest& request : process.cluster.asked) {
    if (const auto* follow = std::get_if<FollowHeartbeats>(&request))
      followed_since.push_back(follow->since);
  }
  REQUIRE(followed_since.size() == 1);
  CHECK(followed_since[0] >= begun - seconds(35));
  CHECK(followed_since[0] <= begun - seconds(30));

  const auto nobody_is_silent = [&] {
    for (const auto& [id, worker] : ViewOf(world, process).workers) {
      if (worker.standing == WorkerStanding::kSilent || worker.standing == WorkerStanding::kLost)
        return false;
    }
    return true;
  };
  // A minute of reading, in which those of worker 1 come last.
  const size_t fenced = world.kafka.fenced.size();
  for (int i = 0; i < 60; ++i) {
    process.Hear(world.job.HeartbeatsTopic(), worker0.Beat(before.value()));
    process.Run(seconds(1), /*hearing=*/false);
    CHECK(nobody_is_silent());
  }
  // From where all was read everybody has a whole session.
  RunWithWorkers(world, process, {&worker0}, seconds(4));
  CHECK(nobody_is_silent());
  RunWithWorkers(world, process, {&worker0, &worker1}, seconds(10));
  CHECK(ViewOf(world, process).assignment.generation == before);
  CHECK(ViewOf(world, process).settled);
  CHECK(world.kafka.fenced.size() == fenced);
  RunWithWorkers(world, process, {&worker0}, seconds(12));
  CHECK(ViewOf(world, process).workers.at(WorkerId(1)).standing == WorkerStanding::kSilent);
}

TEST_CASE("jobs: one whose requests are slow holds up no other, and nobody's workers") {
  World world;
  Job other = SomeJob("other");
  Process process(&world.kafka, kOurs);
  process.hold = [&](const ClusterRequest& r) {
    const auto* look = std::get_if<LookAtTopics>(&r);
    return look != nullptr && std::find(look->topics.begin(), look->topics.end(),
                                        other.CoordinatorTopic()) != look->topics.end();
  };
  process.state.SetJob(other, world.identity, process.Now());
  world.Start(process);
  CHECK(process.held.size() == 1);
  CHECK(ViewOf(world, process).prepared);
  process.Release();
  process.Run(seconds(3));
  CHECK(process.views[other.id].prepared);
}

TEST_CASE("jobs: however many there are, each says what it waits for") {
  World world;
  Process process(&world.kafka, kOurs);
  world.kafka.no_writers = Unavailable("the transaction coordinator is away");
  std::vector<JobId> ids;
  for (int i = 0; i < 20; ++i) {
    const Job job = SomeJob("job-" + std::to_string(i));
    ids.push_back(job.id);
    process.state.SetJob(job, world.identity, process.Now());
  }
  process.Run(seconds(30));
  for (const JobId& id : ids) {
    REQUIRE(process.views[id].problem);
    CHECK(process.views[id].problem->reason == ProblemReason::kKafkaUnreachable);
  }
  world.kafka.no_writers.reset();
  process.Run(seconds(60));
  for (const JobId& id : ids) {
    CHECK(process.views[id].prepared);
    CHECK_FALSE(process.views[id].problem);
  }
}

TEST_CASE("jobs: two with one prefix are told, and only one has the topics") {
  World world;
  Process process(&world.kafka, kOurs);
  world.Start(process);
  Job other = SomeJob("other");
  other.kafka.topic_prefix = world.job.kafka.topic_prefix;
  process.state.SetJob(other, world.identity, process.Now());
  process.Run(seconds(5));
  REQUIRE(process.views[other.id].problem);
  CHECK(process.views[other.id].problem->reason == ProblemReason::kTopicPrefixTaken);
  CHECK_FALSE(process.views[other.id].prepared);
  CHECK(ViewOf(world, process).prepared);

  SUBCASE("an edit of something else asks Kafka nothing for it") {
    other.workers.count = 1;
    size_t looks = 0;
    process.hold = [&](const ClusterRequest& request) {
      if (const auto* look = std::get_if<LookAtTopics>(&request)) looks += look->topics.size();
      return false;
    };
    process.Run(seconds(60));
    const size_t before = std::exchange(looks, 0);
    process.state.SetJob(other, world.identity, process.Now());
    process.Run(seconds(60));
    CHECK(looks == before);
    CHECK(process.views[other.id].problem->reason == ProblemReason::kTopicPrefixTaken);
  }
  SUBCASE("when the one that has them is removed, the other one gets them") {
    process.state.RemoveJob(world.job.id);
    process.Run(seconds(5));
    CHECK((!process.views[other.id].problem ||
           process.views[other.id].problem->reason != ProblemReason::kTopicPrefixTaken));
  }
}

TEST_CASE("edit: a bad one leaves the plan that was good, until it is mended") {
  World world;
  Process process(&world.kafka, kOurs);
  world.Start(process);
  Worker worker0(world.job, 0);
  Worker worker1(world.job, 1);
  RunWithWorkers(world, process, {&worker0, &worker1}, seconds(4));
  REQUIRE(ViewOf(world, process).settled);
  world.job.inputs.push_back({"b"});
  process.state.SetJob(world.job, world.identity, process.Now());
  RunWithWorkers(world, process, {&worker0, &worker1}, seconds(40));
  CHECK(ViewOf(world, process).prepared);
  REQUIRE(ViewOf(world, process).problem);
  CHECK(ViewOf(world, process).problem->reason == ProblemReason::kTopicMissing);
  CHECK(ViewOf(world, process).model->inputs.size() == 1);
  // Coordination goes on meanwhile: a worker that falls silent is noticed.
  RunWithWorkers(world, process, {&worker0}, seconds(12));
  CHECK(ViewOf(world, process).workers.at(WorkerId(1)).standing == WorkerStanding::kSilent);

  world.kafka.Make("b", 4);
  RunWithWorkers(world, process, {&worker0, &worker1}, seconds(40));
  CHECK_FALSE(ViewOf(world, process).problem);
  CHECK(ViewOf(world, process).model->inputs.size() == 2);
  CHECK(world.Stored().model->inputs.size() == 2);
}

TEST_CASE("edit: without transactions, who had the tasks with them is waited out") {
  World world;
  world.job.workers.count = 1;
  Process process(&world.kafka, kOurs);
  world.Start(process);
  Worker first(world.job, 0);
  RunWithWorkers(world, process, {&first}, seconds(5));
  REQUIRE(ViewOf(world, process).settled);
  world.job.processing.guarantee = Guarantee::kAtLeastOnce;
  process.state.SetJob(world.job, world.identity, process.Now());
  process.Run(seconds(1));
  // The next process begins; whether the first one has ended, nobody has said.
  const auto named = [&] { return world.Stored().assignment.workers.at(WorkerId(0)).incarnation; };
  const auto run_second = [&](Duration time) {
    for (Duration passed{}; passed < time; passed += seconds(1)) {
      Heartbeat beat = first.Beat(1);
      beat.incarnation = "second";
      process.Hear(world.job.HeartbeatsTopic(), beat);
      process.Run(seconds(1));
    }
  };
  run_second(seconds(5));
  CHECK(named() == "first");
  run_second(seconds(5));
  CHECK(named() == "second");
}

TEST_CASE(
    "topics: a coordinator topic that vanishes is not made anew, nor one that came in its place "
    "used") {
  for (const bool anew : {false, true}) {
    CAPTURE(anew);
    World world;
    Process process(&world.kafka, kOurs);
    world.Start(process);
    Worker worker0(world.job, 0);
    Worker worker1(world.job, 1);
    RunWithWorkers(world, process, {&worker0, &worker1}, seconds(4));
    world.kafka.topics.erase(world.topic());
    if (anew) world.kafka.Make(world.topic(), 1);
    process.Run(minutes(2));
    REQUIRE(ViewOf(world, process).problem);
    CHECK(ViewOf(world, process).problem->reason == ProblemReason::kLeftoverTopics);
    CHECK_FALSE(ViewOf(world, process).prepared);
    CHECK(world.kafka.topics.contains(world.topic()) == anew);
    // Nor by another process, which finds what the job left.
    Process next(&world.kafka, kTheirs);
    world.Start(next);
    REQUIRE(ViewOf(world, next).problem);
    CHECK(ViewOf(world, next).problem->reason == ProblemReason::kLeftoverTopics);
    CHECK(world.kafka.topics.contains(world.topic()) == anew);
    CHECK_FALSE(Wrote(next, "claim"));
  }
}

TEST_CASE("heartbeats: a topic that is truncated, gone or made anew is this job's matter alone") {
  World world;
  Job other = SomeJob("other");
  Process process(&world.kafka, kOurs);
  process.state.SetJob(other, world.identity, process.Now());
  world.Start(process);
  const std::string topic = world.job.HeartbeatsTopic();
  REQUIRE(process.cluster.followed.contains(topic));
  SUBCASE("truncated") {}
  SUBCASE("gone") { world.kafka.topics.erase(topic); }
  process.cluster.followed.erase(topic);
  process.Turn({HeartbeatsLost{topic, Corruption("offset 7 lies beyond the end 0")}});
  process.Run(seconds(3));
  CHECK(world.kafka.topics.contains(topic));
  CHECK(process.cluster.followed.contains(topic));
  CHECK(process.cluster.followed.contains(other.HeartbeatsTopic()));
  Worker worker0(world.job, 0);
  Worker worker1(world.job, 1);
  RunWithWorkers(world, process, {&worker0, &worker1}, seconds(4));
  CHECK(ViewOf(world, process).settled);
}

TEST_CASE("record: one that cannot be read stops the reader, and is named") {
  World world;
  Process owner(&world.kafka, kTheirs);
  world.Start(owner);
  world.kafka.Append(world.topic(), {"model", "{not json"});
  Process process(&world.kafka, kOurs);
  world.Start(process);
  REQUIRE(ViewOf(world, process).problem);
  CHECK(ViewOf(world, process).problem->reason == ProblemReason::kUnreadableRecord);
  CHECK(ViewOf(world, process).problem->message.find("offset") != std::string::npos);
  CHECK_FALSE(Wrote(process, "claim"));
}

}  // namespace
}  // namespace coho
