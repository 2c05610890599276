#include "worker/store/marker.h"

#include "worker/store/field_codec.h"

namespace coho {

namespace {

// Version byte, then the fields.
constexpr char kVersion = 2;
// No format will ever have a number beyond it: such a byte is damage, not a later version's.
constexpr char kVersionMost = 31;

}  // namespace

std::string EncodeMarker(const StoreMarker& marker) {
  std::string out(1, kVersion);
  PutString(marker.job_id, &out);
  PutString(marker.changelog_topic, &out);
  PutString(marker.changelog_topic_id, &out);
  PutString(marker.kafka_cluster_id, &out);
  PutNumber(static_cast<uint64_t>(marker.partition), &out);
  PutNumber(static_cast<uint64_t>(marker.position), &out);
  PutNumber(static_cast<uint64_t>(marker.commit_time_ms), &out);
  PutString(EncodePositions(marker.positions), &out);
  return out;
}

Result<StoreMarker> DecodeMarker(std::string_view bytes) {
  if (bytes.empty()) return Corruption("the store's marker is empty");
  if (bytes.front() < 1 || bytes.front() > kVersionMost)
    return Corruption("the store's marker is of no format that there is");
  if (bytes.front() != kVersion) {
    return InvalidArgument("the store's marker is of format " +
                           std::to_string(static_cast<unsigned char>(bytes.front())) +
                           ", this version of Coho knows format 2; run the version that wrote it");
  }
  bytes.remove_prefix(1);
  StoreMarker marker;
  uint64_t partition = 0;
  uint64_t position = 0;
  uint64_t commit_time_ms = 0;
  std::string positions;
  if (!TakeString(&bytes, &marker.job_id) || !TakeString(&bytes, &marker.changelog_topic) ||
      !TakeString(&bytes, &marker.changelog_topic_id) ||
      !TakeString(&bytes, &marker.kafka_cluster_id) || !TakeNumber(&bytes, &partition) ||
      !TakeNumber(&bytes, &position) || !TakeNumber(&bytes, &commit_time_ms) ||
      !TakeString(&bytes, &positions) || !bytes.empty()) {
    return Corruption("the store's marker is cut off or too long");
  }
  COHO_ASSIGN_OR_RETURN(marker.positions, DecodePositions(positions));
  marker.partition = static_cast<int32_t>(partition);
  marker.position = static_cast<int64_t>(position);
  marker.commit_time_ms = static_cast<int64_t>(commit_time_ms);
  return marker;
}

}  // namespace coho
