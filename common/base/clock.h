// Time as a dependency. Deciding code takes a time as an argument and never reads a clock; the code
// around it holds a Clock, which tests and the simulator replace by ManualClock. Wall time and
// monotonic time are different types, so that one cannot be compared with the other.
#pragma once

#include <atomic>
#include <chrono>

namespace coho {

using Duration = std::chrono::nanoseconds;
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

[[nodiscard]] inline int64_t ToUnixMillis(WallTime t) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count();
}
[[nodiscard]] inline WallTime FromUnixMillis(int64_t ms) {
  return WallTime(std::chrono::milliseconds(ms));
}

// Safe to use from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual MonotonicTime Now() const = 0;
  [[nodiscard]] virtual WallTime WallNow() const = 0;
  // The machine's clocks. Lives for ever.
  [[nodiscard]] static const Clock& Real();
};

// Stands still until told to move.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] MonotonicTime Now() const override { return MonotonicTime(Duration(now_.load())); }
  [[nodiscard]] WallTime WallNow() const override {
    return WallTime(Duration(now_.load()) + std::chrono::hours(24 * 365 * 50));
  }
  void Advance(Duration by) { now_ += by.count(); }

 private:
  std::atomic<int64_t> now_{0};
};

}  // namespace coho
