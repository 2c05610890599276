// The pod that a worker runs in: restricted pod security, no API token, the job file and the Kafka
// secret mounted read-only, its state on a volume of its own. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "common/base/ids.h"
#include "operator/api/stream_job.h"

namespace coho {

// Where a worker's state is: a preference, never a requirement, because the volume's own node
// affinity is the only pin that cannot be wrong. Empty: no state anywhere yet; then the job's
// workers spread over nodes and zones.
struct WorkerHome {
  std::string hostname;  // value of label kubernetes.io/hostname
  std::string zone;
  friend bool operator==(const WorkerHome&, const WorkerHome&) = default;
};

struct WorkerPodOptions {
  WorkerId worker;
  WorkerHome home;
  std::string image_pull_policy;
};

// {metadata, spec}. Its annotation coho.dev/template-hash covers all of it but placement (affinity,
// spread constraints and our own tolerations): those count at the next placement and need no
// restart. REQUIRES: job.job.
[[nodiscard]] nlohmann::json MakePodTemplate(const StreamJob& job, const WorkerPodOptions& options);
// That annotation. REQUIRES: made by MakePodTemplate.
[[nodiscard]] std::string TemplateHash(const nlohmann::json& pod_template);

}  // namespace coho
