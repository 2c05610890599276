#include "operator/kafka_secrets.h"

#include <optional>
#include <utility>

#include "operator/kube/base64.h"
#include "operator/kube/json.h"
#include "operator/kube/kinds.h"

namespace coho {
namespace {

constexpr Duration kReadAgainAfter = std::chrono::seconds(60);

}  // namespace

Result<KafkaSecrets::Properties> DecodeSecret(const nlohmann::json& secret) {
  KafkaSecrets::Properties properties;
  const kube::Json& data = kube::At(secret, {"data"});
  if (!data.is_object()) return properties;
  for (const auto& [name, value] : data.items()) {
    if (name.starts_with('.')) continue;
    std::optional<std::string> text =
        value.is_string() ? kube::DecodeBase64(value.get_ref<const std::string&>()) : std::nullopt;
    if (!text) return InvalidArgument("key " + name + ": not base64");
    if (text->ends_with('\n')) text->pop_back();
    properties[name] = *std::move(text);
  }
  return properties;
}

Result<KafkaSecrets::Properties> KafkaSecrets::Read(const kube::ObjectKey& secret) {
  const auto it = entries_.find(secret);
  if (it != entries_.end() && clock_.Now() - it->second.read_at < kReadAgainAfter)
    return it->second.properties;
  const std::string field =
      "spec.kafka.secretRef: Secret " + secret.name + " of namespace " + secret.ns;
  const Result<kube::Json> object = api_.Get(SecretType(), secret);
  if (!object.ok()) {
    const Status& status = object.status();
    if (status.code() == Code::kNotFound) {
      entries_.erase(secret);
      return NotFound(field + " does not exist; create it, with librdkafka property names as keys");
    }
    if (status.code() == Code::kUnauthenticated) {
      return Unauthenticated(
          field +
          " may not be read by the operator; allow it to get secrets there: " + status.message());
    }
    if (it != entries_.end()) return it->second.properties;
    return status.WithContext(field);
  }
  Result<Properties> properties = DecodeSecret(*object);
  if (!properties.ok()) return properties.status().WithContext(field);
  entries_[secret] = {.properties = *properties, .read_at = clock_.Now()};
  return properties;
}

}  // namespace coho
