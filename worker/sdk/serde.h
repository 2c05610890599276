// How typed keys and values become bytes in stores, changelogs and topics. int64 is 8 bytes
// big-endian, as Kafka's LongSerializer writes it; string is UTF-8; json is JSON text; bytes are
// bytes.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/model/job.h"

namespace coho {

using Int64Bytes = std::array<char, 8>;

[[nodiscard]] inline Int64Bytes EncodeInt64(int64_t value) {
  Int64Bytes out;
  const uint64_t big = __builtin_bswap64(static_cast<uint64_t>(value));
  std::memcpy(out.data(), &big, sizeof big);
  return out;
}
// REQUIRES: 8 bytes.
[[nodiscard]] inline int64_t DecodeInt64(std::string_view bytes) {
  uint64_t big = 0;
  std::memcpy(&big, bytes.data(), sizeof big);
  return static_cast<int64_t>(__builtin_bswap64(big));
}

// Whether bytes can be read as `type`; kInvalidRecord says what is wrong with them, without the
// bytes themselves. JSON is nested at most 64 levels deep, and its numbers fit an int64, a uint64
// or a double.
[[nodiscard]] Status CheckBytes(SerdeType type, std::string_view bytes);

// An int64 as a topic's value serde wants it: int64 and bytes are 8 bytes big-endian, string and
// json are decimal digits. The view lies in `buffer`.
using Int64Buffer = std::array<char, 24>;
[[nodiscard]] std::string_view EncodeInt64As(SerdeType type, int64_t value, Int64Buffer* buffer);

// Maps a C++ type to bytes; Decode gives nullopt for bytes that are none of that type's.
// Specialised for std::string, std::string_view and int64_t.
template <class T>
struct Serde;

template <>
struct Serde<std::string_view> {
  using Encoded = std::string_view;
  static Encoded Encode(std::string_view v) { return v; }
  static std::optional<std::string> Decode(std::string_view bytes) { return std::string(bytes); }
  using Decoded = std::string;
  static bool Fits(SerdeType type) { return type != SerdeType::kInt64; }
};
template <>
struct Serde<std::string> : Serde<std::string_view> {};
template <>
struct Serde<int64_t> {
  struct Encoded {
    Int64Bytes bytes;
    operator std::string_view() const { return {bytes.data(), bytes.size()}; }  // NOLINT
  };
  static Encoded Encode(int64_t v) { return {EncodeInt64(v)}; }
  static std::optional<int64_t> Decode(std::string_view bytes) {
    if (bytes.size() != sizeof(int64_t)) return std::nullopt;
    return DecodeInt64(bytes);
  }
  using Decoded = int64_t;
  static bool Fits(SerdeType type) { return type == SerdeType::kInt64; }
};

}  // namespace coho
