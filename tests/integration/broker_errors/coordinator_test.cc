// What a coordinator's writes make of a broker's errors: written, certainly not written, unknown,
// or fenced.
#include <doctest/doctest.h>

#include "common/coordinating/kafka_cluster.h"
#include "tests/support/mock_kafka.h"

namespace coho::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using E = KafkaError;
using R = KafkaRequest;

struct World {
  World() : cluster(kafka.config(), 1) {
    kafka.MakeTopic("coordinator");
    kafka.MoveCoordinator("transaction", "writer", 1);
  }
  template <class Answer>
  Answer Ask(ClusterRequest request) {
    const RequestId id = ++asked;
    cluster.Ask(id, std::move(request));
    for (;;) {
      for (ClusterEvent& event : cluster.Take(seconds(60), 100)) {
        auto* answered = std::get_if<Answered>(&event);
        if (answered != nullptr && answered->request == id)
          return std::get<Answer>(std::move(answered->answer));
      }
    }
  }
  void Open() {
    const auto opened = Ask<WriterOpened>(OpenWriter{"writer"});
    REQUIRE_MESSAGE(opened.status.ok(), opened.status.ToString());
    writer = opened.writer;
  }
  WriteEnded Write() {
    return Ask<WriteEnded>(WriteTopic{.writer = writer,
                                      .topic = "coordinator",
                                      .records = {{.key = "assignment", .value = "{}"}}});
  }

  MockKafka kafka;
  KafkaCluster cluster;
  RequestId asked = 0;
  int64_t writer = 0;
};

TEST_CASE("coordinator: what passes is asked again, and the generation is written") {
  World world;
  world.kafka.Answer(R::kInitProducerId, {E::kCoordinatorNotAvailable, E::kNotCoordinator});
  world.Open();
  world.kafka.Answer(R::kEndTxn,
                     {E::kNotCoordinator, E::kConcurrentTransactions, E::kConnectionCut});
  world.kafka.Answer(R::kAddPartitionsToTxn, {E::kConcurrentTransactions});
  world.kafka.Answer(R::kProduce, {E::kNotLeader, E::kStorageError});
  CHECK(world.Write().outcome == WriteOutcome::kWritten);
  world.kafka.MoveCoordinator("transaction", "writer", 2);
  CHECK(world.Write().outcome == WriteOutcome::kWritten);
}

TEST_CASE("coordinator: a record that is lost before the commit is certainly not written") {
  World world;
  world.Open();
  world.kafka.Answer(R::kProduce, {E::kUnknownProducerId});
  CHECK(world.Write().outcome == WriteOutcome::kNotWritten);
  CHECK(world.Write().outcome == WriteOutcome::kWritten);  // with the same writer
}

TEST_CASE("coordinator: a rival's epoch fences the writer, whatever it asks") {
  struct Case {
    R request;
    E error;
  };
  for (const Case& c :
       {Case{R::kEndTxn, E::kProducerFenced}, Case{R::kAddPartitionsToTxn, E::kProducerFenced},
        Case{R::kProduce, E::kOutOfOrderSequence}}) {
    CAPTURE(static_cast<int>(c.request));
    World world;
    world.Open();
    world.kafka.Answer(c.request, {c.error});
    const WriteEnded ended = world.Write();
    CAPTURE(ended.status.ToString());
    CHECK(ended.outcome == WriteOutcome::kFenced);
    // It is closed; one who is still the coordinator opens another.
    CHECK(world.Write().outcome == WriteOutcome::kNotWritten);
    world.Open();
    CHECK(world.Write().outcome == WriteOutcome::kWritten);
  }
}

TEST_CASE("coordinator: a job whose topic takes nothing does not keep the others for long") {
  World world;
  world.Open();
  world.kafka.AnswerAll(R::kProduce, E::kNotLeader);
  const MonotonicTime before = Clock::Real().Now();
  const WriteEnded ended = world.Write();
  CAPTURE(ended.status.ToString());
  CHECK(Clock::Real().Now() - before < seconds(8));
  CHECK(ended.outcome == WriteOutcome::kNotWritten);
  world.kafka.AnswerAll(R::kProduce, E::kNone);
  CHECK(world.Write().outcome == WriteOutcome::kWritten);  // with the same writer
}

TEST_CASE("coordinator: a missing right is said, and nothing is written") {
  World world;
  world.Open();
  world.kafka.Answer(R::kAddPartitionsToTxn, {E::kTopicAuthorizationFailed});
  const WriteEnded ended = world.Write();
  CHECK(ended.outcome == WriteOutcome::kNotWritten);
  CHECK(ended.status.code() == Code::kUnauthenticated);
  world.kafka.Answer(R::kInitProducerId, {E::kTransactionalIdAuthorizationFailed});
  CHECK(world.Ask<WriterOpened>(OpenWriter{"writer"}).status.code() == Code::kUnauthenticated);
}

}  // namespace
}  // namespace coho::test
