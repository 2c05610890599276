// What a store remembers about itself, written in the same batch as its data: how far its changelog is in it, of which job and
// topic, and when that was committed. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/status.h"

namespace coho {

struct StoreMarker {
  std::string job_id;           // "<namespace>.<name>"
  std::string changelog_topic;  // empty for a store without changelog
  int32_t partition = 0;
  int64_t position = 0;        // next changelog offset to apply
  int64_t commit_time_ms = 0;  // Unix time of the commit that the marker belongs to
  friend bool operator==(const StoreMarker&, const StoreMarker&) = default;
};

[[nodiscard]] std::string EncodeMarker(const StoreMarker& marker);
[[nodiscard]] Result<StoreMarker> DecodeMarker(std::string_view bytes);

}  // namespace coho
