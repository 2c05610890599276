#include "worker/store/positions.h"

#include <algorithm>
#include <tuple>

#include "worker/store/field_codec.h"
#include "worker/store/value_format.h"

namespace coho {
namespace {

// Version byte, number of positions, then their fields in order.
constexpr char kVersion = 1;

bool Before(const StoredPosition& a, const StoredPosition& b) {
  return std::tie(a.topic, a.partition) < std::tie(b.topic, b.partition);
}

}  // namespace

void SortPositions(Positions* positions) {
  std::sort(positions->begin(), positions->end(), Before);
}

const StoredPosition* FindPosition(const Positions& positions, std::string_view topic,
                                   int32_t partition) {
  for (const StoredPosition& p : positions) {
    if (p.partition == partition && p.topic == topic) return &p;
  }
  return nullptr;
}

std::string DescribePositions(const Positions& positions) {
  std::string text;
  for (const StoredPosition& p : positions) {
    if (!text.empty()) text += ", ";
    text += p.topic + "/" + std::to_string(p.partition) + "@" + std::to_string(p.next);
  }
  return text.empty() ? "none" : text;
}

std::string EncodePositions(const Positions& positions) {
  std::string out(1, kVersion);
  PutNumber(positions.size(), &out);
  for (const StoredPosition& p : positions) {
    PutString(p.topic, &out);
    PutString(p.topic_id, &out);
    PutNumber(static_cast<uint64_t>(p.partition), &out);
    PutNumber(static_cast<uint64_t>(p.next), &out);
  }
  return out;
}

Result<Positions> DecodePositions(std::string_view bytes) {
  if (bytes.empty()) return Corruption("positions are empty");
  if (bytes.front() != kVersion) {
    return InvalidArgument("positions are of format " +
                           std::to_string(static_cast<unsigned char>(bytes.front())) +
                           ", this version of Coho knows format 1");
  }
  bytes.remove_prefix(1);
  uint64_t count = 0;
  bool whole = TakeNumber(&bytes, &count);
  Positions positions;
  for (; whole && count > 0; --count) {
    StoredPosition p;
    uint64_t partition = 0;
    uint64_t next = 0;
    whole = TakeString(&bytes, &p.topic) && TakeString(&bytes, &p.topic_id) &&
            TakeNumber(&bytes, &partition) && TakeNumber(&bytes, &next);
    p.partition = static_cast<int32_t>(partition);
    p.next = static_cast<int64_t>(next);
    whole = whole && (positions.empty() || Before(positions.back(), p));
    positions.push_back(std::move(p));
  }
  if (!whole || !bytes.empty()) return Corruption("positions are cut off, too long or not sorted");
  return positions;
}

std::string EncodePositionsRecord(const Positions& positions) {
  return std::string(kPlainValueHeader) + EncodePositions(positions);
}

Result<Positions> DecodePositionsRecord(std::string_view value) {
  StoredValue stored;
  COHO_RETURN_IF_ERROR(DecodeValue(value, &stored));
  return DecodePositions(stored.value);
}

}  // namespace coho
