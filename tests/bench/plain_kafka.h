// librdkafka as it is, for programs that measure and must not contain what is measured. Anything
// that goes wrong ends the program.
#pragma once

#include <librdkafka/rdkafka.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coho::bench {

[[noreturn]] inline void Die(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

struct Destroy {
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using Client = std::unique_ptr<rd_kafka_t, Destroy>;
using PartitionList = std::unique_ptr<rd_kafka_topic_partition_list_t, Destroy>;
using Settings = std::vector<std::pair<const char*, std::string>>;

inline Client MakeClient(rd_kafka_type_t type, const Settings& settings) {
  std::array<char, 512> error{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name, value.c_str(), error.data(), error.size()) !=
        RD_KAFKA_CONF_OK)
      Die(error.data());
  }
  Client client(rd_kafka_new(type, conf, error.data(), error.size()));
  if (client == nullptr) Die(error.data());
  return client;
}

inline void Must(rd_kafka_resp_err_t error, const char* what) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) Die(std::string(what) + ": " + rd_kafka_err2str(error));
}

inline void Must(rd_kafka_error_t* error, const char* what) {
  if (error != nullptr) Die(std::string(what) + ": " + rd_kafka_error_string(error));
}

// Reads a topic from its begin, its committed records.
inline Client MakeReader(const std::string& brokers, Settings more = {}) {
  Settings settings = {{"bootstrap.servers", brokers},
                       {"group.id", "bench"},
                       {"enable.auto.commit", "false"},
                       {"isolation.level", "read_committed"},
                       {"fetch.queue.backoff.ms", "5"}};
  settings.insert(settings.end(), more.begin(), more.end());
  Client reader = MakeClient(RD_KAFKA_CONSUMER, settings);
  Must(rd_kafka_poll_set_consumer(reader.get()), "poll set");
  return reader;
}

inline void Assign(rd_kafka_t* reader, const std::string& topic, const std::vector<int>& partitions,
                   int64_t offset) {
  const PartitionList list(rd_kafka_topic_partition_list_new(8));
  for (const int partition : partitions)
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = offset;
  Must(rd_kafka_assign(reader, list.get()), "assign");
}

inline int PartitionsOf(rd_kafka_t* client, const std::string& topic) {
  const rd_kafka_metadata_t* metadata = nullptr;
  rd_kafka_topic_t* handle = rd_kafka_topic_new(client, topic.c_str(), nullptr);
  int count = 0;
  if (rd_kafka_metadata(client, 0, handle, &metadata, 10'000) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    if (metadata->topic_cnt == 1) count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
  }
  rd_kafka_topic_destroy(handle);
  return count;
}

inline std::string_view KeyOf(const rd_kafka_message_t& m) {
  return {static_cast<const char*>(m.key), m.key_len};
}
inline std::string_view ValueOf(const rd_kafka_message_t& m) {
  return {static_cast<const char*>(m.payload), m.len};
}

}  // namespace coho::bench
