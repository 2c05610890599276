// Keys in a changelog are the user's keys as they are, but for a lead byte that is ours: records
// that belong to the task rather than to one key (its positions) have keys that begin with it, and
// a user's key that does has it twice. The byte begins no UTF-8 text and no everyday int64.
#pragma once

#include <string>
#include <string_view>

#include "worker/store/positions.h"

namespace coho {

inline constexpr char kReservedLead = '\xC1';
static_assert(kPositionsKey.front() == kReservedLead && kPositionsKey[1] != kReservedLead);

// A view of `key` or of `scratch`.
[[nodiscard]] inline std::string_view EncodeChangelogKey(std::string_view key,
                                                         std::string* scratch) {
  if (key.empty() || key.front() != kReservedLead) [[likely]]
    return key;
  scratch->assign(1, kReservedLead).append(key);
  return *scratch;
}

struct ChangelogKey {
  enum class Kind { kUser, kPositions, kUnknown };
  Kind kind = Kind::kUser;
  std::string_view user = {};  // of kUser
};
[[nodiscard]] inline ChangelogKey DecodeChangelogKey(std::string_view wire) {
  if (wire.empty() || wire.front() != kReservedLead) [[likely]]
    return {.user = wire};
  if (wire.size() > 1 && wire[1] == kReservedLead) return {.user = wire.substr(1)};
  if (wire == kPositionsKey) return {.kind = ChangelogKey::Kind::kPositions};
  return {.kind = ChangelogKey::Kind::kUnknown};
}

}  // namespace coho
