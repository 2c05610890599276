#include "operator/api/names.h"

#include <charconv>

namespace coho {

std::string WorkerSetName(std::string_view job, WorkerId worker) {
  return std::string(job) + "-worker-" + ToString(worker);
}

std::string WorkerPodName(std::string_view job, WorkerId worker) {
  return WorkerSetName(job, worker) + "-" + ToString(worker);
}

std::string WorkerClaimName(std::string_view job, WorkerId worker) {
  return std::string(kStateVolume) + "-" + WorkerPodName(job, worker);
}

std::string ServiceName(std::string_view job) { return std::string(job) + "-workers"; }

std::string JobConfigMapName(std::string_view job, std::string_view config_hash) {
  return std::string(job) + "-job-" + std::string(config_hash);
}

std::string AssignmentConfigMapName(std::string_view job) {
  return std::string(job) + "-assignment";
}

std::string WorkerAccountName(std::string_view job) { return std::string(job) + "-worker"; }

std::string DisruptionBudgetName(std::string_view job) { return std::string(job) + "-workers"; }

std::optional<WorkerId> ParseWorkerLabel(std::string_view value) {
  if (value.empty() || value.size() > 9) return std::nullopt;
  if (value.size() > 1 && value.front() == '0') return std::nullopt;
  int32_t id = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), id);
  if (error != std::errc() || end != value.data() + value.size() || id < 0) return std::nullopt;
  return WorkerId(id);
}

}  // namespace coho
