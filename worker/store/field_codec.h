// Fields of the formats on disk and in changelogs: numbers are 8 bytes, strings a length and their
// bytes, all little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace coho {

inline void PutNumber(uint64_t value, std::string* out) {
  for (int shift = 0; shift < 64; shift += 8) out->push_back(static_cast<char>(value >> shift));
}
inline void PutString(std::string_view value, std::string* out) {
  PutNumber(value.size(), out);
  out->append(value);
}

// Take what they return from the front of `in`; false: it is too short.
[[nodiscard]] inline bool TakeNumber(std::string_view* in, uint64_t* value) {
  if (in->size() < 8) return false;
  *value = 0;
  for (size_t i = 0; i < 8; ++i)
    *value |= uint64_t{static_cast<unsigned char>((*in)[i])} << (8 * i);
  in->remove_prefix(8);
  return true;
}
[[nodiscard]] inline bool TakeString(std::string_view* in, std::string* value) {
  uint64_t size = 0;
  if (!TakeNumber(in, &size) || in->size() < size) return false;
  value->assign(in->substr(0, size));
  in->remove_prefix(size);
  return true;
}

}  // namespace coho
