#include "common/model/wire_version.h"

namespace coho {

Status CorruptRecord(const std::string& record, const Status& why) {
  return Corruption(record + ": " + why.message());
}

Result<Json> ParseVersioned(std::string_view value, const std::string& record) {
  // Brokers bound the size: 16 MiB is far above what they admit, and far below what hurts.
  Result<Json> json = ParseJson(value, "the value", {.bytes = 16 << 20, .depth = 64});
  if (!json.ok()) return CorruptRecord(record, json.status());
  Status error;
  int64_t version = 0;
  ObjectReader in(*json, "value", &error);
  in.Require("v", "the version of the wire form");
  in.Number("v", 1, INT64_MAX, &version);
  if (!error.ok()) return CorruptRecord(record, error);
  if (version != kWireVersion) {
    return Corruption(record + ": value.v: found " + std::to_string(version) + ", need " +
                      std::to_string(kWireVersion) + "; " +
                      (version > kWireVersion ? "a later version of Coho wrote it, which this one "
                                                "cannot read: update this one"
                                              : "a version of Coho from before the first release "
                                                "wrote it: begin with new topics"));
  }
  return json;
}

void ReadSerde(ObjectReader& in, std::string_view name, SerdeType* out) {
  in.OneOf<SerdeType>(name,
                      {{"bytes", SerdeType::kBytes},
                       {"string", SerdeType::kString},
                       {"int64", SerdeType::kInt64},
                       {"json", SerdeType::kJson}},
                      out);
}

void ReadTexts(ObjectReader& in, std::string_view name, std::vector<std::string>* out) {
  const Json* list = in.FindList(name);
  if (list == nullptr) return;
  for (const Json& item : *list) {
    if (!item.is_string()) return in.Refuse(name, "a list of strings");
    out->push_back(item.get<std::string>());
  }
}

}  // namespace coho
