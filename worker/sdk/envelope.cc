#include "worker/sdk/envelope.h"

#include "common/base/check.h"
#include "worker/sdk/serde.h"

namespace coho {

int64_t Envelope::key_int64() const {
  COHO_CHECK(key().size() == sizeof(int64_t),
             "key_int64 of an input whose key serde is not int64, or without key");
  return DecodeInt64(key());
}

int64_t Envelope::value_int64() const {
  COHO_CHECK(value().size() == sizeof(int64_t),
             "value_int64 of an input whose value serde is not int64, or of a tombstone");
  return DecodeInt64(value());
}

std::optional<std::string_view> Envelope::header(std::string_view name) const {
  for (const kafka::Header& header : record_.headers()) {
    if (header.name == name) return header.value;
  }
  return std::nullopt;
}

}  // namespace coho
