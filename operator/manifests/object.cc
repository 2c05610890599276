#include "operator/manifests/object.h"

#include <array>
#include <cstdint>
#include <utility>

#include "operator/api/names.h"

namespace coho {

using nlohmann::json;

json SelectorLabels(const JobId& job) { return {{std::string(kJobLabel), job.name}}; }

json CommonLabels(const JobId& job) {
  return {{std::string(kJobLabel), job.name},
          {std::string(kManagedByLabel), std::string(kManagedBy)},
          {"app.kubernetes.io/name", "coho-worker"},
          {"app.kubernetes.io/instance", job.name},
          {"app.kubernetes.io/component", "worker"}};
}

json MakeObject(const StreamJob& job, const ObjectType& type, const std::string& name) {
  const json owner = {{"apiVersion", std::string(kApiVersion)},
                      {"kind", std::string(kStreamJobKind)},
                      {"name", job.id.name},
                      {"uid", job.uid},
                      {"controller", true},
                      {"blockOwnerDeletion", true}};
  return {{"apiVersion", std::string(type.api_version)},
          {"kind", std::string(type.kind)},
          {"metadata",
           {{"name", name},
            {"namespace", job.id.ns},
            {"labels", CommonLabels(job.id)},
            {"ownerReferences", json::array({owner})}}}};
}

std::string TextHash(std::string_view text) {
  uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211ULL;
  }
  constexpr std::array<char, 17> kDigits = {"0123456789abcdef"};
  std::string digits(16, '0');
  for (size_t i = digits.size(); i-- > 0; hash >>= 4) digits[i] = kDigits[hash & 15];
  return digits;
}

std::string ContentHash(const json& content) {
  return TextHash(content.dump(-1, ' ', false, json::error_handler_t::replace));
}

json Sealed(json object) {
  const std::string hash = ContentHash(object);
  object["metadata"]["annotations"][std::string(kAppliedHashAnnotation)] = hash;
  return object;
}

std::string AppliedHash(const json& object) {
  const json::json_pointer path =
      json::json_pointer("/metadata/annotations") / std::string(kAppliedHashAnnotation);
  return object.contains(path) && object[path].is_string() ? object[path].get<std::string>()
                                                           : std::string();
}

}  // namespace coho
