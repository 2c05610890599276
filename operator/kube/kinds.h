// The kinds of Kubernetes objects that the operator reads or writes.
#pragma once

#include <string_view>

#include "operator/kube/resource.h"

namespace coho {

[[nodiscard]] const kube::ResourceType& StreamJobType();
[[nodiscard]] const kube::ResourceType& StatefulSetType();
[[nodiscard]] const kube::ResourceType& PodType();
[[nodiscard]] const kube::ResourceType& PersistentVolumeClaimType();
[[nodiscard]] const kube::ResourceType& PersistentVolumeType();
[[nodiscard]] const kube::ResourceType& NodeType();
[[nodiscard]] const kube::ResourceType& ServiceType();
[[nodiscard]] const kube::ResourceType& ServiceAccountType();
[[nodiscard]] const kube::ResourceType& ConfigMapType();
[[nodiscard]] const kube::ResourceType& SecretType();
[[nodiscard]] const kube::ResourceType& PodDisruptionBudgetType();

// nullptr: none of the above.
[[nodiscard]] const kube::ResourceType* TypeOfKind(std::string_view api_version,
                                                   std::string_view kind);

}  // namespace coho
