// Which Kubernetes cluster this is: two clusters that share a Kafka cluster are told apart by it.
#pragma once

#include <string>

#include "common/base/status.h"
#include "operator/kube/api.h"

namespace coho {

// The uid of namespace kube-system, which lives as long as its cluster. Empty where it may not be
// read: then jobs are told apart by their own uids alone, and messages cannot name the cluster.
// Unavailable: ask again.
[[nodiscard]] Result<std::string> ReadClusterUid(kube::Api& api);

}  // namespace coho
