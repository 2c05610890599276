// An event that a plan wants people to see with `kubectl describe`. A value.
#pragma once

#include <string>

namespace coho {

struct PlannedEvent {
  bool warning = false;
  std::string reason;  // CamelCase
  std::string action;  // what was being done: Reconcile, ReplacePod, ...
  std::string note;
  friend bool operator==(const PlannedEvent&, const PlannedEvent&) = default;
};

}  // namespace coho
