#include "operator/observe/cluster_cache.h"

#include <algorithm>
#include <set>
#include <utility>

#include "operator/api/names.h"
#include "operator/kube/json.h"
#include "operator/kube/kinds.h"
#include "operator/observe/facts.h"

namespace coho {

using kube::Json;
using kube::ObjectPtr;
using kube::TextAt;
using kube::Watch;

ClusterCache::ClusterCache(kube::Api& api, const Clock& clock, const std::string& ns,
                           OnJobConcerned on_job_concerned)
    : on_job_concerned_(std::move(on_job_concerned)) {
  const auto on_child = [this](const kube::ObjectKey&, const ObjectPtr& before,
                               const ObjectPtr& after) { OnChild(before, after); };
  const std::string job_label(kJobLabel);
  jobs_ = std::make_unique<Watch>(
      api, clock,
      Watch::Options{.type = StreamJobType(),
                     .ns = ns,
                     .slim = SlimStreamJob,
                     .on_change = [this](const kube::ObjectKey& key, const ObjectPtr&,
                                         const ObjectPtr&) { on_job_concerned_(key); }});
  sets_ = std::make_unique<Watch>(
      api, clock,
      Watch::Options{.type = StatefulSetType(),
                     .ns = ns,
                     .label_selector = std::string(kManagedByLabel) + "=" + std::string(kManagedBy),
                     .index_label = job_label,
                     .slim = SlimStatefulSet,
                     .on_change = on_child});
  pods_ = std::make_unique<Watch>(api, clock,
                                  Watch::Options{.type = PodType(),
                                                 .ns = ns,
                                                 .label_selector = job_label,
                                                 .index_label = job_label,
                                                 .slim = SlimPod,
                                                 .on_change = on_child});
  claims_ = std::make_unique<Watch>(api, clock,
                                    Watch::Options{.type = PersistentVolumeClaimType(),
                                                   .ns = ns,
                                                   .label_selector = job_label,
                                                   .index_label = job_label,
                                                   .slim = SlimClaim,
                                                   .on_change = on_child});
  volumes_ = std::make_unique<Watch>(
      api, clock,
      Watch::Options{.type = PersistentVolumeType(),
                     .optional = true,
                     .slim = SlimVolume,
                     .on_change = [this](const kube::ObjectKey&, const ObjectPtr& before,
                                         const ObjectPtr& after) { OnVolume(before, after); }});
  nodes_ = std::make_unique<Watch>(
      api, clock,
      Watch::Options{.type = NodeType(),
                     .optional = true,
                     .slim = SlimNode,
                     .on_change = [this](const kube::ObjectKey&, const ObjectPtr& before,
                                         const ObjectPtr& after) { OnNode(before, after); }});
  for (const kube::ResourceType* type :
       {&ServiceAccountType(), &ConfigMapType(), &ServiceType(), &PodDisruptionBudgetType()}) {
    small_.push_back(std::make_unique<Watch>(
        api, clock,
        Watch::Options{
            .type = *type,
            .ns = ns,
            .label_selector = std::string(kManagedByLabel) + "=" + std::string(kManagedBy),
            .optional = true,
            .slim = SlimToIdentity,
            .on_change = [this](const kube::ObjectKey&, const ObjectPtr& before,
                                const ObjectPtr& after) { OnSmall(before, after); }}));
  }
}

ClusterCache::~ClusterCache() { Stop(); }

std::vector<Watch*> ClusterCache::All() const {
  std::vector<Watch*> all = {jobs_.get(),   sets_.get(),    pods_.get(),
                             claims_.get(), volumes_.get(), nodes_.get()};
  for (const auto& watch : small_) all.push_back(watch.get());
  return all;
}

void ClusterCache::Start() {
  for (Watch* watch : All()) watch->Start();
}

void ClusterCache::Stop() {
  for (Watch* watch : All()) watch->Stop();
}

bool ClusterCache::synced() const { return unsynced().empty(); }

std::vector<std::string> ClusterCache::unsynced() const {
  std::vector<std::string> missing;
  for (const Watch* watch : All()) {
    if (!watch->synced()) missing.push_back(watch->options().type.plural);
  }
  return missing;
}

bool ClusterCache::IsGone(std::string_view kind, const kube::ObjectKey& key,
                          const std::string& uid) const {
  return std::any_of(small_.begin(), small_.end(), [&](const auto& watch) {
    return watch->options().type.kind == kind && watch->store().IsGone(key, uid);
  });
}

void ClusterCache::OnChild(const ObjectPtr& before, const ObjectPtr& after) const {
  std::set<kube::ObjectKey> concerned;  // two, when the label was changed
  for (const ObjectPtr& object : {before, after}) {
    if (object == nullptr) continue;
    const std::string job = TextAt(*object, {"metadata", "labels", std::string(kJobLabel).c_str()});
    if (!job.empty()) concerned.insert({TextAt(*object, {"metadata", "namespace"}), job});
  }
  for (const kube::ObjectKey& job : concerned) on_job_concerned_(job);
}

// Its content is ours, and what it is now came with the answer to our write.
void ClusterCache::OnSmall(const ObjectPtr& before, const ObjectPtr& after) const {
  if (before == nullptr) return;
  if (after == nullptr ||
      TextAt(*before, {"metadata", "uid"}) != TextAt(*after, {"metadata", "uid"}))
    OnChild(before, nullptr);
}

void ClusterCache::OnVolume(const ObjectPtr& before, const ObjectPtr& after) const {
  const Json& volume = after != nullptr ? *after : *before;
  const ObjectPtr claim = claims_->store().Get({TextAt(volume, {"spec", "claimRef", "namespace"}),
                                                TextAt(volume, {"spec", "claimRef", "name"})});
  if (claim != nullptr) OnChild(nullptr, claim);
}

void ClusterCache::OnNode(const ObjectPtr& before, const ObjectPtr& after) const {
  if (before != nullptr && after != nullptr) {
    Json old_facts = *before;
    Json new_facts = *after;
    for (Json* facts : {&old_facts, &new_facts}) (*facts)["metadata"].erase("resourceVersion");
    if (old_facts == new_facts) return;
  }
  for (const ObjectPtr& job : jobs_->store().All()) on_job_concerned_(kube::KeyOf(*job));
}

}  // namespace coho
