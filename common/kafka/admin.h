// Topics: look at them, create them. One connection per Admin. Thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/kafka/config.h"
#include "common/kafka/topic.h"

namespace coho::kafka {

class Admin {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Admin>> Create(const ClientConfig& config);
  ~Admin();
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  // Topics that exist among `names`; a missing one is absent, not an error. Wrong credentials:
  // kUnauthenticated; no broker answers: kUnavailable, and the message names the servers.
  [[nodiscard]] Result<std::map<std::string, TopicInfo>> Describe(
      const std::vector<std::string>& names, Duration timeout);
  // Creates the topics; one that exists already is left as it is and is no error.
  [[nodiscard]] Status Create(const std::vector<NewTopic>& topics, Duration timeout);
  using Config = std::map<std::string, std::string>;
  [[nodiscard]] Result<Config> TopicConfig(const std::string& topic, Duration timeout);
  // The same for many, in one request, each topic's for itself.
  [[nodiscard]] Result<std::map<std::string, Result<Config>>> TopicConfigs(
      const std::vector<std::string>& topics, Duration timeout);
  // And without waiting: Ask, then Take until it has the answer. A new question drops the one
  // before.
  [[nodiscard]] Status AskTopicConfigs(const std::vector<std::string>& topics, Duration timeout);
  [[nodiscard]] std::optional<std::map<std::string, Result<Config>>> TakeTopicConfigs();
  // The id that the cluster gave itself when it was made.
  [[nodiscard]] Result<std::string> ClusterId(Duration timeout);
  [[nodiscard]] Status Delete(const std::vector<std::string>& topics, Duration timeout);

 private:
  Admin();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coho::kafka
