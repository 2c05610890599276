// What Kafka says of a topic, and what a new one is to be. Values.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace coho::kafka {

struct TopicInfo {
  std::string name;
  int32_t partitions = 0;
  std::string id;  // a topic made anew under the same name has another one; empty: unknown
  friend bool operator==(const TopicInfo&, const TopicInfo&) = default;
};

struct NewTopic {
  std::string name;
  int32_t partitions = 1;
  int16_t replication_factor = -1;            // -1: broker's default
  std::map<std::string, std::string> config;  // e.g. cleanup.policy=compact
  friend bool operator==(const NewTopic&, const NewTopic&) = default;
};

}  // namespace coho::kafka
