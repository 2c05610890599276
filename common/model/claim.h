// Whose a coordinator topic is (docs/design.md R0). Values.
#pragma once

#include <string>

#include "common/model/job_identity.h"

namespace coho {

// Coordinator topic, key "claim": the first record of a topic's life.
struct Claim {
  std::string job_uid;
  std::string installation;
  std::string kubernetes_cluster_uid;
  std::string kafka_cluster_id;
  std::string transactional_id;  // of the coordinator; whoever takes the job over fences it
  std::string life;              // of the coordinator topic; new whenever a job begins anew
  [[nodiscard]] JobIdentity identity() const {
    return {job_uid, installation, kubernetes_cluster_uid};
  }
  friend bool operator==(const Claim&, const Claim&) = default;
};

}  // namespace coho
