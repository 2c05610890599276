#include <doctest/doctest.h>

#include "tests/integration/kafka/clients.h"

namespace coho::test {
namespace {

using Texts = std::vector<std::string>;

TEST_CASE("Transactions: aborted records are invisible to read_committed, committed ones are not") {
  const std::string topic = NewTopic("tx-visible");
  const auto producer = NewProducer({.transactional_id = UniqueName("tx")});
  const auto out = Open(*producer, topic);

  REQUIRE_OK(producer->BeginTransaction());
  REQUIRE_OK(producer->Send(out, 0, {.key = "k", .value = "committed"}));
  REQUIRE_OK(producer->CommitTransaction(seconds(30)));
  REQUIRE_OK(producer->BeginTransaction());
  REQUIRE_OK(producer->Send(out, 0, {.key = "k", .value = "aborted"}));
  REQUIRE_OK(producer->Flush(seconds(30)));
  REQUIRE_OK(producer->AbortTransaction(seconds(30)));
  REQUIRE_OK(producer->BeginTransaction());
  REQUIRE_OK(producer->Send(out, 0, {.key = "k", .value = "after"}));
  REQUIRE_OK(producer->CommitTransaction(seconds(30)));

  int64_t end = 0;
  CHECK(Values(ReadAll(topic, true, &end)) == Texts{"committed", "after"});
  // Three records and three control records: the end lies behind the last control record.
  CHECK(end == 6);
  CHECK(Values(ReadAll(topic, false)) == Texts{"committed", "aborted", "after"});
}

TEST_CASE(
    "Transactions: an abort right after sending leaves the producer fit for the next transaction") {
  const std::string topic = NewTopic("tx-abort");
  const auto producer = NewProducer({.transactional_id = UniqueName("tx")});
  const auto out = Open(*producer, topic);
  for (int i = 0; i < 3; ++i) {
    REQUIRE_OK(producer->BeginTransaction());
    for (int k = 0; k < 1000; ++k)
      REQUIRE_OK(producer->Send(out, 0, {.key = "k", .value = "aborted"}));
    REQUIRE_OK(producer->AbortTransaction(seconds(30)));
    REQUIRE_OK(producer->BeginTransaction());
    REQUIRE_OK(producer->Send(out, 0, {.key = "k", .value = "kept"}));
    REQUIRE_OK(producer->CommitTransaction(seconds(30)));
  }
  CHECK(Values(ReadAll(topic)) == Texts{"kept", "kept", "kept"});
}

TEST_CASE("Transactions: input offsets are committed with the records, and dropped with them") {
  const std::string topic = NewTopic("tx-offsets");
  const std::string group = UniqueName("group");
  const auto producer = NewProducer({.transactional_id = UniqueName("tx")});
  const auto consumer = NewConsumer({.group_id = group});

  REQUIRE_OK(producer->BeginTransaction());
  REQUIRE_OK(producer->SendOffsets(group, {{{topic, 0}, 7}}, seconds(30)));
  REQUIRE_OK(producer->AbortTransaction(seconds(30)));
  CHECK(consumer->Committed({{topic, 0}}, seconds(30)).value().empty());

  REQUIRE_OK(producer->BeginTransaction());
  REQUIRE_OK(producer->SendOffsets(group, {{{topic, 0}, 11}}, seconds(30)));
  REQUIRE_OK(producer->CommitTransaction(seconds(30)));
  CHECK(consumer->Committed({{topic, 0}}, seconds(30)).value() ==
        std::map<TopicPartition, int64_t>{{{topic, 0}, 11}});
}

TEST_CASE(
    "Transactions: committed offsets are stable: those of a pending transaction are waited for") {
  const std::string topic = NewTopic("tx-stable");
  const std::string group = UniqueName("group");
  const auto producer = NewProducer({.transactional_id = UniqueName("tx")});
  const auto consumer = NewConsumer({.group_id = group});
  REQUIRE_OK(producer->BeginTransaction());
  REQUIRE_OK(producer->SendOffsets(group, {{{topic, 0}, 5}}, seconds(30)));

  const auto pending = consumer->Committed({{topic, 0}}, seconds(2));
  REQUIRE_FALSE(pending.ok());
  CAPTURE(pending.status().ToString());
  CHECK(pending.status().retry_class() == RetryClass::kRetry);

  REQUIRE_OK(producer->CommitTransaction(seconds(30)));
  CHECK(consumer->Committed({{topic, 0}}, seconds(30)).value() ==
        std::map<TopicPartition, int64_t>{{{topic, 0}, 5}});
}

TEST_CASE("Transactions: the end for read_committed is the last stable offset") {
  const std::string topic = NewTopic("tx-lso");
  const auto producer = NewProducer({.transactional_id = UniqueName("tx")});
  const auto out = Open(*producer, topic);
  const auto committed = NewConsumer();
  const auto uncommitted = NewConsumer({.read_committed = false});
  REQUIRE_OK(producer->BeginTransaction());
  REQUIRE_OK(producer->Send(out, 0, {.key = "k", .value = "1"}));
  REQUIRE_OK(producer->CommitTransaction(seconds(30)));
  REQUIRE_OK(producer->BeginTransaction());
  REQUIRE_OK(producer->Send(out, 0, {.key = "k", .value = "2"}));
  REQUIRE_OK(producer->Flush(seconds(30)));

  AwaitEnd(*committed, {topic, 0}, 2);
  AwaitEnd(*uncommitted, {topic, 0}, 3);
  REQUIRE_OK(producer->AbortTransaction(seconds(30)));
  CHECK(committed->QueryRange({topic, 0}, seconds(30)).value().begin == 0);
  AwaitEnd(*committed, {topic, 0}, 4);
}

// A transaction that is under way when its id is fenced.
struct Zombie {
  std::string topic = NewTopic("tx-zombie");
  std::string id = UniqueName("tx");
  std::unique_ptr<kafka::Producer> producer = NewProducer({.transactional_id = id});

  Zombie() {
    REQUIRE_OK(producer->BeginTransaction());
    REQUIRE_OK(Send());
    REQUIRE_OK(producer->Flush(seconds(30)));
  }
  Status Send() {
    return producer->Send(Open(*producer, topic), 0, {.key = "k", .value = "zombie"});
  }
  // Fenced at the latest when the transaction it could not commit is to be aborted.
  Status Outcome(Status status) {
    if (status.code() == Code::kAborted) status = producer->AbortTransaction(seconds(30));
    return status;
  }
};

TEST_CASE(
    "Transactions: a second producer of the same id fences the first, which finds out at its "
    "commit") {
  Zombie zombie;
  const auto heir = NewProducer({.transactional_id = zombie.id});
  const Status status = zombie.Outcome(zombie.producer->CommitTransaction(seconds(30)));
  CAPTURE(status.ToString());
  CHECK(status.code() == Code::kFenced);
  CHECK(ReadAll(zombie.topic).empty());

  REQUIRE_OK(heir->BeginTransaction());
  REQUIRE_OK(heir->Send(Open(*heir, zombie.topic), 0, {.key = "k", .value = "heir"}));
  REQUIRE_OK(heir->CommitTransaction(seconds(30)));
  CHECK(Values(ReadAll(zombie.topic)) == Texts{"heir"});
}

TEST_CASE("FenceTransactionalId: whoever writes with the id can write no more") {
  Zombie zombie;
  REQUIRE_OK(kafka::FenceTransactionalId(BrokerConfig(), zombie.id, seconds(30)));
  Status status = zombie.Send();
  if (status.ok()) status = zombie.producer->Flush(seconds(30));
  CAPTURE(status.ToString());
  status = zombie.Outcome(status);
  CAPTURE(status.ToString());
  CHECK(status.code() == Code::kFenced);
  CHECK(zombie.producer->BeginTransaction().code() == Code::kFenced);
  CHECK(ReadAll(zombie.topic).empty());
}

TEST_CASE("Transactions: the fenced learns it at SendOffsets, too") {
  Zombie zombie;
  REQUIRE_OK(kafka::FenceTransactionalId(BrokerConfig(), zombie.id, seconds(30)));
  const Status status =
      zombie.Outcome(zombie.producer->SendOffsets("g", {{{zombie.topic, 0}, 1}}, seconds(30)));
  CAPTURE(status.ToString());
  CHECK(status.code() == Code::kFenced);
}

TEST_CASE(
    "Transactions: a delivery slot knows the highest offset of its partition; aborted records "
    "count, too") {
  const std::string topic = NewTopic("tx-slot", 2);
  const auto producer = NewProducer({.transactional_id = UniqueName("tx")});
  const auto out = Open(*producer, topic);
  kafka::DeliverySlot slots[2];
  REQUIRE_OK(producer->BeginTransaction());
  for (int i = 0; i < 10; ++i)
    REQUIRE_OK(producer->Send(out, 0, {.key = "k", .value = "v"}, &slots[0]));
  for (int i = 0; i < 4; ++i)
    REQUIRE_OK(producer->Send(out, 1, {.key = "k", .value = "v"}, &slots[1]));
  REQUIRE_OK(producer->Send(out, 1, {.key = "k", .value = "without slot"}));
  REQUIRE_OK(producer->CommitTransaction(seconds(30)));
  CHECK(slots[0].last_offset == 9);
  CHECK(slots[1].last_offset == 3);
  REQUIRE_OK(producer->BeginTransaction());
  REQUIRE_OK(producer->Send(out, 0, {.key = "k", .value = "v"}, &slots[0]));
  REQUIRE_OK(producer->CommitTransaction(seconds(30)));
  CHECK(slots[0].last_offset == 11);  // behind the control record of the first transaction
}

TEST_CASE("Transactions: a record that Kafka refuses aborts the transaction, then work goes on") {
  const std::string topic = NewTopic("tx-refused", 1, {{"max.message.bytes", "1000"}});
  const auto producer = NewProducer({.transactional_id = UniqueName("tx"), .compression = "none"});
  const auto out = Open(*producer, topic);
  REQUIRE_OK(producer->BeginTransaction());
  REQUIRE_OK(producer->Send(out, 0, {.key = "k", .value = std::string(100'000, 'x')}));
  const Status status = producer->CommitTransaction(seconds(30));
  CAPTURE(status.ToString());
  CHECK(status.code() == Code::kAborted);
  CHECK(status.message().find(topic) != std::string::npos);
  REQUIRE_OK(producer->AbortTransaction(seconds(30)));
  // The record that is missing makes a gap in the producer's sequence, which costs another abort.
  Status again(Code::kAborted, "");
  for (int attempt = 0; attempt < 2 && again.code() == Code::kAborted; ++attempt) {
    REQUIRE_OK(producer->BeginTransaction());
    REQUIRE_OK(producer->Send(out, 0, {.key = "k", .value = "small"}));
    again = producer->CommitTransaction(seconds(30));
    if (!again.ok()) REQUIRE_OK(producer->AbortTransaction(seconds(30)));
  }
  REQUIRE_OK(again);
  CHECK(Values(ReadAll(topic)) == Texts{"small"});
}

}  // namespace
}  // namespace coho::test
