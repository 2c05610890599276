#include "tests/support/mock_kafka.h"

#include <doctest/doctest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <cstdlib>
#include <span>
#include <vector>

namespace coho::test {
namespace {

rd_kafka_resp_err_t Raw(KafkaError error) { return static_cast<rd_kafka_resp_err_t>(error); }
int16_t Raw(KafkaRequest request) { return static_cast<int16_t>(request); }

}  // namespace

int64_t SettingOf(void* client, const char* name) {
  char value[64] = "";
  size_t size = sizeof value;
  REQUIRE(rd_kafka_conf_get(rd_kafka_conf(static_cast<rd_kafka_t*>(client)), name, value, &size) ==
          RD_KAFKA_CONF_OK);
  return std::atoll(value);
}

struct MockKafka::Impl {
  rd_kafka_t* host = nullptr;  // for the mock's own threads and timers
  rd_kafka_mock_cluster_t* cluster = nullptr;
};

MockKafka::MockKafka() : impl_(std::make_unique<Impl>()) {
  char reason[256] = "";
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  REQUIRE(rd_kafka_conf_set(conf, "client.id", "mock", reason, sizeof reason) == RD_KAFKA_CONF_OK);
  // What it says of the errors that it was told to give is no news.
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  impl_->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
  REQUIRE_MESSAGE(impl_->host != nullptr, reason);
  impl_->cluster = rd_kafka_mock_cluster_new(impl_->host, kBrokers);
  REQUIRE(impl_->cluster != nullptr);
  rd_kafka_mock_start_request_tracking(impl_->cluster);
}

MockKafka::~MockKafka() {
  rd_kafka_mock_cluster_destroy(impl_->cluster);
  rd_kafka_destroy(impl_->host);
}

kafka::ClientConfig MockKafka::config() const {
  return {.bootstrap_servers = rd_kafka_mock_cluster_bootstraps(impl_->cluster)};
}

void MockKafka::MakeTopic(const std::string& topic, int partitions) {
  REQUIRE(rd_kafka_mock_topic_create(impl_->cluster, topic.c_str(), partitions, 1) ==
          RD_KAFKA_RESP_ERR_NO_ERROR);
}

void MockKafka::Answer(KafkaRequest request, std::initializer_list<KafkaError> errors) {
  std::vector<rd_kafka_resp_err_t> raw;
  for (const KafkaError error : errors) raw.push_back(Raw(error));
  rd_kafka_mock_push_request_errors_array(impl_->cluster, Raw(request), raw.size(), raw.data());
}

void MockKafka::AnswerAll(KafkaRequest request, KafkaError error) {
  constexpr size_t kMoreThanAnybodyAsks = 100'000;
  rd_kafka_mock_clear_request_errors(impl_->cluster, Raw(request));
  if (error == KafkaError::kNone) return;
  const std::vector<rd_kafka_resp_err_t> raw(kMoreThanAnybodyAsks, Raw(error));
  rd_kafka_mock_push_request_errors_array(impl_->cluster, Raw(request), raw.size(), raw.data());
}

void MockKafka::AnswerLate(int32_t broker, KafkaRequest request, KafkaError error, Duration late) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(late).count();
  REQUIRE(rd_kafka_mock_broker_push_request_error_rtts(impl_->cluster, broker, Raw(request), 1,
                                                       Raw(error), static_cast<int>(ms)) ==
          RD_KAFKA_RESP_ERR_NO_ERROR);
}

void MockKafka::RefuseTopic(const std::string& topic, KafkaError error) {
  rd_kafka_mock_topic_set_error(impl_->cluster, topic.c_str(), Raw(error));
}

void MockKafka::MoveLeader(const std::string& topic, int32_t partition, int32_t broker) {
  REQUIRE(rd_kafka_mock_partition_set_leader(impl_->cluster, topic.c_str(), partition, broker) ==
          RD_KAFKA_RESP_ERR_NO_ERROR);
}

void MockKafka::MoveCoordinator(const std::string& kind, const std::string& id, int32_t broker) {
  REQUIRE(rd_kafka_mock_coordinator_set(impl_->cluster, kind.c_str(), id.c_str(), broker) ==
          RD_KAFKA_RESP_ERR_NO_ERROR);
}

int MockKafka::PortOf(int32_t broker) const {
  std::string all = rd_kafka_mock_cluster_bootstraps(impl_->cluster);  // host:port,host:port
  for (int32_t before = 1; before < broker; ++before) all.erase(0, all.find(',') + 1);
  return std::atoi(all.substr(all.find(':') + 1).c_str());
}

void MockKafka::Divert(int32_t broker, int port) {
  rd_kafka_mock_broker_set_host_port(impl_->cluster, broker, "127.0.0.1", port);
}

int MockKafka::Count(KafkaRequest request) const {
  size_t count = 0;
  rd_kafka_mock_request_t** all = rd_kafka_mock_get_requests(impl_->cluster, &count);
  int found = 0;
  for (rd_kafka_mock_request_t* one : std::span(all, count))
    found += rd_kafka_mock_request_api_key(one) == Raw(request) ? 1 : 0;
  rd_kafka_mock_request_destroy_array(all, count);
  return found;
}

}  // namespace coho::test
