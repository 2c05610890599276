#include "operator/observe/node_selector.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "operator/kube/json.h"

namespace coho {
namespace {

using kube::At;
using kube::Json;
using kube::TextAt;

std::optional<int64_t> ToNumber(const std::string& text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// `actual`: the node's value for the requirement's key; nullopt: it has none.
bool Holds(const Json& requirement, const std::optional<std::string>& actual) {
  const std::string op = TextAt(requirement, {"operator"});
  const Json& values = At(requirement, {"values"});
  const bool listed = actual && values.is_array() &&
                      std::any_of(values.begin(), values.end(),
                                  [&](const Json& v) { return v.is_string() && v == *actual; });
  if (op == "In") return listed;
  if (op == "NotIn") return !listed;
  if (op == "Exists") return actual.has_value();
  if (op == "DoesNotExist") return !actual.has_value();
  if (op == "Gt" || op == "Lt") {
    if (!actual || !values.is_array() || values.size() != 1 || !values[0].is_string()) return false;
    const std::optional<int64_t> left = ToNumber(*actual);
    const std::optional<int64_t> right = ToNumber(values[0].get<std::string>());
    return left && right && (op == "Gt" ? *left > *right : *left < *right);
  }
  return false;
}

bool TermAdmits(const Json& term, const Json& node) {
  const Json& expressions = At(term, {"matchExpressions"});
  const Json& fields = At(term, {"matchFields"});
  const bool has_expressions = expressions.is_array() && !expressions.empty();
  const bool has_fields = fields.is_array() && !fields.empty();
  if (!has_expressions && !has_fields) return false;
  if (has_expressions) {
    for (const Json& requirement : expressions) {
      const std::string key = TextAt(requirement, {"key"});
      const Json& label = At(node, {"metadata", "labels", key.c_str()});
      if (!Holds(requirement,
                 label.is_string() ? std::optional(label.get<std::string>()) : std::nullopt))
        return false;
    }
  }
  if (has_fields) {
    for (const Json& requirement : fields) {
      if (TextAt(requirement, {"key"}) != "metadata.name") return false;  // the only one there is
      if (!Holds(requirement, TextAt(node, {"metadata", "name"}))) return false;
    }
  }
  return true;
}

}  // namespace

bool NodeSelectorAdmits(const Json& selector, const Json& node) {
  if (selector.is_null()) return true;
  const Json& terms = At(selector, {"nodeSelectorTerms"});
  return terms.is_array() && std::any_of(terms.begin(), terms.end(),
                                         [&](const Json& term) { return TermAdmits(term, node); });
}

}  // namespace coho
