// What fails for one job is tried again with patience, told, and harms no other.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/coordinating/process.h"

namespace coho {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using test::MemoryKafka;
using test::Process;

Job SomeJob(const std::string& name) {
  Job job;
  job.id = {"web", name};
  job.kafka.bootstrap_servers = "kafka:9092";
  job.kafka.topic_prefix = "coho-web." + name;
  job.inputs = {{"a"}};
  return job;
}

TEST_CASE("heartbeats: a topic without rights is told, asked for now and then, and harms nobody") {
  MemoryKafka kafka;
  kafka.Make("a", 4);
  Process process(&kafka, "coho-operator-a-1");
  const Job locked = SomeJob("locked");
  const Job other = SomeJob("other");
  for (const Job& job : {locked, other})
    process.state.SetJob(job, JobIdentity{"uid-" + job.id.name, "a", "cluster-1"}, process.Now());
  process.Run(seconds(3));
  REQUIRE(process.views[locked.id].prepared);
  REQUIRE(process.views[other.id].prepared);
  const std::string topic = locked.HeartbeatsTopic();
  const auto asked = [&] {
    return std::count_if(process.cluster.asked.begin(), process.cluster.asked.end(),
                         [&](const auto& request) {
                           const auto* follow = std::get_if<FollowHeartbeats>(&request);
                           return follow != nullptr && follow->topic == topic;
                         });
  };
  const auto before = asked();
  const std::string why = "topic " + topic + " partition 0: Broker: Topic authorization failed";
  // As soon as it is followed it is lost again.
  for (int i = 0; i < 600; ++i) {
    if (process.cluster.followed.erase(topic) > 0)
      process.Turn({HeartbeatsLost{topic, Unauthenticated(why)}});
    process.Run(std::chrono::milliseconds(200));
  }
  CHECK(asked() - before >= 5);
  CHECK(asked() - before <= 20);  // in two minutes
  REQUIRE(process.views[locked.id].problem);
  CHECK(process.views[locked.id].problem->reason == ProblemReason::kKafkaAuthenticationFailed);
  CHECK(process.views[locked.id].problem->message.find(why) != std::string::npos);
  CHECK_FALSE(process.views[locked.id].problem->blocks_start);
  CHECK_FALSE(process.views[other.id].problem);
  CHECK(process.cluster.followed.contains(other.HeartbeatsTopic()));

  // The right is given.
  process.Run(minutes(2));
  CHECK(process.cluster.followed.contains(topic));
  CHECK_FALSE(process.views[locked.id].problem);
}

TEST_CASE("writer: what one job cannot write is not tried all the time, for others write, too") {
  MemoryKafka kafka;
  kafka.Make("a", 4);
  Process process(&kafka, "coho-operator-a-1");
  const Job job = SomeJob("visits");
  process.state.SetJob(job, JobIdentity{"uid-1", "a", "cluster-1"}, process.Now());
  process.Run(seconds(3));
  REQUIRE(process.views[job.id].prepared);
  const auto writes = [&] {
    return std::count_if(
        process.cluster.asked.begin(), process.cluster.asked.end(),
        [](const auto& request) { return std::holds_alternative<WriteTopic>(request); });
  };
  const auto before = writes();
  kafka.next_writes.assign(1000, {.written = false, .outcome = WriteOutcome::kNotWritten});
  Heartbeat beat{.worker = WorkerId(0), .incarnation = "first", .life = "life-1"};
  beat.phase = WorkerPhase::kRunning;
  beat.report = WorkerReport{.transactional_ids = {job.TransactionalId(WorkerId(0), 0)}};
  const auto beat_for = [&](int most) {
    for (int i = 0; i < most; ++i) {
      ++beat.sequence;
      process.Hear(job.HeartbeatsTopic(), beat);
      process.Run(seconds(1));
    }
  };
  beat_for(60);
  CHECK(writes() - before >= 5);
  CHECK(writes() - before <= 20);
  kafka.next_writes.clear();
  beat_for(15);
  CHECK(process.views[job.id].assignment.workers.contains(WorkerId(0)));
}

}  // namespace
}  // namespace coho
