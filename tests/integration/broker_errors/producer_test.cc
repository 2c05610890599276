// What the transactional producer says of a broker's errors: gone over by itself, to be aborted,
// fenced, or refused.
#include "common/kafka/producer.h"

#include <doctest/doctest.h>

#include "tests/support/mock_kafka.h"

namespace coho::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Errors = std::initializer_list<KafkaError>;
using E = KafkaError;
using R = KafkaRequest;

const std::string kId = "job-worker-0-loop-0";

struct World {
  World() {
    kafka.MakeTopic("t");
    kafka.MoveCoordinator("transaction", kId, 1);
    auto made = kafka::Producer::Create(kafka.config(),
                                        {.transactional_id = kId, .linger = milliseconds(0)});
    REQUIRE(made.ok());
    producer = *std::move(made);
  }
  void Init() { Must(producer->InitTransactions(seconds(10))); }
  static void Must(const Status& status) { REQUIRE_MESSAGE(status.ok(), status.ToString()); }
  // One record; the status of the first verb that fails.
  Status Commit(Duration timeout = seconds(10)) {
    COHO_RETURN_IF_ERROR(producer->BeginTransaction());
    COHO_ASSIGN_OR_RETURN(const kafka::Producer::Topic topic, producer->OpenTopic("t"));
    COHO_RETURN_IF_ERROR(producer->Send(topic, 0, {.key = "k", .value = "v"}));
    return producer->CommitTransaction(timeout);
  }

  MockKafka kafka;
  std::unique_ptr<kafka::Producer> producer;
};

TEST_CASE("producer: what passes is asked again, and the transaction is committed once") {
  World world;
  world.Init();
  struct Case {
    R request;
    Errors errors;
  };
  for (const Case& c : {
           Case{R::kEndTxn, {E::kCoordinatorNotAvailable, E::kNotCoordinator}},
           Case{R::kEndTxn, {E::kCoordinatorLoadInProgress, E::kConcurrentTransactions}},
           Case{R::kEndTxn, {E::kConnectionCut}},
           Case{R::kAddPartitionsToTxn, {E::kConcurrentTransactions, E::kNotCoordinator}},
           Case{R::kAddPartitionsToTxn, {E::kCoordinatorLoadInProgress}},
           Case{R::kProduce, {E::kNotLeader, E::kRequestTimedOut}},
           Case{R::kProduce, {E::kStorageError, E::kNotEnoughReplicas}},
           Case{R::kProduce, {E::kConnectionCut}},
       }) {
    CAPTURE(static_cast<int>(c.request));
    CAPTURE(static_cast<int>(*c.errors.begin()));
    world.kafka.Answer(c.request, c.errors);
    World::Must(world.Commit());
  }
}

TEST_CASE("producer: initialising passes over what passes by itself") {
  World world;
  world.kafka.Answer(R::kInitProducerId, {E::kCoordinatorNotAvailable, E::kNotCoordinator,
                                          E::kConcurrentTransactions, E::kConnectionCut});
  world.Init();
  World::Must(world.Commit());
}

TEST_CASE(
    "producer: the outcome of a commit that was not answered is asked for until it is known") {
  World world;
  world.Init();
  world.kafka.AnswerLate(1, R::kEndTxn, E::kNone, milliseconds(600));
  Status status = world.Commit(milliseconds(100));
  CHECK(status.code() == Code::kDeadlineExceeded);
  int attempts = 0;
  for (; !status.ok() && attempts < 100; ++attempts) {
    CHECK(status.retry_class() == RetryClass::kRetry);
    status = world.producer->CommitTransaction(milliseconds(50));
  }
  CHECK(status.ok());
  CHECK(attempts > 1);
  World::Must(world.Commit());
}

TEST_CASE("producer: the coordinators of the transaction and of the group move") {
  World world;
  world.Init();
  world.kafka.MoveCoordinator("transaction", kId, 2);
  World::Must(world.Commit());
  world.kafka.MoveLeader("t", 0, 1);
  World::Must(world.Commit());
  world.kafka.MoveLeader("t", 0, 2);
  World::Must(world.Commit());

  world.kafka.MoveCoordinator("group", "g", 1);
  World::Must(world.producer->BeginTransaction());
  World::Must(world.producer->SendOffsets("g", {{{"t", 0}, 1}}, seconds(10)));
  World::Must(world.producer->CommitTransaction(seconds(10)));
  world.kafka.MoveCoordinator("group", "g", 2);
  world.kafka.Answer(R::kTxnOffsetCommit, {E::kNotCoordinator, E::kCoordinatorLoadInProgress});
  world.kafka.Answer(R::kAddOffsetsToTxn, {E::kConcurrentTransactions});
  World::Must(world.producer->BeginTransaction());
  World::Must(world.producer->SendOffsets("g", {{{"t", 0}, 2}}, seconds(10)));
  World::Must(world.producer->CommitTransaction(seconds(10)));
}

TEST_CASE("producer: a commit that the broker timed out on is undone, unless it was done") {
  World world;
  world.Init();
  world.kafka.Answer(R::kEndTxn, {E::kRequestTimedOut});
  REQUIRE(world.Commit().code() == Code::kAborted);
  SUBCASE("it was not: the abort is accepted") {
    World::Must(world.producer->AbortTransaction(seconds(10)));
    World::Must(world.Commit());
  }
  SUBCASE("it was: the abort is refused, and a new producer sees what became of it") {
    world.kafka.Answer(R::kEndTxn, {E::kInvalidTxnState});
    CHECK(world.producer->AbortTransaction(seconds(10)).code() == Code::kFenced);
  }
}

TEST_CASE("producer: records that are lost to the transaction cost an abort, then work goes on") {
  World world;
  world.Init();
  World::Must(world.Commit());
  world.kafka.Answer(R::kProduce, {E::kUnknownProducerId});
  const Status status = world.Commit();
  CAPTURE(status.ToString());
  CHECK(status.code() == Code::kAborted);
  World::Must(world.producer->AbortTransaction(seconds(10)));
  World::Must(world.Commit());
}

TEST_CASE(
    "producer: one whose sequence the broker does not know is replaced, as if it was fenced") {
  World world;
  world.Init();
  World::Must(world.Commit());
  world.kafka.Answer(R::kProduce, {E::kOutOfOrderSequence});
  const Status status = world.Commit();
  CAPTURE(status.ToString());
  CHECK(status.code() == Code::kFenced);
  CHECK(world.producer->BeginTransaction().code() == Code::kFenced);
}

TEST_CASE("producer: a newer one of its id fences it at whatever it asks") {
  struct Case {
    R request;
    E error;
  };
  for (const Case& c :
       {Case{R::kEndTxn, E::kProducerFenced}, Case{R::kEndTxn, E::kInvalidProducerEpoch},
        Case{R::kEndTxn, E::kInvalidTxnState}, Case{R::kAddPartitionsToTxn, E::kProducerFenced},
        Case{R::kAddPartitionsToTxn, E::kInvalidProducerEpoch},
        Case{R::kProduce, E::kInvalidProducerEpoch}}) {
    CAPTURE(static_cast<int>(c.request));
    CAPTURE(static_cast<int>(c.error));
    World world;
    world.Init();
    world.kafka.Answer(c.request, {c.error});
    // A bumped epoch may be the broker's own doing; whether it was a rival's, the abort tells.
    world.kafka.Answer(R::kInitProducerId, {E::kProducerFenced});
    Status status = world.Commit();
    if (status.code() == Code::kAborted) {
      world.kafka.Answer(R::kEndTxn, {E::kProducerFenced});
      status = world.producer->AbortTransaction(seconds(10));
    }
    CAPTURE(status.ToString());
    CHECK(status.code() == Code::kFenced);
    CHECK(world.producer->BeginTransaction().code() == Code::kFenced);
  }
}

TEST_CASE("producer: what Kafka does not allow is said as such, and not tried again") {
  struct Case {
    R request;
    E error;
  };
  for (const Case& c : {Case{R::kAddPartitionsToTxn, E::kTopicAuthorizationFailed},
                        Case{R::kAddPartitionsToTxn, E::kTransactionalIdAuthorizationFailed},
                        Case{R::kProduce, E::kTopicAuthorizationFailed},
                        Case{R::kEndTxn, E::kTransactionalIdAuthorizationFailed}}) {
    CAPTURE(static_cast<int>(c.request));
    CAPTURE(static_cast<int>(c.error));
    World world;
    world.Init();
    world.kafka.Answer(c.request, {c.error});
    const Status status = world.Commit();
    CAPTURE(status.ToString());
    CHECK(status.code() == Code::kUnauthenticated);
    CHECK(status.message().find("authorization failed") != std::string::npos);
  }
  World world;
  world.kafka.Answer(R::kInitProducerId, {E::kTransactionalIdAuthorizationFailed});
  CHECK(world.producer->InitTransactions(seconds(10)).code() == Code::kUnauthenticated);
}

TEST_CASE(
    "producer: without transactions a full queue is waited for, and the flush tells the loss") {
  World world;
  auto made = kafka::Producer::Create(world.kafka.config(), {.linger = milliseconds(0),
                                                             .queued_bytes_max = 1 << 20,
                                                             .delivery_timeout = seconds(1),
                                                             .keep_waiting = [] { return true; }});
  REQUIRE(made.ok());
  const auto topic = (*made)->OpenTopic("t").value();
  world.kafka.AnswerAll(R::kProduce, E::kNotEnoughReplicas);
  const std::string value(2000, 'v');
  for (int i = 0; i < 2000; ++i) World::Must((*made)->Send(topic, 0, {.key = "k", .value = value}));
  const Status lost = (*made)->Flush(seconds(30));
  CAPTURE(lost.ToString());
  CHECK(lost.code() == Code::kAborted);
  CHECK(lost.message().find("topic t") != std::string::npos);

  world.kafka.AnswerAll(R::kProduce, E::kNone);
  World::Must((*made)->Send(topic, 0, {.key = "k", .value = "v"}));
  World::Must((*made)->Flush(seconds(30)));
}

}  // namespace
}  // namespace coho::test
