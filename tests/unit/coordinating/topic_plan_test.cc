#include "common/coordinating/topic_plan.h"

#include <doctest/doctest.h>

#include <functional>

namespace coho {
namespace {

struct Bench {
  Job job;
  TopicFacts facts;
  Bench() {
    job.id = {"web", "visits"};
    job.kafka.bootstrap_servers = "kafka:9092";
    job.kafka.topic_prefix = "coho-web-visits";
    job.inputs = {{"a"}, {"b"}};
    job.stores = {{"visits"}};
    job.outputs = {{"out", SerdeType::kBytes, SerdeType::kBytes, 3}};
    job.workers.count = 2;
    Has("a", 4);
    Has("b", 4);
  }
  void Has(const std::string& topic, int32_t partitions) {
    facts.topics[topic] = {topic, partitions, "id-of-" + topic};
  }
  void Pinned(int32_t partitions) {
    facts.stored.model = MakeJobModel(job, {{"a", partitions}, {"b", partitions}},
                                      {.kafka_cluster_id = "kafka-1",
                                       .topics = {{"a", "id-of-a"},
                                                  {"b", "id-of-b"},
                                                  {"coho-web-visits-visits-changelog",
                                                   "id-of-coho-web-visits-visits-changelog"}}});
    facts.stored.assignment.generation = Generation(1);
    Has("coho-web-visits-visits-changelog", partitions);
  }
};

TEST_CASE("topics: what is missing of the job's own is created, once") {
  Bench bench;
  const TopicPlan plan = PlanTopics(bench.job, bench.facts);
  CHECK_FALSE(plan.problem);
  CHECK(plan.model.tasks == 4);
  REQUIRE(plan.create.size() == 4);
  CHECK(plan.create[0].name == "out");
  CHECK(plan.create[0].partitions == 3);
  CHECK(plan.create[1].name == "coho-web-visits-coordinator");
  CHECK(plan.create[1].config.at("cleanup.policy") == "compact");
  // It is read whole at every start, and what is in a segment that is not full is never compacted.
  CHECK(std::stoi(plan.create[1].config.at("segment.bytes")) <= 16 << 20);
  CHECK(std::stoi(plan.create[1].config.at("segment.bytes")) >=
        std::stoi(plan.create[1].config.at("max.message.bytes")));
  CHECK(plan.create[2].name == "coho-web-visits-heartbeats");
  CHECK(plan.create[2].config.at("retention.ms") == "600000");
  CHECK(plan.create[3].name == "coho-web-visits-visits-changelog");
  CHECK(plan.create[3].partitions == 4);
  for (const kafka::NewTopic& topic : plan.create) bench.Has(topic.name, topic.partitions);
  CHECK(PlanTopics(bench.job, bench.facts).create.empty());
}

TEST_CASE("topics: says what is wrong, and whether the job can go on") {
  struct Row {
    const char* name;
    std::function<void(Bench&)> spoil;
    const char* reason;
    bool blocks;
    const char* says;
  };
  const Row rows[] = {
      {"no input", [](Bench& b) { b.facts.topics.erase("b"); }, "TopicMissing", true,
       "spec.inputs[1].topic: topic \"b\" does not exist on kafka:9092; create it, or correct the "
       "name"},
      {"no output", [](Bench& b) { b.job.outputs[0].partitions = 0; }, "TopicMissing", true,
       "spec.outputs[0].topic"},
      {"counts differ", [](Bench& b) { b.Has("b", 3); }, "PartitionCountsDiffer", true,
       "\"a\" has 4, \"b\" has 3"},
      {"too many workers", [](Bench& b) { b.job.workers.count = 5; }, "TooManyWorkers", true,
       "found 5"},
      {"too many workers of a running job",
       [](Bench& b) {
         b.Pinned(4);
         b.job.workers.count = 5;
       },
       "TooManyWorkers", false, "the others stay idle"},
      {"input grew",
       [](Bench& b) {
         b.Pinned(4);
         b.Has("a", 8);
       },
       "PartitionCountChanged", false, "had 4 partitions when the job was started and has 8 now"},
      {"input shrank",
       [](Bench& b) {
         b.Pinned(4);
         b.Has("a", 2);
       },
       "PartitionCountChanged", true, "made anew"},
      {"other number of tasks",
       [](Bench& b) {
         b.Pinned(4);
         b.job.inputs = {{"c"}};
         b.Has("c", 6);
       },
       "PartitionCountChanged", true, "started with 4 tasks, these inputs give 6"},
      {"input made anew",
       [](Bench& b) {
         b.Pinned(4);
         b.facts.topics["b"].id = "another";
       },
       "InputRecreated", true, "deleted and made anew since the job was started"},
      {"changelog gone",
       [](Bench& b) {
         b.Pinned(4);
         b.facts.topics.erase("coho-web-visits-visits-changelog");
       },
       "ChangelogVanished", true, "does not exist any more"},
      {"changelog made anew",
       [](Bench& b) {
         b.Pinned(4);
         b.facts.topics["coho-web-visits-visits-changelog"].id = "another";
       },
       "ChangelogVanished", true, "was deleted and made anew"},
      {"positions topic gone",
       [](Bench& b) {
         b.job.stores.clear();
         b.Pinned(4);
       },
       "ChangelogVanished", true, "positions topic \"coho-web-visits-positions\""},
      {"serde of a store changed",
       [](Bench& b) {
         b.Pinned(4);
         b.job.stores[0].value = SerdeType::kInt64;
       },
       "ChangelogUnusable", true,
       "spec.stores[0].value: found int64, but store \"visits\" holds bytes"},
      {"another Kafka cluster",
       [](Bench& b) {
         b.Pinned(4);
         b.facts.kafka_cluster_id = "kafka-2";
       },
       "OtherKafkaCluster", true, "kafka-1"},
      {"heartbeats topic with partitions", [](Bench& b) { b.Has("coho-web-visits-heartbeats", 3); },
       "ChangelogUnusable", true, "only the first is read"},
      {"changelog with other partitions",
       [](Bench& b) { b.Has("coho-web-visits-visits-changelog", 2); }, "ChangelogUnusable", true,
       "has 2 partitions, the job needs 4"},
      {"changelog that is deleted from",
       [](Bench& b) {
         b.Has("coho-web-visits-visits-changelog", 4);
         b.facts.configs["coho-web-visits-visits-changelog"]["cleanup.policy"] = "compact,delete";
       },
       "ChangelogUnusable", true, "cleanup.policy=compact,delete, need compact"},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.name));
    Bench bench;
    row.spoil(bench);
    const TopicPlan plan = PlanTopics(bench.job, bench.facts);
    REQUIRE(plan.problem);
    CHECK(NameOf(plan.problem->reason) == row.reason);
    CHECK(plan.problem->blocks_start == row.blocks);
    CHECK_MESSAGE(plan.problem->message.find(row.says) != std::string::npos, plan.problem->message);
    if (row.blocks) CHECK(plan.create.empty());
    if (!row.blocks) CHECK(plan.model.tasks == 4);
  }
}

TEST_CASE(
    "topics: inputs of a job without stores may differ, and a dead-letter topic is made when asked "
    "for") {
  Bench bench;
  bench.job.stores.clear();
  bench.Has("b", 3);
  bench.job.processing.on_error = OnError::kDeadLetter;
  bench.job.processing.dead_letter_topic = "dead";
  const TopicPlan plan = PlanTopics(bench.job, bench.facts);
  CHECK_FALSE(plan.problem);
  CHECK(plan.model.tasks == 4);
  REQUIRE(plan.create.size() == 5);
  CHECK(plan.create[1].name == "dead");
  CHECK(plan.create[1].partitions == 1);
  // Positions have to be somewhere.
  CHECK(plan.create[4].name == "coho-web-visits-positions");
  CHECK(plan.create[4].partitions == 4);
  CHECK(plan.create[4].config.at("cleanup.policy") == "compact");
}

TEST_CASE("topics: positions stay where they are, whatever stores come before") {
  Bench bench;
  bench.Pinned(4);
  bench.job.stores.insert(bench.job.stores.begin(), {"first"});
  const TopicPlan plan = PlanTopics(bench.job, bench.facts);
  CHECK_FALSE(plan.problem);
  CHECK(plan.model.positions_topic == "coho-web-visits-visits-changelog");
  CHECK(plan.model.positions_topic_id == "id-of-coho-web-visits-visits-changelog");
}

TEST_CASE("topics: a store that has a changelog again is not given what that had") {
  Bench bench;
  bench.Pinned(4);
  bench.job.stores[0].changelog = false;
  TopicPlan plan = PlanTopics(bench.job, bench.facts);
  REQUIRE_FALSE(plan.problem);
  bench.facts.stored.model = plan.model;
  bench.job.stores[0].changelog = true;
  plan = PlanTopics(bench.job, bench.facts);
  REQUIRE(plan.problem);
  CHECK(plan.problem->reason == ProblemReason::kLeftoverTopics);
  // The job's first store: whoever deleted its topic would lose the positions.
  CHECK(plan.problem->message.find("do not delete it") != std::string::npos);
  CHECK(plan.problem->message.find("Delete the topic") == std::string::npos);
}

TEST_CASE("topics: a store that comes back is not given what it had when it was taken out") {
  const std::string topic = "coho-web-visits-more-changelog";
  Bench bench;
  const auto plan_with = [&](const std::vector<StoreSpec>& stores) {
    bench.job.stores = stores;
    TopicPlan plan = PlanTopics(bench.job, bench.facts);
    if (!plan.problem) bench.facts.stored.model = plan.model;
    return plan;
  };
  bench.Pinned(4);
  const std::vector<StoreSpec> without = bench.job.stores;
  std::vector<StoreSpec> with = without;
  with.push_back({"more"});
  // A new one: its topic is made, and found by the time that it is pinned.
  REQUIRE(plan_with(with).create.size() == 4);
  bench.Has(topic, 4);
  bench.facts.stored.model->stores["more"].topic_id = "id-of-" + topic;
  REQUIRE_FALSE(plan_with(with).problem);
  SUBCASE("it was there all the time") { CHECK_FALSE(plan_with(with).problem); }
  SUBCASE("it was away, and its topic is still there") {
    REQUIRE_FALSE(plan_with(without).problem);
    REQUIRE_FALSE(plan_with(without).problem);  // and the coordinator may be another one
    const TopicPlan plan = plan_with(with);
    REQUIRE(plan.problem);
    CHECK(plan.problem->reason == ProblemReason::kLeftoverTopics);
    CHECK(plan.problem->blocks_start);
    CHECK(plan.problem->message.find(topic) != std::string::npos);
    SUBCASE("which is what the user wants") {
      bench.job.state.on_leftover = OnLeftover::kAdopt;
      REQUIRE_FALSE(plan_with(with).problem);
      bench.job.state.on_leftover = OnLeftover::kRefuse;
      CHECK_FALSE(plan_with(with).problem);
    }
    SUBCASE("and is deleted") {
      bench.facts.topics.erase(topic);
      CHECK_FALSE(plan_with(with).problem);
    }
    SUBCASE("and is deleted and made anew") {
      bench.facts.topics[topic].id = "another";
      CHECK_FALSE(plan_with(with).problem);
    }
  }
  SUBCASE("it was away, where Kafka does not tell ids") {
    for (auto& [name, store] : bench.facts.stored.model->stores) store.topic_id.clear();
    for (auto& [name, info] : bench.facts.topics) info.id.clear();
    REQUIRE_FALSE(plan_with(without).problem);
    CHECK(plan_with(with).problem);
  }
  SUBCASE("it never had a changelog") {
    with.back().changelog = false;
    with.back().name = "other";
    REQUIRE_FALSE(plan_with(with).problem);
    REQUIRE_FALSE(plan_with(without).problem);
    with.back().changelog = true;
    CHECK_FALSE(plan_with(with).problem);
  }
}

TEST_CASE("topics: what a job that never ran lacks is made, though its model is pinned") {
  Bench bench;
  bench.Pinned(4);
  bench.facts.stored.assignment.generation = Generation(0);
  bench.facts.topics.erase("coho-web-visits-visits-changelog");
  const TopicPlan plan = PlanTopics(bench.job, bench.facts);
  CHECK_FALSE(plan.problem);
  CHECK(plan.create.back().name == "coho-web-visits-visits-changelog");
}

TEST_CASE("topics: three replicas, of which two have to have what is acknowledged") {
  Bench bench;
  for (const int16_t replicas : {int16_t{-1}, int16_t{1}, int16_t{3}}) {
    bench.job.kafka.replication_factor = replicas;
    const TopicPlan plan = PlanTopics(bench.job, bench.facts);
    CHECK(plan.create.back().config.contains("min.insync.replicas") == (replicas == 3));
  }
}

}  // namespace
}  // namespace coho
