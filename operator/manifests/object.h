// What all objects of a job have in common: identity, labels, owner, and the hash that tells
// whether an object in the cluster is what we would apply. Pure; same input, same bytes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "operator/api/stream_job.h"

namespace coho {

struct ObjectType {
  std::string_view api_version;
  std::string_view kind;
};

inline constexpr ObjectType kServiceAccountType{"v1", "ServiceAccount"};
inline constexpr ObjectType kConfigMapType{"v1", "ConfigMap"};
inline constexpr ObjectType kServiceType{"v1", "Service"};
inline constexpr ObjectType kPodType{"v1", "Pod"};
inline constexpr ObjectType kClaimType{"v1", "PersistentVolumeClaim"};
inline constexpr ObjectType kDisruptionBudgetType{"policy/v1", "PodDisruptionBudget"};
inline constexpr ObjectType kStatefulSetType{"apps/v1", "StatefulSet"};

// apiVersion, kind and metadata: name, namespace, labels, and an owner reference, so that the
// object goes with its StreamJob.
[[nodiscard]] nlohmann::json MakeObject(const StreamJob& job, const ObjectType& type,
                                        const std::string& name);

// The labels that select all workers of a job, and those that every object carries.
[[nodiscard]] nlohmann::json SelectorLabels(const JobId& job);
[[nodiscard]] nlohmann::json CommonLabels(const JobId& job);

// 16 hexadecimal digits; equal for equal content.
[[nodiscard]] std::string ContentHash(const nlohmann::json& content);
[[nodiscard]] std::string TextHash(std::string_view text);

// The last step in making an object: writes the hash of its content into annotation
// coho.dev/applied-hash.
[[nodiscard]] nlohmann::json Sealed(nlohmann::json object);
// "" if the object has none.
[[nodiscard]] std::string AppliedHash(const nlohmann::json& object);

}  // namespace coho
