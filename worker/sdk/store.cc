#include "worker/sdk/store.h"

namespace coho {

std::string PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

Status NotOfSerde(std::string_view part, size_t size, SerdeType serde) {
  return Corruption("a " + std::string(part) + " of " + std::to_string(size) + " bytes is no " +
                    std::string(SerdeName(serde)) +
                    ": the store was written with another serde; name that one in spec.stores");
}

}  // namespace coho
