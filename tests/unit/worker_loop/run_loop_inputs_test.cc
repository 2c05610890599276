// Whether a run loop's inputs are still the topics that they were.
#include <doctest/doctest.h>

#include "common/contract/exit_codes.h"
#include "tests/unit/worker_loop/run_loop_world.h"

namespace coho::test {
namespace {

void Tell(World* world, const std::string& id) {
  world->kafka.topic_ids_told = TopicIdMap{{"in", id}};
}

TEST_CASE(
    "RunLoop: an input that was made anew is refused, though it has grown beyond the position") {
  World world;
  world.model.inputs.at("in").topic_id = "one";
  Tell(&world, "one");
  world.Write(10);
  world.Turns(1);
  world.Grant();
  world.Turns(20);
  REQUIRE(world.CountsAreExact(10));
  const auto refused = [&] {
    REQUIRE(world.Told<LoopFailed>() == 1);
    const auto& failed = std::get<LoopFailed>(world.events.back());
    CHECK(failed.exit_code == kExitStateRefused);
    CHECK(failed.message.find("input in partition 0") != std::string::npos);
    CHECK(failed.message.find("has id two, so the topic was re-created") != std::string::npos);
    CHECK(world.CountsAreExact(10));
  };
  SUBCASE("while nobody read it: before the model says so") {
    world.loop->Drain();
    world.Turns(3);
    Tell(&world, "two");
    world.Write(20);
    world.MakeLoop();
    world.Turns(1);
    world.Grant();
    world.Turns(20);
    refused();
  }
  SUBCASE("while its task runs") {
    Tell(&world, "two");
    world.Turns(100);
    refused();
  }
  SUBCASE("behind a worker that was frozen, and Kafka's answer takes its time") {
    world.clock.Advance(seconds(30));
    world.kafka.topic_ids_told.reset();
    world.Write(20);
    world.Turns(20);
    CHECK(world.probe.processed == 10);
    CHECK(world.Told<LoopFailed>() == 0);
    Tell(&world, "two");
    world.Turns(2);
    refused();
  }
}

TEST_CASE("RunLoop: a task waits for Kafka to say which topics its inputs are") {
  World world;
  world.model.inputs.at("in").topic_id = "one";
  Tell(&world, "one");
  world.Write(10);
  world.Turns(1);
  SUBCASE("that cannot be reached") { world.kafka.topic_ids_told = Unavailable("no broker"); }
  SUBCASE("that is slow") { world.kafka.topic_ids_told.reset(); }
  SUBCASE("that does not have one, for a moment") { world.kafka.topic_ids_told = TopicIdMap(); }
  world.Grant();
  world.Turns(100);
  CHECK(world.probe.processed == 0);
  CHECK(world.Told<LoopFailed>() == 0);
  Tell(&world, "one");
  world.Turns(600);
  CHECK(world.CountsAreExact(10));
}

TEST_CASE(
    "RunLoop: Kafka is asked which topics the inputs are once a second, not for each record") {
  World world;
  world.Turns(1);
  world.Grant();
  world.Turns(20);
  const int before = world.kafka.asked_for_ids;
  for (int i = 0; i < 500; ++i) {
    world.Write(10);
    world.Turns(1);
  }
  CHECK(world.kafka.asked_for_ids - before <= 11);
  CHECK(world.kafka.asked_for_ids - before >= 9);
}

}  // namespace
}  // namespace coho::test
