// Whose a job's topics are. Kept in the claim with which a coordinator topic begins, so that no two
// jobs, installations or Kubernetes clusters ever share one (R0). A value.
#pragma once

#include <string>

namespace coho {

struct JobIdentity {
  std::string job_uid;                 // of the StreamJob; empty without Kubernetes
  std::string installation;            // of the operator, "standalone" without one
  std::string kubernetes_cluster_uid;  // of the kube-system namespace; empty without Kubernetes
  friend bool operator==(const JobIdentity&, const JobIdentity&) = default;
};

}  // namespace coho
