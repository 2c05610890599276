// What the overlays of all stores of a process may hold together, however many stores there are.
// Stores tell it what they hold, in steps, and each one evicts and asks for a write-back when all
// together are over.
//
// Thread rule: any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace coho {

class OverlayBudget {
 public:
  explicit OverlayBudget(int64_t limit) : limit_(limit) {}
  OverlayBudget(const OverlayBudget&) = delete;
  OverlayBudget& operator=(const OverlayBudget&) = delete;

  void AddStore() { stores_.fetch_add(1, std::memory_order_relaxed); }
  void RemoveStore() { stores_.fetch_sub(1, std::memory_order_relaxed); }
  // What a store holds more, or less, than it told before; `kept`: of that, what it cannot evict.
  void Add(int64_t bytes, int64_t kept) {
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
    kept_.fetch_add(kept, std::memory_order_relaxed);
  }

  [[nodiscard]] int64_t limit() const { return limit_; }
  [[nodiscard]] int64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  // More than the limit; 0: not over.
  [[nodiscard]] int64_t excess() const {
    const int64_t over = bytes() - limit_;
    return over > 0 ? over : 0;
  }
  [[nodiscard]] bool under_pressure() const { return bytes() > limit_ / 8 * 7; }
  // A store that keeps this much should write back now. Not all of the budget may be kept: the rest
  // is for clean values in use. At least one store is told so when three quarters are.
  [[nodiscard]] bool TooMuch(int64_t kept) const {
    const int64_t all = kept_.load(std::memory_order_relaxed);
    return kept > 0 && all >= limit_ / 4 * 3 &&
           kept >= all / stores_.load(std::memory_order_relaxed) - kStep;
  }

  // Stores tell changes of less than this only later.
  static constexpr int64_t kStep = 1024;

 private:
  const int64_t limit_;
  std::atomic<int64_t> bytes_{0};
  std::atomic<int64_t> kept_{0};
  std::atomic<int64_t> stores_{0};
};

}  // namespace coho
