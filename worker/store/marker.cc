#include "worker/store/marker.h"

namespace coho {

namespace {

// Version byte, then fields in order: strings as length and bytes, numbers as 8 bytes, all little-endian.
constexpr char kVersion = 1;

void PutNumber(uint64_t value, std::string* out) {
  for (int shift = 0; shift < 64; shift += 8) out->push_back(static_cast<char>(value >> shift));
}
void PutString(std::string_view value, std::string* out) {
  PutNumber(value.size(), out);
  out->append(value);
}

bool TakeNumber(std::string_view* in, uint64_t* value) {
  if (in->size() < 8) return false;
  *value = 0;
  for (size_t i = 0; i < 8; ++i)
    *value |= uint64_t{static_cast<unsigned char>((*in)[i])} << (8 * i);
  in->remove_prefix(8);
  return true;
}
bool TakeString(std::string_view* in, std::string* value) {
  uint64_t size = 0;
  if (!TakeNumber(in, &size) || in->size() < size) return false;
  value->assign(in->substr(0, size));
  in->remove_prefix(size);
  return true;
}

}  // namespace

std::string EncodeMarker(const StoreMarker& marker) {
  std::string out(1, kVersion);
  PutString(marker.job_id, &out);
  PutString(marker.changelog_topic, &out);
  PutNumber(static_cast<uint64_t>(marker.partition), &out);
  PutNumber(static_cast<uint64_t>(marker.position), &out);
  PutNumber(static_cast<uint64_t>(marker.commit_time_ms), &out);
  return out;
}

Result<StoreMarker> DecodeMarker(std::string_view bytes) {
  if (bytes.empty() || bytes.front() != kVersion)
    return Corruption("the store's marker is of an unknown version");
  bytes.remove_prefix(1);
  StoreMarker marker;
  uint64_t partition = 0;
  uint64_t position = 0;
  uint64_t commit_time_ms = 0;
  if (!TakeString(&bytes, &marker.job_id) || !TakeString(&bytes, &marker.changelog_topic) ||
      !TakeNumber(&bytes, &partition) || !TakeNumber(&bytes, &position) ||
      !TakeNumber(&bytes, &commit_time_ms) || !bytes.empty()) {
    return Corruption("the store's marker is cut off or too long");
  }
  marker.partition = static_cast<int32_t>(partition);
  marker.position = static_cast<int64_t>(position);
  marker.commit_time_ms = static_cast<int64_t>(commit_time_ms);
  return marker;
}

}  // namespace coho
