// What an earlier life of a job left, and its coordinator topic is not there to say whose it is or
// who wrote it.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tests/unit/coordinating/process.h"

namespace coho {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using test::MemoryKafka;
using test::Process;

const JobIdentity kIdentity{"uid-1", "a", "cluster-1"};

struct World {
  MemoryKafka kafka;
  Job job;
  World() {
    job.id = {"web", "visits"};
    job.kafka.bootstrap_servers = "kafka:9092";
    job.kafka.topic_prefix = "coho-web.visits";
    job.inputs = {{"a"}};
    job.stores = {{"counts"}};
    job.workers.count = 2;
    job.workers.run_loops = 2;
    kafka.Make("a", 4);
  }
  std::string topic() const { return job.CoordinatorTopic(); }
  std::string changelog() const { return job.ChangelogTopic("counts"); }
  CoordinatorState Stored() const {
    CoordinatorState state;
    for (const StoredRecord& record : kafka.topics.at(topic()).records)
      REQUIRE(ApplyCoordinatorRecord(record.record, &state).ok());
    return state;
  }
  void Start(Process& process) const {
    process.state.SetJob(job, kIdentity, process.Now());
    process.Run(seconds(3));
  }
  // Of all workers that can have had one of the four tasks, however many are wanted now.
  std::set<std::string> WorkersIds() const {
    std::set<std::string> ids;
    for (int32_t worker = 0; worker < 4; ++worker) {
      for (int32_t loop = 0; loop < 2; ++loop)
        ids.insert(job.TransactionalId(WorkerId(worker), loop));
    }
    return ids;
  }
  std::set<std::string> Fenced() const { return {kafka.fenced.begin(), kafka.fenced.end()}; }
};

TEST_CASE("leftovers: before they are adopted, nobody who ever had a task can write any more") {
  World world;
  world.job.state.on_leftover = OnLeftover::kAdopt;
  world.job.workers.count = 1;
  world.kafka.Make(world.changelog(), 4);
  Process process(&world.kafka, "coho-operator-a-1");
  SUBCASE("the coordinator topic is gone") {}
  SUBCASE("it was made anew, and is empty") { world.kafka.Make(world.topic(), 1); }
  SUBCASE("it was made anew, and somebody who had not noticed wrote into it") {
    world.kafka.Make(world.topic(), 1);
    const Assignment after{.generation = Generation(7),
                           .reason = "",
                           .life = "before",
                           .workers = {{WorkerId(1), {Generation(7), {TaskId(0)}, {}}}}};
    for (const TopicRecord& record : EncodeAssignmentChange({}, after, WallTime()))
      world.kafka.Append(world.topic(), record);
  }
  // Who dies meanwhile has not claimed it: whoever comes next has to do it as well.
  process.hold = [](const ClusterRequest& r) { return std::holds_alternative<FenceIds>(r); };
  world.Start(process);
  REQUIRE(process.held.size() == 1);
  CHECK_FALSE(process.views[world.job.id].prepared);
  CHECK_FALSE(world.Stored().claim);
  Process next(&world.kafka, "coho-operator-a-2");
  world.Start(next);
  CHECK(next.views[world.job.id].prepared);
  CHECK(world.Stored().claim);
  CHECK(world.Fenced() == world.WorkersIds());
}

TEST_CASE("leftovers: who claimed the topic while they were being fenced is gone on with") {
  World world;
  world.job.state.on_leftover = OnLeftover::kAdopt;
  world.kafka.Make(world.changelog(), 4);
  Process slow(&world.kafka, "coho-operator-a-1");
  slow.hold = [](const ClusterRequest& r) { return std::holds_alternative<FenceIds>(r); };
  world.Start(slow);
  REQUIRE(slow.held.size() == 1);
  Process quick(&world.kafka, "coho-operator-a-2");
  world.Start(quick);
  REQUIRE(world.Stored().claim);
  const std::string life = world.Stored().claim->life;
  const size_t fenced = world.kafka.fenced.size();
  slow.Release();
  slow.Run(seconds(3));
  CHECK(slow.views[world.job.id].prepared);
  // Its workers are those of the life that has begun.
  CHECK(world.Stored().claim->life == life);
  for (size_t i = fenced + world.WorkersIds().size(); i < world.kafka.fenced.size(); ++i)
    CHECK_FALSE(world.WorkersIds().contains(world.kafka.fenced[i]));
}

TEST_CASE("leftovers: state beside a coordinator topic that does not say whose it is, is refused") {
  World world;
  world.kafka.Make(world.changelog(), 4);
  world.kafka.Make(world.topic(), 1);
  Process process(&world.kafka, "coho-operator-a-1");
  world.Start(process);
  REQUIRE(process.views[world.job.id].problem);
  const JobProblem& problem = *process.views[world.job.id].problem;
  CHECK(problem.reason == ProblemReason::kLeftoverTopics);
  CHECK(problem.message.find("does not say whose it is") != std::string::npos);
  CHECK(problem.message.find(world.changelog()) != std::string::npos);
  CHECK(problem.message.find("onLeftover: Adopt") != std::string::npos);
  CHECK(world.kafka.topics.at(world.topic()).records.empty());
  CHECK(world.kafka.fenced.empty());
}

TEST_CASE("leftovers: a job that has just begun has none, whoever goes on with its beginning") {
  World world;
  SUBCASE("the coordinator topic was made, and a broker made the heartbeats' for the workers") {
    world.kafka.Make(world.topic(), 1);
    world.kafka.Make(world.job.HeartbeatsTopic(), 1);
  }
  SUBCASE("nothing was made") {}
  Process process(&world.kafka, "coho-operator-a-1");
  world.Start(process);
  CHECK(process.views[world.job.id].prepared);
  // Kafka is away before there was a generation: what this process itself has made is nobody
  // else's.
  world.kafka.away = Unavailable("gone");
  process.state.SetJob(world.job, {"uid-1", "a", ""}, process.Now());
  process.Run(seconds(30));
  world.kafka.away.reset();
  process.Run(minutes(1));
  CHECK(process.views[world.job.id].prepared);
  CHECK(world.kafka.fenced.empty());
}

}  // namespace
}  // namespace coho
