// Reading JSON that may come from anyone: capped, strict, and with errors that name the field.
// Include only from .cc files of common/model.
//
// An ObjectReader reads one object's fields into a struct. The first error of a whole document is
// kept in one Status that all its readers share; after it every call does nothing, so that a codec
// needs no check per field. Values, no IO.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/contract/enum_names.h"

namespace coho {

using Json = nlohmann::json;

struct JsonLimits {
  size_t bytes = 1 << 20;
  size_t depth = 64;
};

// Refuses what is too large, too deep (a deep value would exhaust the stack when it is written out
// again), has a key twice, or is no JSON. `what` begins the message: "the job".
[[nodiscard]] Result<Json> ParseJson(std::string_view text, std::string_view what,
                                     const JsonLimits& limits = {});

// One line of JSON; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string DumpJson(const Json& value);

// `value` as it may stand in a message: one line, cut after 80 bytes.
[[nodiscard]] std::string ShowJson(const Json& value);

class ObjectReader {
 public:
  // REQUIRES: `value` and `error` outlive the reader. A value that is no object is an error.
  ObjectReader(const Json& value, std::string path, Status* error);

  [[nodiscard]] bool ok() const { return error_->ok(); }
  [[nodiscard]] std::string PathOf(std::string_view name) const;
  // "<path>.<name>: found <value>, need <need>"
  void Refuse(std::string_view name, std::string_view need);
  // Marks the field as known. nullptr when it is absent or null.
  [[nodiscard]] const Json* Find(std::string_view name);
  void Require(std::string_view name, std::string_view need);

  // Each leaves `out` as it is when the field is absent.
  void Text(std::string_view name, std::string* out);
  // Text, or a number or boolean turned to text.
  void Scalar(std::string_view name, std::string* out);
  void Flag(std::string_view name, bool* out);
  void Time(std::string_view name, Duration* out);
  void TextMap(std::string_view name, std::map<std::string, std::string>* out);

  template <std::integral T>
  void Number(std::string_view name, int64_t min, int64_t max, T* out) {
    int64_t value = 0;
    if (ReadNumber(name, min, max, &value)) *out = static_cast<T>(value);
  }

  template <class E>
  void OneOf(std::string_view name, std::initializer_list<std::pair<std::string_view, E>> names,
             E* out) {
    const Json* value = Find(name);
    if (value == nullptr) return;
    std::string need = "one of";
    for (const auto& [word, meaning] : names) {
      if (value->is_string() && value->get_ref<const std::string&>() == word) {
        *out = meaning;
        return;
      }
      need.append(need == "one of" ? " " : ", ").append(word);
    }
    Refuse(name, need);
  }

  // The same, with the names that stand beside the enum.
  template <NamedEnum E>
  void OneOf(std::string_view name, E* out) {
    const Json* value = Find(name);
    if (value == nullptr) return;
    if (value->is_string()) {
      if (const auto found = FromName<E>(value->get_ref<const std::string&>())) {
        *out = *found;
        return;
      }
    }
    std::string need = "one of";
    for (const auto& [word, meaning] : NamesOf(E{}))
      need.append(need == "one of" ? " " : ", ").append(word);
    Refuse(name, need);
  }

  // read(ObjectReader&), then unknown fields are refused.
  template <class F>
  void Object(std::string_view name, F read) {
    const Json* value = Find(name);
    if (value == nullptr) return;
    ObjectReader inner(*value, PathOf(name), error_);
    if (!ok()) return;
    inner.tolerant_ = tolerant_;
    read(inner);
    inner.RefuseUnknown();
  }

  // read(ObjectReader&) for each element.
  template <class F>
  void Objects(std::string_view name, F read) {
    const Json* list = FindList(name);
    if (list == nullptr) return;
    for (size_t i = 0; i < list->size() && ok(); ++i) {
      ObjectReader inner((*list)[i], PathOf(name) + "[" + std::to_string(i) + "]", error_);
      if (!ok()) return;
      inner.tolerant_ = tolerant_;
      read(inner);
      inner.RefuseUnknown();
    }
  }

  // Also refuses a value that is there but no list.
  [[nodiscard]] const Json* FindList(std::string_view name);
  void AcceptUnknown() { accept_unknown_ = true; }
  // In all objects that are read through this one, too.
  void AcceptUnknownEverywhere() { tolerant_ = true; }
  void RefuseUnknown();

 private:
  [[nodiscard]] bool ReadNumber(std::string_view name, int64_t min, int64_t max, int64_t* out);

  const Json& value_;
  std::string path_;
  Status* error_;
  std::set<std::string, std::less<>> known_;
  bool accept_unknown_ = false;
  bool tolerant_ = false;
};

}  // namespace coho
