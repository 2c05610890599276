#include "operator/kube/json.h"

namespace coho::kube {
namespace {

constexpr int kMaxDepth = 64;

bool IsDeep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace

Result<Json> ParseJson(std::string_view text) {
  Json value;
  if (IsDeep(text)) {
    // The callback costs; almost no text needs it.
    value = Json::parse(
        text, [](int depth, Json::parse_event_t, Json&) { return depth < kMaxDepth; }, false);
  } else {
    value = Json::parse(text, nullptr, false);
  }
  if (value.is_discarded())
    return InvalidArgument("not JSON: \"" + std::string(text.substr(0, 80)) + "\"");
  return value;
}

const Json& At(const Json& object, std::initializer_list<const char*> path) {
  static const Json kNull;
  const Json* at = &object;
  for (const char* step : path) {
    if (!at->is_object()) return kNull;
    const auto it = at->find(step);
    if (it == at->end()) return kNull;
    at = &*it;
  }
  return *at;
}

std::string TextAt(const Json& object, std::initializer_list<const char*> path,
                   std::string fallback) {
  const Json& value = At(object, path);
  return value.is_string() ? value.get<std::string>() : std::move(fallback);
}

int64_t IntAt(const Json& object, std::initializer_list<const char*> path, int64_t fallback) {
  const Json& value = At(object, path);
  return value.is_number_integer() ? value.get<int64_t>() : fallback;
}

bool BoolAt(const Json& object, std::initializer_list<const char*> path, bool fallback) {
  const Json& value = At(object, path);
  return value.is_boolean() ? value.get<bool>() : fallback;
}

ObjectKey KeyOf(const Json& object) {
  return {TextAt(object, {"metadata", "namespace"}), TextAt(object, {"metadata", "name"})};
}

std::string WriteJson(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace coho::kube
