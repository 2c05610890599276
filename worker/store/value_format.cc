#include "worker/store/value_format.h"

#include "worker/store/field_codec.h"

namespace coho {
namespace {

constexpr char kVersion = 1;
constexpr unsigned kHasTimestamp = 1;

}  // namespace

void EncodeValue(const StoredValue& value, std::string* out) {
  out->clear();
  if (!value.timestamp_ms) {
    out->append(kPlainValueHeader);
  } else {
    out->push_back(kVersion);
    out->push_back(static_cast<char>(kHasTimestamp));
    PutNumber(static_cast<uint64_t>(*value.timestamp_ms), out);
  }
  out->append(value.value);
}

Status DecodeValue(std::string_view bytes, StoredValue* out) {
  if (bytes.starts_with(kPlainValueHeader)) [[likely]] {
    *out = {.value = bytes.substr(kPlainValueHeader.size())};
    return Status::Ok();
  }
  if (bytes.size() < kPlainValueHeader.size()) {
    return InvalidRecord("a value of " + std::to_string(bytes.size()) +
                         " bytes is too short to be a store's");
  }
  const auto version = static_cast<unsigned char>(bytes[0]);
  const auto flags = static_cast<unsigned char>(bytes[1]);
  if (version != static_cast<unsigned char>(kVersion) || (flags & ~kHasTimestamp) != 0) {
    return InvalidRecord("a value is of format " + std::to_string(version) + " with flags " +
                         std::to_string(flags) +
                         ", this version of Coho knows format 1 with flags 0 and 1");
  }
  bytes.remove_prefix(kPlainValueHeader.size());
  uint64_t timestamp = 0;
  if (!TakeNumber(&bytes, &timestamp)) return InvalidRecord("a value's timestamp is cut off");
  *out = {.value = bytes, .timestamp_ms = static_cast<int64_t>(timestamp)};
  return Status::Ok();
}

}  // namespace coho
