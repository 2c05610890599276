// The run loop turned by hand over a Kafka in memory.
#include "worker/loop/run_loop.h"

#include <doctest/doctest.h>

#include "common/contract/exit_codes.h"
#include "tests/unit/worker_loop/run_loop_world.h"

namespace coho::test {
namespace {

TEST_CASE("RunLoop: counts, commits positions with the state, and goes on there after a restart") {
  World world;
  world.Write(30);
  world.Turns(1);
  CHECK(world.Told<LoopReady>() == 1);
  world.Grant();
  world.Turns(20);
  CHECK(world.CountsAreExact(30));
  CHECK(world.Recorded() == 30);
  // A clean end: the stores are in the engines.
  world.loop->Drain();
  world.Turns(3);
  CHECK(world.Told<TaskClosed>() == 1);
  CHECK(world.Told<LoopStopped>() == 1);
  CHECK(world.loop->ended());
  // What the group remembers is a mirror: wrong offsets there, or none, change nothing.
  CHECK(world.kafka.group_offsets[kIn] == 30);
  world.kafka.group_offsets = {{kIn, 3}};
  world.MakeLoop();
  world.Write(12);
  world.Turns(1);
  world.Grant();
  world.Turns(20);
  CHECK(world.CountsAreExact(42));
}

TEST_CASE("RunLoop: startFrom Latest is durable before the first record, whatever is aborted") {
  World world(Guarantee::kExactlyOnce, StartFrom::kLatest);
  world.Write(10);  // before the job
  world.Turns(1);
  world.kafka.next_commits = {Aborted("the first one fails")};
  world.Grant();
  world.Turns(1);
  CHECK(world.probe.processed == 0);
  CHECK(world.Recorded() == -1);
  world.Write(5);  // between the failed attempt and the next
  world.Turns(20);
  CHECK(world.Recorded() == 15);
  CHECK(world.kafka.log[kOut].size() == 5);
  // The very first transaction of the partition held its position and nothing else.
  const auto first =
      DecodePositionsRecord(*world.kafka.log[{world.model.positions_topic, 0}][0].value);
  REQUIRE(first.ok());
  CHECK(FindPosition(*first, "in", 0)->next == 10);
}

TEST_CASE("RunLoop: an abort takes back all stores, also one without changelog, and closes none") {
  World world;
  world.Write(9);
  world.Turns(1);
  world.Grant();
  world.Turns(10);
  REQUIRE(world.CountsAreExact(9));
  world.Write(9);
  world.kafka.next_commits = {Aborted("once"), Status::Ok(), Aborted("twice")};
  world.Turns(60);
  world.Write(9);
  world.Turns(60);
  CHECK(world.CountsAreExact(27));
  CHECK(world.restorer.restores == 1);
  CHECK(world.probe.inits == 3);  // made anew after each abort
  CHECK(world.loop->status().commit_aborts == 2);
  world.loop->Drain();
  world.Turns(3);
  for (const char* store : {"a", "b"}) {
    CAPTURE(store);
    auto engine = world.engines.Open(store, TaskId(0));
    TaskStore opened({.spec = world.job.stores[0], .marker = {}}, std::move(engine).value());
    KeyValueStore<std::string_view, int64_t> counts;
    REQUIRE(counts.Bind(&opened).ok());
    CHECK(counts.Get("k0") == 9);
  }
}

TEST_CASE("RunLoop: what two stores refuse of one record is charged to that record alone") {
  World world;
  world.job.processing.on_error = OnError::kSkip;
  world.restorer.record_bytes_max = 64;
  world.Turns(1);
  world.Grant();
  world.Turns(5);
  world.kafka.Add(kIn, std::string(100, 'k'), "v");
  for (int i = 0; i < 3; ++i) world.kafka.Add(kIn, "k", "v");
  world.Turns(50);
  const TaskCounters counters = world.loop->status().counters.at(TaskId(0));
  CHECK(counters.skipped == 1);
  CHECK(counters.processed == 3);
}

TEST_CASE("RunLoop: eight aborts in a row end the worker and say why") {
  World world;
  world.Turns(1);
  world.Grant();
  world.Turns(5);
  world.Write(1);
  world.kafka.next_commits.assign(8, Aborted("the record is too large"));
  world.Turns(900);
  REQUIRE(world.Told<LoopFailed>() == 1);
  const auto& failed = std::get<LoopFailed>(world.events.back());
  CHECK(failed.exit_code == kExitKafkaUnavailable);
  CHECK(failed.message.find("the record is too large") != std::string::npos);
}

TEST_CASE(
    "RunLoop: a commit that is not acknowledged is gone on with, the records behind it wait") {
  World world;
  world.Turns(1);
  world.Grant();
  world.Turns(5);
  world.Write(100);
  world.kafka.next_commits.assign(50, DeadlineExceeded("no answer"));
  world.probe.on_process = [&](int processed) {
    if (processed % 10 == 0)
      world.clock.Advance(milliseconds(60));  // a commit falls due in mid-batch
  };
  world.Turns(3);
  const int before = world.probe.processed;
  CHECK(before < 100);
  world.Turns(30);
  CHECK(world.probe.processed == before);
  CHECK(world.kafka.log[kOut].empty());
  world.Turns(60);
  CHECK(world.CountsAreExact(100));
}

TEST_CASE("RunLoop: a proof is a transaction that began after the question") {
  World world;
  world.Turns(1);
  const auto proved = [&](int64_t generation) {
    return world.Told([=](const LoopEvent& e) {
      const auto* p = std::get_if<LoopProved>(&e);
      return p != nullptr && p->generation == generation;
    });
  };
  SUBCASE("a loop without tasks shows a witness") {
    world.loop->Prove(4);
    world.kafka.next_commits = {DeadlineExceeded("slow"), DeadlineExceeded("slow")};
    world.Turns(1);
    CHECK(proved(4) == 0);
    world.Turns(1);
    CHECK(proved(4) == 1);
    CHECK(world.kafka.witnessed == 1);
    CHECK(world.kafka.committed == 1);
  }
  SUBCASE("an idle task's positions are sent again") {
    world.Grant();
    world.Turns(20);
    const int committed = world.kafka.committed;
    world.loop->Prove(5);
    world.Turns(2);
    CHECK(proved(5) == 1);
    CHECK(world.kafka.committed == committed + 1);
    CHECK(world.kafka.witnessed == 0);
  }
  SUBCASE("a transaction that is open already proves nothing") {
    world.Grant();
    world.Turns(20);
    world.Write(1);
    world.Turns(1, Duration::zero());  // commits at once, and not again so soon
    world.Write(5);
    world.Turns(1, Duration::zero());
    REQUIRE(world.kafka.transaction_open);
    const int begun = world.kafka.begun;
    world.loop->Prove(6);
    world.Turns(1);
    CHECK(proved(6) == 1);
    CHECK(world.kafka.begun == begun + 1);
  }
  SUBCASE("a fenced loop proves nothing") {
    world.kafka.next_commits = {Fenced("by another")};
    world.loop->Prove(7);
    world.Turns(3);
    CHECK(proved(7) == 0);
    CHECK(world.Told<LoopFenced>() == 1);
  }
}

TEST_CASE("RunLoop: after a fence nothing is written until the member says so") {
  World world;
  world.Turns(1);
  world.Grant();
  world.Turns(5);
  world.Write(10);
  world.kafka.next_commits = {Fenced("by another")};
  world.Turns(10);
  REQUIRE(world.Told<LoopFenced>() == 1);
  CHECK_FALSE(std::get<LoopFenced>(world.events.back()).own_timeout);
  world.Grant();  // was on its way
  world.Turns(10);
  CHECK(world.restorer.restores == 1);
  CHECK(world.kafka.log[kOut].empty());
  world.loop->Rejoin(1);
  world.Turns(2);
  CHECK(world.Told<LoopReady>() == 2);
  world.Grant();
  world.Turns(20);
  CHECK(world.CountsAreExact(10));
}

TEST_CASE("RunLoop: a transaction that user code kept open too long is no sign of a rival") {
  World world;
  world.Turns(1);
  world.Grant();
  world.Turns(5);
  world.Write(2);
  world.probe.on_process = [&](int processed) {
    if (processed == 2) world.clock.Advance(seconds(30));
  };
  world.kafka.next_commits = {Fenced("the broker raised the epoch")};
  world.Turns(3);
  REQUIRE(world.Told<LoopFenced>() == 1);
  CHECK(std::get<LoopFenced>(world.events.back()).own_timeout);
}

TEST_CASE("RunLoop: records that are slow are committed one by one after they outlasted a commit") {
  World world;
  world.Turns(1);
  world.Grant();
  world.Turns(5);
  world.Write(5);
  world.probe.on_process = [&](int) {
    if (world.kafka.transaction_open) world.kafka.outlasted = true;
    world.clock.Advance(seconds(25));
  };
  world.Turns(3);
  REQUIRE(world.Told<LoopFenced>() == 1);
  CHECK(std::get<LoopFenced>(world.events.back()).own_timeout);
  world.loop->Rejoin();
  world.Turns(2);
  world.Grant();
  world.Turns(40);
  CHECK(world.Told<LoopFenced>() == 1);
  CHECK(world.CountsAreExact(5));
}

TEST_CASE("RunLoop: AtLeastOnce stops in the middle of a batch when its lease is over") {
  World world(Guarantee::kAtLeastOnce);
  world.keep_lease = true;
  world.Turns(1);
  world.Grant();
  world.Turns(5);
  world.Write(200);
  world.probe.on_process = [&](int processed) {
    if (processed == 40) world.clock.Advance(seconds(7));
  };
  world.keep_lease = false;
  world.Turns(3);
  CHECK(world.Told<LoopFenced>() == 1);
  CHECK(world.probe.processed < 40 + 17);
  CHECK(world.Recorded() < 40);  // nothing was committed afterwards
  // And nothing is lost by it.
  world.keep_lease = true;
  world.Turns(1);
  world.loop->Rejoin(1);
  world.Turns(2);
  world.Grant();
  world.Turns(30);
  CHECK(world.Recorded() == 200);
  std::map<std::string, int> highest;
  for (const StoredRecord& r : world.kafka.log[kOut])
    highest[r.key] = std::max(highest[r.key], std::atoi(r.value->c_str()));
  CHECK(highest["k0"] >= 67);
}

TEST_CASE(
    "RunLoop: AtLeastOnce writes no positions when the lease ends between changelog and "
    "positions") {
  World world(Guarantee::kAtLeastOnce);
  world.keep_lease = true;
  world.Turns(1);
  world.Grant();
  world.Turns(5);
  world.Write(10);
  world.keep_lease = false;
  world.kafka.on_flush = [&] { world.clock.Advance(seconds(7)); };
  world.Turns(10);
  CHECK(world.Told<LoopFenced>() == 1);
  CHECK(world.Recorded() == 0);
}

TEST_CASE("RunLoop: AtLeastOnce counts a record that Kafka gave up on as not processed") {
  World world(Guarantee::kAtLeastOnce);
  world.keep_lease = true;
  world.Turns(1);
  world.Grant();
  world.Turns(5);
  world.Write(10);
  world.kafka.next_flushes = {DeadlineExceeded("not yet"), Aborted("given up on")};
  world.Turns(30);
  CHECK(world.Recorded() == 10);
  CHECK(world.probe.inits == 2);
  CHECK(world.CountsAreExact(10));
}

TEST_CASE("RunLoop: a revocation is seen within a few records, and commits what was done") {
  World world;
  world.Turns(1);
  world.Grant();
  world.Turns(5);
  world.Write(1000);
  world.probe.on_process = [&](int processed) {
    if (processed == 100) world.loop->RevokeTask(TaskId(0), 1);
  };
  world.Turns(1);
  CHECK(world.Told<TaskClosed>() == 1);
  CHECK(world.probe.processed < 100 + 17);
  CHECK(world.CountsAreExact(world.probe.processed));
  CHECK(world.Recorded() == world.probe.processed);
}

TEST_CASE("RunLoop: giving up is seen within a few records") {
  World world;
  world.Turns(1);
  world.Grant();
  world.Turns(5);
  world.Write(1000);
  world.probe.on_process = [&](int processed) {
    if (processed == 100) world.loop->GiveUp();
  };
  world.Turns(1);
  CHECK(world.loop->ended());
  CHECK(world.probe.processed < 100 + 17);
  CHECK(world.kafka.log[kOut].size() < 100);  // without a commit
}

TEST_CASE("RunLoop: a task that comes back is not placed by an answer from before it was away") {
  World world;
  world.Turns(1);
  world.kafka.tells_ranges = false;
  world.Grant();
  world.Turns(3);  // Kafka was asked
  world.loop->RevokeTask(TaskId(0), world.grants);
  world.Turns(3);
  REQUIRE(world.Told<TaskClosed>() == 1);
  // Another worker has the task meanwhile, and goes on with it.
  world.Write(10);
  world.kafka.log[{world.restorer.topic, 0}].push_back(
      {std::string(kPositionsKey), EncodePositionsRecord({{"in", "", 0, 10}})});
  world.Grant();
  world.Turns(3);
  world.kafka.tells_ranges = true;
  world.Turns(10);
  CHECK(world.Told<LoopFailed>() == 0);
  CHECK(world.Recorded() == 10);
  world.Write(1);
  world.Turns(10);
  CHECK(world.Recorded() == 11);
}

TEST_CASE(
    "RunLoop: at its end it shows positions of what it closed then, not of what others have") {
  World world;
  world.Turns(1);
  world.Grant();
  world.Write(5);
  world.Turns(20);
  world.loop->RevokeTask(TaskId(0), world.grants);
  world.Turns(5);
  REQUIRE(world.kafka.group_offsets.at(kIn) == 5);
  SUBCASE("closed lately: what was shown then may not have arrived") {
    world.kafka.group_offsets.clear();
    world.loop->Close();
    CHECK(world.kafka.group_offsets.at(kIn) == 5);
  }
  SUBCASE("closed long ago: another worker is further") {
    world.kafka.group_offsets[kIn] = 900;
    world.clock.Advance(seconds(60));
    world.loop->Close();
    CHECK(world.kafka.group_offsets.at(kIn) == 900);
  }
}

TEST_CASE("RunLoop: an input partition without leader keeps only its own task from starting") {
  World world;
  world.model.tasks = world.model.inputs.at("in").partitions = 2;
  world.kafka.leaderless = TopicPartition{"in", 1};
  world.Turns(1);
  world.Grant();
  world.loop->GrantTask({.task = TaskId(1),
                         .number = ++world.grants,
                         .model = &world.model,
                         .restorer = &world.restorer,
                         .lease_epoch = 0});
  world.Write(3);
  for (int i = 0; i < 2; ++i) world.kafka.Add({"in", 1}, "k", "v");
  world.Turns(20);
  CHECK(world.Recorded() == 3);
  CHECK_FALSE(world.restorer.Recorded(TaskId(1)).has_value());
  world.kafka.leaderless.reset();
  world.Turns(2000);
  CHECK(FindPosition(world.restorer.Recorded(TaskId(1)).value(), "in", 1)->next == 2);
  CHECK(world.Told<LoopFailed>() == 0);
}

TEST_CASE("RunLoop: what retention deleted while the task did not run is told as lost") {
  World world;
  world.Turns(1);
  world.Grant();
  world.Write(5);
  world.Turns(20);
  REQUIRE(world.Recorded() == 5);
  world.MakeLoop();
  world.Write(10);
  world.kafka.first[kIn] = 8;
  world.Turns(1);
  world.Grant();
  world.Turns(20);
  CHECK(world.Recorded() == 15);
  CHECK(world.loop->status().records_lost == 3);
}

TEST_CASE("RunLoop: state without positions is refused") {
  World world;
  world.Turns(1);
  world.restorer.state_without_positions = "store a holds 3 keys";
  world.Grant();
  world.Turns(5);
  REQUIRE(world.Told<LoopFailed>() == 1);
  CHECK(std::get<LoopFailed>(world.events.back()).message.find("store a holds 3 keys") !=
        std::string::npos);
  CHECK(world.probe.inits == 0);
}

TEST_CASE("RunLoop: a factory that makes nothing is a failed task") {
  World world;
  world.bad_factory = true;
  world.Turns(1);
  world.Grant();
  world.Turns(5);
  REQUIRE(world.Told<LoopFailed>() == 1);
  CHECK(std::get<LoopFailed>(world.events.back()).exit_code == kExitTaskFailed);
}

TEST_CASE("RunLoop: a restore that failed is tried again, a full disk ends the worker") {
  World world;
  world.Turns(1);
  SUBCASE("Kafka") {
    world.restorer.failure = Unavailable("no broker");
    world.Grant();
    world.Turns(50);
    CHECK(world.loop->status().tasks[0].report.state == TaskState::kRunning);
  }
  SUBCASE("disk") {
    world.restorer.failure = ResourceExhausted("no space left");
    world.Grant();
    world.Turns(3);
    REQUIRE(world.Told<LoopFailed>() == 1);
    CHECK(std::get<LoopFailed>(world.events.back()).exit_code == kExitStore);
  }
}

}  // namespace
}  // namespace coho::test
