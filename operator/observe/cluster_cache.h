// What the operator knows of the cluster: a watch for each resource type that a reconcile reads,
// and the mapping from whatever changed to the jobs concerned. Filled in the leader and in standbys
// alike, so that a new leader starts with all of it.
//
// Safe to use from any thread. `on_job_concerned` comes from the watches' threads.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "operator/kube/api.h"
#include "operator/kube/watch.h"

namespace coho {

class ClusterCache {
 public:
  using OnJobConcerned = std::function<void(const kube::ObjectKey& job)>;

  // `ns` empty: all namespaces. `api` and `clock` must outlive this.
  ClusterCache(kube::Api& api, const Clock& clock, const std::string& ns,
               OnJobConcerned on_job_concerned);
  ~ClusterCache();

  void Start();
  void Stop();

  // Everything was listed once (except what we may not read), so that absence means absence.
  [[nodiscard]] bool synced() const;
  [[nodiscard]] std::vector<std::string> unsynced() const;  // plurals; for /readyz

  [[nodiscard]] const kube::ObjectStore& jobs() const { return jobs_->store(); }
  [[nodiscard]] const kube::ObjectStore& sets() const {
    return sets_->store();
  }  // by label coho.dev/job
  [[nodiscard]] const kube::ObjectStore& pods() const {
    return pods_->store();
  }  // by label coho.dev/job
  [[nodiscard]] const kube::ObjectStore& claims() const {
    return claims_->store();
  }  // by label coho.dev/job
  [[nodiscard]] const kube::ObjectStore& volumes() const { return volumes_->store(); }
  [[nodiscard]] const kube::ObjectStore& nodes() const { return nodes_->store(); }
  [[nodiscard]] bool nodes_known() const { return nodes_->permitted(); }
  [[nodiscard]] bool volumes_known() const { return volumes_->permitted(); }
  // A ServiceAccount, ConfigMap, Service or PodDisruptionBudget of ours that was seen is not there
  // any more.
  [[nodiscard]] bool IsGone(std::string_view kind, const kube::ObjectKey& key,
                            const std::string& uid) const;

 private:
  [[nodiscard]] std::vector<kube::Watch*> All() const;
  void OnChild(const kube::ObjectPtr& before, const kube::ObjectPtr& after) const;
  void OnSmall(const kube::ObjectPtr& before, const kube::ObjectPtr& after) const;
  void OnVolume(const kube::ObjectPtr& before, const kube::ObjectPtr& after) const;
  void OnNode(const kube::ObjectPtr& before, const kube::ObjectPtr& after) const;

  const OnJobConcerned on_job_concerned_;
  std::unique_ptr<kube::Watch> jobs_;
  std::unique_ptr<kube::Watch> sets_;
  std::unique_ptr<kube::Watch> pods_;
  std::unique_ptr<kube::Watch> claims_;
  std::unique_ptr<kube::Watch> volumes_;
  std::unique_ptr<kube::Watch> nodes_;
  std::vector<std::unique_ptr<kube::Watch>> small_;  // a kind each, for the sake of IsGone
};

}  // namespace coho
