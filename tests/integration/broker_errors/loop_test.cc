// What a user notices when a broker answers a run loop with errors: nothing, an abort that is taken
// back and gone over, a fence, or an end with a code and a line that say why.
#include <doctest/doctest.h>

#include <map>
#include <optional>

#include "common/contract/exit_codes.h"
#include "common/kafka/producer.h"
#include "tests/support/memory_engine.h"
#include "tests/support/mock_kafka.h"
#include "worker/loop/kafka_ports.h"
#include "worker/loop/run_loop.h"

namespace coho::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Errors = std::initializer_list<KafkaError>;
using E = KafkaError;
using R = KafkaRequest;

const std::string kId = "job-worker-0-loop-0";

// A store that is there at once, of a task that never ran.
class EmptyRestorer final : public RestorePort {
 public:
  explicit EmptyRestorer(const Job& job) : job_(job) {}
  void Restore(RestoreRequest request) override {
    RestoredTask restored{.task = request.task};
    restored.stores.push_back(std::make_unique<TaskStore>(
        TaskStore::Options{.spec = job_.stores[0], .marker = {.job_id = job_.id.ToString()}},
        engines_.Open("a", request.task).value()));
    request.done(std::move(restored));
  }
  void Cancel(TaskId) override {}

 private:
  const Job& job_;
  MemoryEngineFactory engines_;
};

// The mock cluster does not tell topic ids; all else is asked of it.
class InputsWithIds final : public InputPort {
 public:
  explicit InputsWithIds(std::unique_ptr<InputPort> inputs) : inputs_(std::move(inputs)) {}
  Status Poll(Duration timeout, std::span<const kafka::Record>* records) override {
    return inputs_->Poll(timeout, records);
  }
  void Release() override { inputs_->Release(); }
  Status Assign(const PositionMap& positions) override { return inputs_->Assign(positions); }
  Status Unassign(const std::vector<TopicPartition>& partitions) override {
    return inputs_->Unassign(partitions);
  }
  Status AskRanges(const std::vector<TopicPartition>& partitions, Duration timeout) override {
    return inputs_->AskRanges(partitions, timeout);
  }
  std::optional<Result<RangeMap>> TakeRanges() override { return inputs_->TakeRanges(); }
  Status AskTopicIds(const std::vector<std::string>&, Duration) override { return Status::Ok(); }
  std::optional<Result<TopicIdMap>> TakeTopicIds() override { return TopicIdMap{{"in", ""}}; }
  std::optional<kafka::OffsetRange> CachedRange(const TopicPartition& partition) const override {
    return inputs_->CachedRange(partition);
  }
  void Mirror(const PositionMap& positions, Duration wait) override {
    inputs_->Mirror(positions, wait);
  }
  uint64_t records_lost() const override { return inputs_->records_lost(); }

 private:
  std::unique_ptr<InputPort> inputs_;
};

class MockPorts final : public LoopPorts {
 public:
  explicit MockPorts(KafkaLoopPorts::Options options) : ports_(std::move(options)) {}
  Result<std::unique_ptr<InputPort>> MakeInputs() override {
    COHO_ASSIGN_OR_RETURN(auto inputs, ports_.MakeInputs());
    return std::unique_ptr<InputPort>(std::make_unique<InputsWithIds>(std::move(inputs)));
  }
  Result<std::unique_ptr<OutputPort>> MakeOutputs(std::function<bool()> keep_waiting) override {
    return ports_.MakeOutputs(std::move(keep_waiting));
  }

 private:
  KafkaLoopPorts ports_;
};

// Counts its records in the store, and tells the count.
class Count final : public StreamTask {
 public:
  explicit Count(int64_t* told) : told_(*told) {}
  Status Init(TaskContext& context) override { return context.OpenStore("a", &counts_); }
  Status Process(const Envelope& in, Collector& out) override {
    const int64_t count = counts_.Get(in.key()).value_or(0) + 1;
    counts_.Put(in.key(), count);
    told_ = count;
    return out.Send("out", in.key(), count);
  }

 private:
  int64_t& told_;
  KeyValueStore<std::string_view, int64_t> counts_;
};

struct World {
  explicit World(Guarantee guarantee = Guarantee::kExactlyOnce, Duration session = seconds(6))
      : job(MakeJob(guarantee)) {
    job.failover.session_timeout = session;
    for (const char* topic : {"in", "out", "a-changelog"}) kafka.MakeTopic(topic);
    kafka.MoveCoordinator("transaction", kId, 1);
    kafka.MoveCoordinator("group", job.ConsumerGroup(), 1);
    job.kafka.topic_prefix = "job";
    model = MakeJobModel(job, {{"in", 1}});
    model.stores.at("a").changelog = model.positions_topic = "a-changelog";
    ports = std::make_unique<MockPorts>(KafkaLoopPorts::Options{.job = &job,
                                                                .kafka = kafka.config(),
                                                                .transactional_id = kId,
                                                                .producer_queue_bytes = 1 << 20});
    if (guarantee == Guarantee::kAtLeastOnce) lease.Renew(Clock::Real().Now(), Clock::Real());
    loop = std::make_unique<RunLoop>(RunLoop::Options{
        .job = &job,
        .factory = [this] { return std::make_unique<Count>(&told); },
        .ports = ports.get(),
        .commit = {.commit_interval = milliseconds(10)},
        .lease = guarantee == Guarantee::kAtLeastOnce ? &lease : nullptr,
        .on_event = [this](int32_t, LoopEvent event) { events.push_back(std::move(event)); },
        .on_step = [](const LifecycleStep&) {}});
    auto made = kafka::Producer::Create(kafka.config(), {.linger = Duration::zero()});
    REQUIRE(made.ok());
    input = *std::move(made);
  }
  static Job MakeJob(Guarantee guarantee) {
    Job job;
    job.id = JobId{"test", "job"};
    job.inputs = {{.topic = "in", .start_from = StartFrom::kEarliest}};
    job.outputs = {{.topic = "out", .value = SerdeType::kInt64}};
    job.stores = {{.name = "a", .value = SerdeType::kInt64}};
    job.processing.guarantee = guarantee;
    return job;
  }
  void TurnUntil(const std::string& what, const std::function<bool()>& done) {
    const MonotonicTime deadline = Clock::Real().Now() + seconds(30);
    while (!done()) {
      REQUIRE_MESSAGE(Clock::Real().Now() < deadline, "waited in vain: " << what);
      const Duration wait = loop->Turn();
      if (wait > Duration::zero()) loop->WaitForMessage(std::min<Duration>(wait, milliseconds(2)));
    }
  }
  template <class Event>
  [[nodiscard]] const Event* Told() const {
    for (const LoopEvent& event : events) {
      if (const auto* found = std::get_if<Event>(&event)) return found;
    }
    return nullptr;
  }
  void Run() {
    TurnUntil("ready", [&] { return Told<LoopReady>() != nullptr; });
    loop->GrantTask({.task = TaskId(0),
                     .number = 1,
                     .model = &model,
                     .restorer = &restorer,
                     .lease_epoch = lease.epoch()});
    Feed();
    TurnUntil("the first record", [&] { return Committed(); });
    REQUIRE(told == fed);
  }
  void Feed(int records = 1) {
    const auto topic = input->OpenTopic("in").value();
    for (int i = 0; i < records; ++i)
      REQUIRE(input->Send(topic, 0, {.key = "k", .value = "v"}).ok());
    REQUIRE(input->Flush(seconds(10)).ok());
    fed += records;
  }
  [[nodiscard]] bool Committed() const {
    const LoopStatus status = loop->status();
    return !status.tasks.empty() && !status.tasks[0].inputs.empty() &&
           status.tasks[0].inputs[0].committed == fed;
  }
  // Feeds a record whose way meets these errors; it and the next one are counted once.
  void GoesOn(const std::function<void()>& errors) {
    Feed();
    errors();
    TurnUntil("the record", [&] { return Committed(); });
    CHECK(told == fed);
    Feed();
    TurnUntil("the next record", [&] { return Committed(); });
    CHECK(told == fed);
    CHECK(events.size() == 1);
  }

  MockKafka kafka;
  Job job;
  JobModel model;
  std::unique_ptr<MockPorts> ports;
  EmptyRestorer restorer{job};
  Lease lease{seconds(60)};
  std::vector<LoopEvent> events;
  std::unique_ptr<RunLoop> loop;
  std::unique_ptr<kafka::Producer> input;
  int64_t told = 0;
  int64_t fed = 0;
};

TEST_CASE("loop: errors that pass are not noticed, and every record counts once") {
  World world;
  world.kafka.Answer(R::kInitProducerId, {E::kCoordinatorNotAvailable, E::kNotCoordinator});
  world.Run();
  for (const E error : {E::kCoordinatorNotAvailable, E::kNotCoordinator, E::kConcurrentTransactions,
                        E::kConnectionCut})
    world.GoesOn([&] { world.kafka.Answer(R::kEndTxn, {error}); });
  for (const E error : {E::kNotLeader, E::kRequestTimedOut, E::kStorageError, E::kConnectionCut})
    world.GoesOn([&] { world.kafka.Answer(R::kProduce, {error}); });
  world.GoesOn([&] {
    world.kafka.Answer(R::kAddPartitionsToTxn, {E::kConcurrentTransactions, E::kNotCoordinator});
  });
  world.GoesOn([&] { world.kafka.MoveCoordinator("transaction", kId, 2); });
  CHECK(world.loop->status().commit_aborts == 0);
}

TEST_CASE("loop: a commit whose answer is late is waited for, and counts once") {
  World world;
  world.Run();
  world.GoesOn([&] { world.kafka.AnswerLate(1, R::kEndTxn, E::kNone, milliseconds(1200)); });
  CHECK(world.loop->status().commit_aborts == 0);
}

TEST_CASE("loop: the group's coordinator moves under a proof, which needs it") {
  World world;
  world.Run();
  world.kafka.MoveCoordinator("group", world.job.ConsumerGroup(), 2);
  world.kafka.Answer(R::kTxnOffsetCommit, {E::kNotCoordinator, E::kCoordinatorLoadInProgress});
  world.kafka.Answer(R::kAddOffsetsToTxn, {E::kConcurrentTransactions, E::kNotCoordinator});
  world.loop->Prove(7);
  world.TurnUntil("the proof", [&] { return world.Told<LoopProved>() != nullptr; });
  CHECK(world.Told<LoopProved>()->generation == 7);
  CHECK(world.loop->status().commit_aborts == 0);
}

TEST_CASE("loop: a transaction that is lost is taken back, stores too, and done again, once") {
  struct Case {
    R request;
    E error;
  };
  for (const Case& c :
       {Case{R::kProduce, E::kUnknownProducerId}, Case{R::kEndTxn, E::kRequestTimedOut}}) {
    CAPTURE(static_cast<int>(c.error));
    World world;
    world.Run();
    world.GoesOn([&] { world.kafka.Answer(c.request, {c.error}); });
    CHECK(world.loop->status().commit_aborts >= 1);
  }
}

TEST_CASE("loop: fenced by a newer process of its id, it drops all and writes nothing more") {
  struct Case {
    R request;
    E error;
  };
  for (const Case& c :
       {Case{R::kEndTxn, E::kProducerFenced}, Case{R::kAddPartitionsToTxn, E::kProducerFenced},
        Case{R::kProduce, E::kOutOfOrderSequence}}) {
    CAPTURE(static_cast<int>(c.request));
    World world;
    world.Run();
    world.Feed();
    world.kafka.Answer(c.request, {c.error});
    world.TurnUntil("the fence", [&] { return world.Told<LoopFenced>() != nullptr; });
    CHECK_FALSE(world.Told<LoopFenced>()->own_timeout);
    CHECK(world.loop->status().tasks.empty());
    // Until the member says so.
    world.loop->Rejoin();
    world.TurnUntil("ready again",
                    [&] { return std::holds_alternative<LoopReady>(world.events.back()); });
  }
}

TEST_CASE("loop: what Kafka does not allow ends the worker at once, with its own code and line") {
  for (const Guarantee guarantee : {Guarantee::kExactlyOnce, Guarantee::kAtLeastOnce}) {
    World world(guarantee);
    world.Run();
    const R request = guarantee == Guarantee::kExactlyOnce ? R::kAddPartitionsToTxn : R::kProduce;
    world.Feed();
    world.kafka.Answer(request, {E::kTopicAuthorizationFailed});
    world.TurnUntil("the end", [&] { return world.Told<LoopFailed>() != nullptr; });
    CAPTURE(world.Told<LoopFailed>()->message);
    CHECK(world.Told<LoopFailed>()->exit_code == kExitKafkaCredentials);
    CHECK(world.Told<LoopFailed>()->message.find("uthorization failed") != std::string::npos);
  }
}

TEST_CASE("loop: transactions that are longer than brokers allow are the job file's matter") {
  World world;
  world.kafka.AnswerAll(R::kInitProducerId, E::kInvalidTransactionTimeout);
  world.TurnUntil("the end", [&] { return world.Told<LoopFailed>() != nullptr; });
  CAPTURE(world.Told<LoopFailed>()->message);
  CHECK(world.Told<LoopFailed>()->exit_code == kExitJobFile);
  CHECK(world.Told<LoopFailed>()->message.find("initialising a producer") != std::string::npos);
}

TEST_CASE("loop: AtLeastOnce loses nothing to errors that pass") {
  World world(Guarantee::kAtLeastOnce);
  world.Run();
  for (const E error : {E::kNotLeader, E::kRequestTimedOut, E::kStorageError, E::kConnectionCut})
    world.GoesOn([&] { world.kafka.Answer(R::kProduce, {error}); });
  CHECK(world.loop->status().commit_aborts == 0);
}

TEST_CASE("loop: AtLeastOnce, and Kafka takes nothing for long: the worker lives, and goes on") {
  World world(Guarantee::kAtLeastOnce, seconds(1));
  world.Run();
  world.Feed(20'000);  // more than the queue takes
  world.kafka.AnswerAll(R::kProduce, E::kNotEnoughReplicas);
  // Longer than eight attempts.
  const MonotonicTime end = Clock::Real().Now() + seconds(18);
  world.TurnUntil("time to pass",
                  [&] { return Clock::Real().Now() > end || world.events.size() > 1; });
  if (const auto* failed = world.Told<LoopFailed>()) MESSAGE(failed->message);
  REQUIRE(world.events.size() == 1);
  CHECK(world.loop->status().commit_aborts >= 1);
  world.kafka.AnswerAll(R::kProduce, E::kNone);
  world.TurnUntil("the records", [&] { return world.Committed(); });
  CHECK(world.told == world.fed);
}

}  // namespace
}  // namespace coho::test
