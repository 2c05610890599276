#include "common/model/json_reader.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "common/model/job.h"

namespace coho {
namespace {

// Counts brackets outside of strings. Says nothing about whether the text is JSON.
bool DeeperThan(std::string_view text, size_t limit) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > limit) return true;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return false;
}

std::string Position(std::string_view text, size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t line_start =
      before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return "line " + std::to_string(line) + ", column " +
         std::to_string(before.size() - line_start + 1);
}

}  // namespace

Result<Json> ParseJson(std::string_view text, std::string_view what, const JsonLimits& limits) {
  const std::string subject(what);
  if (text.size() > limits.bytes) {
    return InvalidArgument(subject + " has " + std::to_string(text.size()) + " bytes, at most " +
                           std::to_string(limits.bytes) + " are allowed");
  }
  if (DeeperThan(text, limits.depth)) {
    return InvalidArgument(subject + " is nested more than " + std::to_string(limits.depth) +
                           " levels deep");
  }
  std::vector<std::set<std::string>> keys;
  std::optional<std::string> twice;
  const Json::parser_callback_t watch_keys = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (event == Json::parse_event_t::key && !twice) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) twice = key;
    }
    return true;
  };
  try {
    Json json = Json::parse(text.begin(), text.end(), watch_keys);
    if (twice)
      return InvalidArgument(subject + " has the key " + ShowJson(*twice) + " twice in one object");
    return json;
  } catch (const Json::parse_error& e) {
    // The library's own message quotes the text, which may hold what nobody should see.
    return InvalidArgument(subject + " is not valid JSON: syntax error near " +
                           Position(text, e.byte == 0 ? 0 : e.byte - 1));
  } catch (const Json::exception& e) {
    return InvalidArgument(subject + " is not valid JSON: error " + std::to_string(e.id));
  }
}

std::string DumpJson(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string ShowJson(const Json& value) {
  constexpr size_t kShown = 80;
  std::string text = DumpJson(value);
  if (text.size() > kShown) {
    size_t cut = kShown;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80)
      --cut;  // not inside a UTF-8 character
    text.resize(cut);
    text += "...";
  }
  return text;
}

ObjectReader::ObjectReader(const Json& value, std::string path, Status* error)
    : value_(value), path_(std::move(path)), error_(error) {
  if (!value_.is_object() && error_->ok()) {
    *error_ = InvalidArgument(path_ + ": found " + ShowJson(value_) + ", need an object");
  }
}

std::string ObjectReader::PathOf(std::string_view name) const {
  return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
}

void ObjectReader::Refuse(std::string_view name, std::string_view need) {
  if (!ok()) return;
  const auto at = value_.find(name);
  const std::string found = at == value_.end() ? "nothing" : ShowJson(*at);
  *error_ = InvalidArgument(PathOf(name) + ": found " + found + ", need " + std::string(need));
}

const Json* ObjectReader::Find(std::string_view name) {
  if (!ok()) return nullptr;
  known_.emplace(name);
  const auto at = value_.find(name);
  return at == value_.end() || at->is_null() ? nullptr : &*at;
}

void ObjectReader::Require(std::string_view name, std::string_view need) {
  if (ok() && Find(name) == nullptr) Refuse(name, need);
}

void ObjectReader::Text(std::string_view name, std::string* out) {
  const Json* value = Find(name);
  if (value == nullptr) return;
  if (!value->is_string()) return Refuse(name, "a string");
  *out = value->get<std::string>();
}

void ObjectReader::Scalar(std::string_view name, std::string* out) {
  const Json* value = Find(name);
  if (value == nullptr) return;
  if (value->is_structured()) return Refuse(name, "a string, number or boolean");
  *out = value->is_string() ? value->get<std::string>() : DumpJson(*value);
}

void ObjectReader::Flag(std::string_view name, bool* out) {
  const Json* value = Find(name);
  if (value == nullptr) return;
  if (!value->is_boolean()) return Refuse(name, "true or false");
  *out = value->get<bool>();
}

void ObjectReader::Time(std::string_view name, Duration* out) {
  const Json* value = Find(name);
  if (value == nullptr) return;
  constexpr std::string_view kNeed = "a duration such as 100ms, 5s or 1m30s";
  if (!value->is_string()) return Refuse(name, kNeed);
  const Result<Duration> parsed = ParseDuration(value->get_ref<const std::string&>());
  if (!parsed.ok()) return Refuse(name, kNeed);
  *out = *parsed;
}

void ObjectReader::TextMap(std::string_view name, std::map<std::string, std::string>* out) {
  Object(name, [&](ObjectReader& map) {
    for (const auto& [key, value] : map.value_.items()) map.Scalar(key, &(*out)[key]);
  });
}

bool ObjectReader::ReadNumber(std::string_view name, int64_t min, int64_t max, int64_t* out) {
  const Json* value = Find(name);
  if (value == nullptr) return false;
  // An unsigned value above int64's range turns negative here, so it is looked at first.
  const bool fits =
      value->is_number_integer() &&
      !(value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX));
  if (!fits || value->get<int64_t>() < min || value->get<int64_t>() > max) {
    Refuse(name, min == INT64_MIN && max == INT64_MAX
                     ? std::string("a whole number")
                     : "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    return false;
  }
  *out = value->get<int64_t>();
  return true;
}

const Json* ObjectReader::FindList(std::string_view name) {
  const Json* value = Find(name);
  if (value != nullptr && !value->is_array()) {
    Refuse(name, "a list");
    return nullptr;
  }
  return value;
}

void ObjectReader::RefuseUnknown() {
  if (!ok() || accept_unknown_ || tolerant_) return;
  for (const auto& [key, value] : value_.items()) {
    if (known_.count(key) > 0) continue;
    std::string names;
    for (const std::string& name : known_) names.append(names.empty() ? "" : ", ").append(name);
    // The value stays unnamed: whoever mistypes a field may have put a password there.
    *error_ = InvalidArgument(PathOf(key) + ": unknown field, known are " +
                              (names.empty() ? "none" : names));
    return;
  }
}

}  // namespace coho
