// How a store's values lie in the engine and in changelogs: a format version, flags, a timestamp
// where there is one, then the user's bytes as they are. Without a timestamp that is two bytes. The
// overlay and user code see the user's bytes only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace coho {

struct StoredValue {
  std::string_view value;
  std::optional<int64_t> timestamp_ms = {};
};

// What a value without timestamp begins with.
inline constexpr std::string_view kPlainValueHeader("\x01\x00", 2);

// Replaces `out`.
void EncodeValue(const StoredValue& value, std::string* out);
// Views into `bytes`. kInvalidRecord says what is wrong with them; of a later version of Coho, or
// not ours.
[[nodiscard]] Status DecodeValue(std::string_view bytes, StoredValue* out);

}  // namespace coho
