// The one spelling of an enum's values, for readers, writers and documents alike. Beside the enum
// stands a function that is found by the enum's type:
//
//   enum class Guarantee { kExactlyOnce, kAtLeastOnce };
//   constexpr auto NamesOf(Guarantee) {
//     return EnumNames<Guarantee, 2>{
//         {{"ExactlyOnce", Guarantee::kExactlyOnce}, {"AtLeastOnce", Guarantee::kAtLeastOnce}}};
//   }
//
// Then NameOf(Guarantee::kAtLeastOnce) is "AtLeastOnce" and FromName<Guarantee>("AtLeastOnce")
// finds it. Values; no IO.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace coho {

template <class E, size_t kCount>
using EnumNames = std::array<std::pair<std::string_view, E>, kCount>;

template <class E>
concept NamedEnum = requires(E value) {
  NamesOf(value);
};

// "" for a value that has no name, which only a cast can make.
template <NamedEnum E>
[[nodiscard]] constexpr std::string_view NameOf(E value) {
  for (const auto& [name, named] : NamesOf(value)) {
    if (named == value) return name;
  }
  return "";
}

template <NamedEnum E>
[[nodiscard]] constexpr std::optional<E> FromName(std::string_view text) {
  for (const auto& [name, value] : NamesOf(E{})) {
    if (name == text) return value;
  }
  return std::nullopt;
}

}  // namespace coho
