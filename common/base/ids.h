// Distinct types for the numbers that must never be mixed up. Values.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

namespace coho {

// An integer with a meaning: explicit to make, ordered, hashable, printable. `Tag` names the
// meaning.
template <class Tag, class Rep>
class Strong {
 public:
  using rep = Rep;
  constexpr Strong() = default;
  constexpr explicit Strong(Rep value) : value_(value) {}
  [[nodiscard]] constexpr Rep value() const { return value_; }
  friend constexpr auto operator<=>(Strong, Strong) = default;
  friend constexpr bool operator==(Strong, Strong) = default;
  [[nodiscard]] constexpr Strong Next() const { return Strong(static_cast<Rep>(value_ + 1)); }
  template <class H>
  friend H AbslHashValue(H h, Strong s) {
    return H::combine(std::move(h), s.value_);
  }
  friend std::ostream& operator<<(std::ostream& out, Strong s) { return out << s.value_; }

 private:
  Rep value_{};
};

template <class Tag, class Rep>
[[nodiscard]] std::string ToString(Strong<Tag, Rep> s) {
  return std::to_string(s.value());
}

// Task i consumes partition i of every input and owns partition i of every changelog.
using TaskId = Strong<struct TaskIdTag, int32_t>;
// Stable for the job's life; the pod of worker 1 is <job>-worker-1-0... see operator/manifests.
using WorkerId = Strong<struct WorkerIdTag, int32_t>;
// Number of an assignment. Grows by one; a lower one is never obeyed. 0 = none yet.
using Generation = Strong<struct GenerationTag, int64_t>;

// "<namespace>.<name>": id of a job, and its Kafka consumer group.
struct JobId {
  std::string ns;
  std::string name;
  [[nodiscard]] std::string ToString() const { return ns + "." + name; }
  friend auto operator<=>(const JobId&, const JobId&) = default;
};

struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

}  // namespace coho

template <class Tag, class Rep>
struct std::hash<coho::Strong<Tag, Rep>> {
  size_t operator()(coho::Strong<Tag, Rep> s) const noexcept { return std::hash<Rep>{}(s.value()); }
};
