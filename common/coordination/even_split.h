// Items split evenly over bins at the least cost. Pure; deterministic: items and bins are told
// apart by their index alone, and every tie ends in one.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace coho {

// What a plan does to a task, the gravest first.
struct PlanCost {
  int64_t taken = 0;       // from an owner that may keep it
  int64_t redirected = 0;  // from where it is on its way to
  int64_t bytes = 0;       // to restore
  int64_t records = 0;     // to restore
  friend auto operator<=>(const PlanCost&, const PlanCost&) = default;
  friend PlanCost operator+(const PlanCost& a, const PlanCost& b) {
    return {a.taken + b.taken, a.redirected + b.redirected, a.bytes + b.bytes,
            a.records + b.records};
  }
  friend PlanCost operator-(const PlanCost& a, const PlanCost& b) {
    return {a.taken - b.taken, a.redirected - b.redirected, a.bytes - b.bytes,
            a.records - b.records};
  }
};

struct SplitItem {
  struct Option {
    size_t bin = 0;
    PlanCost cost;
  };
  PlanCost anywhere;            // in a bin that is no option
  std::vector<Option> options;  // by bin, none twice; each cheaper than `anywhere`
};

struct EvenSplit {
  std::vector<std::optional<size_t>> bins;  // of each item; nullopt: wherever there is room
  std::vector<size_t> room;                 // of each bin, for those items
};

// Ways from bin to bin that are looked at: enough for a job of 100,000 tasks whose 1,000 workers
// double, which takes seconds, and a bound on what takes longer.
constexpr int64_t kSplitSteps = 20'000'000;

// Each bin gets items / bins of them, and the rest of that division one more. At the least sum of
// costs; where `steps` do not suffice, what is left over leaves its bin by the cheapest way alone,
// without making room by moving others.
// REQUIRES: there is a bin; costs below 2^62 in sum.
[[nodiscard]] EvenSplit SplitEvenly(const std::vector<SplitItem>& items, size_t bins,
                                    int64_t steps = kSplitSteps);

}  // namespace coho
