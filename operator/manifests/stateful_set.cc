#include "operator/manifests/stateful_set.h"

#include <utility>

#include "operator/api/names.h"
#include "operator/manifests/object.h"

namespace coho {

using nlohmann::json;

json MakeWorkerSet(const StreamJob& job, const WorkerPodOptions& options,
                   bool delete_claim_with_set) {
  const StorageSpec& storage = job.job->storage;
  json selector = SelectorLabels(job.id);
  selector[std::string(kWorkerLabel)] = ToString(options.worker);

  json claim_spec = {{"accessModes", json::array({"ReadWriteOnce"})},
                     {"resources", {{"requests", {{"storage", storage.size}}}}}};
  if (!storage.storage_class_name.empty())
    claim_spec["storageClassName"] = storage.storage_class_name;
  json claim = {{"apiVersion", "v1"},
                {"kind", "PersistentVolumeClaim"},
                {"metadata", {{"name", std::string(kStateVolume)}, {"labels", selector}}},
                {"spec", std::move(claim_spec)}};

  json object = MakeObject(job, kStatefulSetType, WorkerSetName(job.id.name, options.worker));
  object["metadata"]["labels"][std::string(kWorkerLabel)] = ToString(options.worker);
  object["spec"] = {
      {"replicas", 1},
      {"ordinals", {{"start", options.worker.value()}}},  // pod-index label = worker id
      {"serviceName", ServiceName(job.id.name)},
      {"podManagementPolicy", "Parallel"},
      {"updateStrategy",
       {{"type", "OnDelete"}}},  // a changed affinity restarts nothing; the operator replaces pods
      {"revisionHistoryLimit", 1},
      // Nobody scales the set; who did it by hand has not asked for the state to be deleted.
      {"persistentVolumeClaimRetentionPolicy",
       {{"whenDeleted", delete_claim_with_set ? "Delete" : "Retain"}, {"whenScaled", "Retain"}}},
      {"selector", {{"matchLabels", std::move(selector)}}},
      {"template", MakePodTemplate(job, options)},
      {"volumeClaimTemplates", json::array({std::move(claim)})},
  };
  return Sealed(std::move(object));
}

}  // namespace coho
