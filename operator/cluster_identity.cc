#include "operator/cluster_identity.h"

#include "common/base/log.h"

namespace coho {

Result<std::string> ReadClusterUid(kube::Api& api) {
  static const kube::ResourceType kNamespaces{
      .version = "v1", .plural = "namespaces", .kind = "Namespace", .namespaced = false};
  const Result<kube::Json> found = api.Get(kNamespaces, {"", "kube-system"});
  if (found.ok()) return kube::TextAt(*found, {"metadata", "uid"});
  const Code code = found.status().code();
  if (code != Code::kUnauthenticated && code != Code::kNotFound) return found.status();
  LogWarn("the Kubernetes cluster's uid cannot be read; claims in Kafka go without it",
          {{"error", found.status()}});
  return std::string();
}

}  // namespace coho
