// The only source of chance in a simulation. Deterministic on every machine: arithmetic of our own,
// no distributions.
#pragma once

#include <chrono>
#include <cstdint>

#include "common/base/clock.h"

namespace coho::sim {

class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL + 0x632BE59BD9B4E019ULL) {}

  [[nodiscard]] uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  [[nodiscard]] int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Next() % static_cast<uint64_t>(high - low + 1));
  }
  [[nodiscard]] bool Percent(int64_t chance) { return Between(0, 99) < chance; }
  [[nodiscard]] bool PerMille(int64_t chance) { return Between(0, 999) < chance; }
  [[nodiscard]] Duration Millis(int64_t low, int64_t high) {
    return std::chrono::microseconds(Between(low * 1000, high * 1000));
  }

 private:
  uint64_t state_;
};

}  // namespace coho::sim
