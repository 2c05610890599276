// A StreamJob object as the API server hands it out. What everybody reads of the spec is parsed by
// the job model (common/model/job.h); what only Kubernetes reads (pod template, resources) stays as
// JSON. Values; no IO.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/model/job.h"

namespace coho {

struct StreamJob {
  JobId id;
  std::string uid;
  int64_t generation = 0;
  std::string created;  // as the API server writes it: texts in the order of time
  std::string resource_version;
  std::map<std::string, std::string> annotations;
  bool deleting = false;

  std::optional<Job> job;  // nullopt: the spec cannot be used, and `error` says why
  Status error;

  // Objects, empty where the spec has none; of the shapes that the schema admits, or empty.
  nlohmann::json template_spec = nlohmann::json::object();  // spec.workers.template
  nlohmann::json resources = nlohmann::json::object();      // spec.workers.resources
  nlohmann::json status = nlohmann::json::object();         // as read
};

// A spec that cannot be used is no failure here: it comes back inside the StreamJob. Fails only on
// what is no object with metadata.name, namespace and uid.
[[nodiscard]] Result<StreamJob> ParseStreamJob(const nlohmann::json& object);

// Which topics a StreamJob object asks for, whatever else is wrong with it.
struct PrefixUse {
  JobId job;
  std::string prefix;
  std::string created;
};
[[nodiscard]] PrefixUse PrefixUseOf(const nlohmann::json& object);
// Which of two comes first where only one may have a prefix: the one that was made earlier, then by
// name.
[[nodiscard]] bool IsOlder(const PrefixUse& a, const PrefixUse& b);

}  // namespace coho
