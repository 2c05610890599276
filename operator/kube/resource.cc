#include "operator/kube/resource.h"

#include "common/http/client.h"

namespace coho::kube {

std::string ApiVersion(const ResourceType& type) {
  return type.group.empty() ? type.version : type.group + "/" + type.version;
}

std::string CollectionPath(const ResourceType& type, std::string_view ns) {
  std::string path = (type.group.empty() ? "/api/" : "/apis/") + ApiVersion(type);
  if (type.namespaced && !ns.empty()) path += "/namespaces/" + http::PercentEncode(ns);
  return path + "/" + type.plural;
}

std::string ObjectPath(const ResourceType& type, const ObjectKey& key) {
  return CollectionPath(type, key.ns) + "/" + http::PercentEncode(key.name);
}

}  // namespace coho::kube
