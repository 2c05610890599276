// How far a task is in its inputs, as part of its state: one positions record per task and commit
// lies in a changelog (or, for a task without one, in a compacted topic of its own), in the same
// transaction as the changes that belong to it; each store's marker has them, too. Values and their
// one wire form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace coho {

struct StoredPosition {
  std::string topic;
  std::string topic_id;  // empty: unknown
  int32_t partition = 0;
  int64_t next = 0;  // next offset to process
  friend bool operator==(const StoredPosition&, const StoredPosition&) = default;
};
// Sorted by topic and partition, each once. Empty: none known.
using Positions = std::vector<StoredPosition>;

void SortPositions(Positions* positions);
// nullptr: none of that partition.
[[nodiscard]] const StoredPosition* FindPosition(const Positions& positions, std::string_view topic,
                                                 int32_t partition);
// "requests/3@4711, ...", for logs and refusals.
[[nodiscard]] std::string DescribePositions(const Positions& positions);

[[nodiscard]] std::string EncodePositions(const Positions& positions);
// kCorruption: cut off, too long or not sorted. kInvalidArgument: written by another version of
// Coho.
[[nodiscard]] Result<Positions> DecodePositions(std::string_view bytes);

// The positions record: its key (a user's key never looks like it, see changelog_key.h) and its
// value in the value format.
inline constexpr std::string_view kPositionsKey = "\xC1p";
[[nodiscard]] std::string EncodePositionsRecord(const Positions& positions);
[[nodiscard]] Result<Positions> DecodePositionsRecord(std::string_view value);

}  // namespace coho
