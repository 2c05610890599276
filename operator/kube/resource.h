// Names and addresses of Kubernetes objects. Values.
#pragma once

#include <compare>
#include <string>
#include <string_view>

namespace coho::kube {

struct ResourceType {
  std::string group;  // empty: the core group
  std::string version;
  std::string plural;  // as it stands in the path
  std::string kind;
  bool namespaced = true;
};

struct ObjectKey {
  std::string ns;  // empty for objects of the cluster
  std::string name;
  [[nodiscard]] std::string ToString() const { return ns.empty() ? name : ns + "/" + name; }
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};

// "/apis/apps/v1/namespaces/web/statefulsets"; of all namespaces with an empty `ns`.
[[nodiscard]] std::string CollectionPath(const ResourceType& type, std::string_view ns);
// "/apis/apps/v1/namespaces/web/statefulsets/visits-worker-0".
[[nodiscard]] std::string ObjectPath(const ResourceType& type, const ObjectKey& key);
// "apps/v1" or "v1".
[[nodiscard]] std::string ApiVersion(const ResourceType& type);

}  // namespace coho::kube
