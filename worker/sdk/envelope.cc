#include "worker/sdk/envelope.h"

#include "worker/sdk/serde.h"

namespace coho {

int64_t Envelope::key_int64() const {
  if (key().size() == sizeof(int64_t)) return DecodeInt64(key());
  misuse_ = has_key() ? "key_int64 of a key that is no int64" : "key_int64 of a record without key";
  return 0;
}

int64_t Envelope::value_int64() const {
  if (value().size() == sizeof(int64_t)) return DecodeInt64(value());
  misuse_ =
      is_tombstone() ? "value_int64 of a tombstone" : "value_int64 of a value that is no int64";
  return 0;
}

std::optional<std::string_view> Envelope::header(std::string_view name) const {
  for (const kafka::Header& header : record_.headers()) {
    if (header.name == name) return header.value;
  }
  return std::nullopt;
}

}  // namespace coho
