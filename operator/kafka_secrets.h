// Kafka credentials of jobs: reads the Secret that spec.kafka.secretRef names, when a job needs it,
// and again after a minute. Keys are librdkafka property names, as in the files that the same
// Secret becomes in a worker. Never logged. For the reconcile thread.
#pragma once

#include <map>
#include <string>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "operator/kube/api.h"

namespace coho {

class KafkaSecrets {
 public:
  using Properties = std::map<std::string, std::string>;
  // Both must outlive this.
  KafkaSecrets(kube::Api& api, const Clock& clock) : api_(api), clock_(clock) {}

  // NotFound and Unauthenticated say what to do. While the API server cannot be reached, the last
  // content stays good.
  [[nodiscard]] Result<Properties> Read(const kube::ObjectKey& secret);

 private:
  struct Entry {
    Properties properties;
    MonotonicTime read_at;
  };
  kube::Api& api_;
  const Clock& clock_;
  std::map<kube::ObjectKey, Entry> entries_;
};

// The `data` of a Secret object as properties: base64 decoded, without a last newline; names that
// begin with a dot are left out.
[[nodiscard]] Result<KafkaSecrets::Properties> DecodeSecret(const nlohmann::json& secret);

}  // namespace coho
