// What a RunnerState asks of the thread around it. Values.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "common/base/clock.h"
#include "common/coordinating/cluster_port.h"
#include "common/coordination/coordinator_values.h"

namespace coho {

struct Times {
  MonotonicTime now;
  WallTime wall;
};

// Actions.
struct AskKafka {
  int64_t ticket = 0;  // the answer comes back with it
  ClusterRequest request;
};
struct TellEvent {
  EmitEvent event;
};
struct Note {  // for the log
  bool warning = false;
  std::string sentence;
  std::string detail;
};
using RunnerAction = std::variant<AskKafka, TellEvent, Note>;

}  // namespace coho
