// What the records of the coordinator and heartbeats topics have in common: JSON objects with a
// version. A decoder ignores fields that it does not know, and refuses versions that it does not
// know. Include only from .cc files of common/model.
#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/model/job.h"
#include "common/model/json_reader.h"

namespace coho {

// The format of every record below; grows when an older reader would misunderstand a newer record.
inline constexpr int64_t kWireVersion = 2;

// Parses a record's value and checks its version. `record` begins the messages: "heartbeat". Codes:
// kCorruption.
[[nodiscard]] Result<Json> ParseVersioned(std::string_view value, const std::string& record);

// The same Status as kCorruption of `record`.
[[nodiscard]] Status CorruptRecord(const std::string& record, const Status& why);

// read(key, ObjectReader&) for each value of an object of objects; unknown fields are ignored.
template <class F>
void ReadObjects(ObjectReader& in, std::string_view name, Status* error, F read) {
  const Json* objects = in.Find(name);
  if (objects == nullptr) return;
  if (!objects->is_object()) return in.Refuse(name, "an object");
  for (const auto& [key, value] : objects->items()) {
    ObjectReader inner(value, in.PathOf(name) + "." + key, error);
    if (!in.ok()) return;
    read(key, inner);
  }
}

void ReadSerde(ObjectReader& in, std::string_view name, SerdeType* out);

void ReadTexts(ObjectReader& in, std::string_view name, std::vector<std::string>* out);

template <class Tag, class Rep>
void ReadStrong(ObjectReader& in, std::string_view name, Strong<Tag, Rep>* out) {
  Rep value = out->value();
  in.Number(name, 0, std::numeric_limits<Rep>::max(), &value);
  *out = Strong<Tag, Rep>(value);
}

}  // namespace coho
