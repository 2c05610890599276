// The seed of every test that draws at random: COHO_SEED, or the clock's. It belongs into every
// failure message, so that a failure can be had again.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>

namespace coho::test {

inline uint64_t Seed() {
  if (const char* seed = std::getenv("COHO_SEED")) return std::strtoull(seed, nullptr, 10);
  return static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
}

}  // namespace coho::test
