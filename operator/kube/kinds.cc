#include "operator/kube/kinds.h"

#include <array>

#include "operator/api/names.h"

namespace coho {

using kube::ResourceType;

const ResourceType& StreamJobType() {
  static const ResourceType kType{
      .group = std::string(kApiGroup),
      .version = std::string(kApiVersion.substr(kApiVersion.find('/') + 1)),
      .plural = std::string(kStreamJobPlural),
      .kind = std::string(kStreamJobKind)};
  return kType;
}

const ResourceType& StatefulSetType() {
  static const ResourceType kType{
      .group = "apps", .version = "v1", .plural = "statefulsets", .kind = "StatefulSet"};
  return kType;
}

const ResourceType& PodType() {
  static const ResourceType kType{.version = "v1", .plural = "pods", .kind = "Pod"};
  return kType;
}

const ResourceType& PersistentVolumeClaimType() {
  static const ResourceType kType{
      .version = "v1", .plural = "persistentvolumeclaims", .kind = "PersistentVolumeClaim"};
  return kType;
}

const ResourceType& PersistentVolumeType() {
  static const ResourceType kType{.version = "v1",
                                  .plural = "persistentvolumes",
                                  .kind = "PersistentVolume",
                                  .namespaced = false};
  return kType;
}

const ResourceType& NodeType() {
  static const ResourceType kType{
      .version = "v1", .plural = "nodes", .kind = "Node", .namespaced = false};
  return kType;
}

const ResourceType& ServiceType() {
  static const ResourceType kType{.version = "v1", .plural = "services", .kind = "Service"};
  return kType;
}

const ResourceType& ServiceAccountType() {
  static const ResourceType kType{
      .version = "v1", .plural = "serviceaccounts", .kind = "ServiceAccount"};
  return kType;
}

const ResourceType& ConfigMapType() {
  static const ResourceType kType{.version = "v1", .plural = "configmaps", .kind = "ConfigMap"};
  return kType;
}

const ResourceType& SecretType() {
  static const ResourceType kType{.version = "v1", .plural = "secrets", .kind = "Secret"};
  return kType;
}

const ResourceType& PodDisruptionBudgetType() {
  static const ResourceType kType{.group = "policy",
                                  .version = "v1",
                                  .plural = "poddisruptionbudgets",
                                  .kind = "PodDisruptionBudget"};
  return kType;
}

const ResourceType* TypeOfKind(std::string_view api_version, std::string_view kind) {
  static const std::array<const ResourceType*, 11> kAll = {&StreamJobType(),
                                                           &StatefulSetType(),
                                                           &PodType(),
                                                           &PersistentVolumeClaimType(),
                                                           &PersistentVolumeType(),
                                                           &NodeType(),
                                                           &ServiceType(),
                                                           &ServiceAccountType(),
                                                           &ConfigMapType(),
                                                           &SecretType(),
                                                           &PodDisruptionBudgetType()};
  for (const ResourceType* type : kAll) {
    if (type->kind == kind && kube::ApiVersion(*type) == api_version) return type;
  }
  return nullptr;
}

}  // namespace coho
