// Reading JSON that came from an API server: nothing in it may harm us, however deep or odd.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "common/base/status.h"
#include "operator/kube/resource.h"

namespace coho::kube {

using Json = nlohmann::json;

// Values nested deeper than 64 are left out: they would overflow the stack when written again, and
// nothing of ours is that deep. InvalidArgument: not JSON.
[[nodiscard]] Result<Json> ParseJson(std::string_view text);

// The value at object[a][b]... if every step is an object and it is there, else null.
[[nodiscard]] const Json& At(const Json& object, std::initializer_list<const char*> path);
// The text or number at the path, else `fallback`.
[[nodiscard]] std::string TextAt(const Json& object, std::initializer_list<const char*> path,
                                 std::string fallback = "");
[[nodiscard]] int64_t IntAt(const Json& object, std::initializer_list<const char*> path,
                            int64_t fallback = 0);
[[nodiscard]] bool BoolAt(const Json& object, std::initializer_list<const char*> path,
                          bool fallback = false);

// metadata.namespace and metadata.name.
[[nodiscard]] ObjectKey KeyOf(const Json& object);
// Compact text; bytes that are no UTF-8 are replaced.
[[nodiscard]] std::string WriteJson(const Json& value);

}  // namespace coho::kube
