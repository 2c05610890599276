// How to reach a Kafka cluster.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "common/base/status.h"

namespace coho::kafka {

struct ClientConfig {
  std::string bootstrap_servers;
  std::map<std::string, std::string> properties;  // librdkafka names, from spec.kafka.properties
  std::map<std::string, std::string> secrets;     // the same, from the Secret; never logged
  std::string client_id = "coho";
  // Once true, calls that wait for Kafka end within a second (kDeadlineExceeded).
  std::shared_ptr<const std::atomic<bool>> give_up = nullptr;
  friend bool operator==(const ClientConfig&, const ClientConfig&) = default;
};

// Reads each file of a directory (a mounted Secret) as property: file name -> content without the
// last newline. Names that begin with a dot are left out (Kubernetes' own links). A name that
// librdkafka does not know is an error that names it.
[[nodiscard]] Result<std::map<std::string, std::string>> ReadSecretDirectory(
    const std::string& path);

}  // namespace coho::kafka
