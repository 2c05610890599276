// The shipped member over a coordinator topic in memory, turned by hand.
#include "worker/member/member.h"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "tests/support/memory_engine.h"
#include "tests/unit/worker_loop/fake_ports.h"

namespace coho::test {
namespace {

class MemoryLog final : public CoordinatorLog {
 public:
  std::vector<TopicRecord> records;
  int64_t first = 0;  // what compaction left begins here

  Result<bool> TopicsExist(Duration) override { return true; }
  Result<LogEnds> Ends(Duration) override { return LogEnds{.stable = End(), .high = End()}; }
  Status Rewind(Duration) override {
    next_ = first;
    return Status::Ok();
  }
  Status Poll(Duration, std::vector<LogRecord>* out) override {
    for (; next_ < End(); ++next_)
      out->push_back({.record = records[static_cast<size_t>(next_ - first)], .offset = next_});
    return Status::Ok();
  }
  int64_t position() const override { return next_; }
  Status Fence(const std::string&, Duration) override { return Status::Ok(); }

 private:
  [[nodiscard]] int64_t End() const { return first + static_cast<int64_t>(records.size()); }
  int64_t next_ = 0;
};

class MemoryHeartbeats final : public HeartbeatLog {
 public:
  Status Send(int64_t number, const TopicRecord&) override {
    last_ = number;
    return Status::Ok();
  }
  int64_t Delivered() override { return last_; }
  Status Flush(Duration) override { return Status::Ok(); }

 private:
  int64_t last_ = -1;
};

class NoTask final : public StreamTask {
 public:
  Status Process(const Envelope&, Collector&) override { return Status::Ok(); }
};

struct World {
  World() {
    job.id = {"test", "job"};
    job.kafka.topic_prefix = "coho-test.job";
    job.kafka.bootstrap_servers = "127.0.0.1:1";
    job.inputs = {{.topic = "in"}};
    model = MakeJobModel(job, {{"in", 2}});
    member = std::make_unique<Member>(Member::Options{
        .job = &job,
        .kafka = {.bootstrap_servers = job.kafka.bootstrap_servers},
        .coordinator_log = &log,
        .heartbeat_log = &heartbeats,
        .identity = {.id = WorkerId(0)},
        .state = {.incarnation = "me", .transactional_ids = {job.TransactionalId(WorkerId(0), 0)}},
        .engines = &engines,
        .overlays = nullptr,
        .restore_totals = &totals,
        .clock = &clock,
        .on_step = [](const LifecycleStep&) {},
        .on_ready = [] {},
        .on_drained = [] {},
        .on_failed = [](int, const std::string& message) { FAIL(message); }});
    loop = std::make_unique<RunLoop>(RunLoop::Options{
        .job = &job,
        .factory = [] { return std::make_unique<NoTask>(); },
        .ports = &ports,
        .clock = &clock,
        .on_event = [this](int32_t one,
                           LoopEvent event) { member->OnLoopEvent(one, std::move(event)); },
        .on_step = [](const LifecycleStep&) {}});
    member->SetLoops({loop.get()});
  }
  ~World() { loop->Close(); }
  // The topic as compaction leaves it: one record a key.
  void Holds(int64_t generation, const std::map<int32_t, std::vector<TaskId>>& tasks) {
    log.first += static_cast<int64_t>(log.records.size());
    Assignment after{.generation = Generation(generation), .reason = "", .life = "life"};
    for (const auto& [worker, active] : tasks) {
      after.workers[WorkerId(worker)] = {
          .generation = after.generation,
          .active = active,
          .standby = {},
          .transactional_ids = {job.TransactionalId(WorkerId(worker), 0)}};
    }
    log.records = {EncodeModel(model)};
    for (TopicRecord& record : EncodeAssignmentChange({}, after, WallTime{}))
      log.records.push_back(std::move(record));
  }
  void Turns(int n = 20) {
    for (; n > 0; --n) {
      loop->Turn();
      REQUIRE(member->Turn(Duration::zero()));
      clock.Advance(std::chrono::milliseconds(20));
    }
  }

  Job job;
  JobModel model;
  ManualClock clock;
  MemoryLog log;
  MemoryHeartbeats heartbeats;
  MemoryEngineFactory engines;
  RestoreTotals totals;
  FakeKafka kafka;
  FakePorts ports{&kafka, true};
  std::unique_ptr<Member> member;
  std::unique_ptr<RunLoop> loop;
};

TEST_CASE("member: who joins again knows only what the topic holds now, tombstones gone or not") {
  World world;
  world.Holds(1, {{0, {TaskId(0)}}, {1, {TaskId(1)}}});
  world.Turns();
  REQUIRE(world.member->status().caught_up);
  REQUIRE(world.member->status().given == std::set<TaskId>{TaskId(0)});
  // It slept for so long that what took its task away is no longer there to be read.
  world.Holds(3, {{1, {TaskId(0), TaskId(1)}}});
  world.member->OnLoopEvent(0, LoopFenced{.reason = "by its successor"});
  world.Turns();
  CHECK(world.member->status().caught_up);
  CHECK(world.member->status().generation == Generation(3));
  CHECK(world.member->status().given.empty());
}

}  // namespace
}  // namespace coho::test
