// librdkafka's mock cluster: real clients talk to it over sockets, and a test says which error the
// next request of a kind is answered with. It knows transactional ids and their epochs, but no
// isolation: records of aborted transactions can be read like others.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/kafka/config.h"

namespace coho::test {

// Kafka's names of requests and errors, with its numbers.
enum class KafkaRequest : int16_t {
  kProduce = 0,
  kFetch = 1,
  kListOffsets = 2,
  kFindCoordinator = 10,
  kInitProducerId = 22,
  kAddPartitionsToTxn = 24,
  kAddOffsetsToTxn = 25,
  kEndTxn = 26,
  kTxnOffsetCommit = 28,
};
enum class KafkaError : int {
  kConnectionCut = -195,  // no answer; the connection is closed
  kNone = 0,
  kNotLeader = 6,
  kRequestTimedOut = 7,
  kCoordinatorLoadInProgress = 14,
  kCoordinatorNotAvailable = 15,
  kNotCoordinator = 16,
  kNotEnoughReplicas = 19,
  kTopicAuthorizationFailed = 29,
  kOutOfOrderSequence = 45,
  kInvalidProducerEpoch = 47,
  kInvalidTxnState = 48,
  kInvalidTransactionTimeout = 50,
  kConcurrentTransactions = 51,
  kTransactionalIdAuthorizationFailed = 53,
  kStorageError = 56,
  kUnknownProducerId = 59,
  kProducerFenced = 90,
};

// What librdkafka made of a setting that is a number. `client`: native() of a consumer.
[[nodiscard]] int64_t SettingOf(void* client, const char* name);

class MockKafka {
 public:
  static constexpr int32_t kBrokers = 2;
  MockKafka();
  ~MockKafka();
  MockKafka(const MockKafka&) = delete;
  MockKafka& operator=(const MockKafka&) = delete;

  [[nodiscard]] kafka::ClientConfig config() const;
  void MakeTopic(const std::string& topic, int partitions = 1);
  // The next requests of this kind are answered with these, one each.
  void Answer(KafkaRequest request, std::initializer_list<KafkaError> errors);
  // From now on all are answered with this; kNone: no longer.
  void AnswerAll(KafkaRequest request, KafkaError error);
  // A broker's next one is answered so late, with this.
  void AnswerLate(int32_t broker, KafkaRequest request, KafkaError error, Duration late);
  // What whoever asks where the topic is gets; kNone: where it is.
  void RefuseTopic(const std::string& topic, KafkaError error);
  void MoveLeader(const std::string& topic, int32_t partition, int32_t broker);
  // Of a "transaction" or a "group".
  void MoveCoordinator(const std::string& kind, const std::string& id, int32_t broker);
  // Where the broker listens, and where clients that know the cluster shall go instead.
  [[nodiscard]] int PortOf(int32_t broker) const;
  void Divert(int32_t broker, int port);
  // How many requests of this kind there were.
  [[nodiscard]] int Count(KafkaRequest request) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coho::test
