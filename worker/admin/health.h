// What /livez, /readyz and /startz answer. Pure.
//
//   live      every thread went round within the bound; waiting for Kafka counts as going round
//   started   the job is read and the threads live: a long restore is no reason to kill a worker
//   ready     the assignment is known, every task that it gives is running, and a coordinator in
//             the process, if there is one, does its work or stands by for another one
#pragma once

#include <span>
#include <string>

#include "common/base/clock.h"
#include "worker/member/worker_status.h"

namespace coho {

struct Health {
  bool ok = false;
  std::string text;  // for people, one line
};

struct ThreadProgress {
  std::string name;
  MonotonicTime last;
};

[[nodiscard]] Health Liveness(std::span<const ThreadProgress> threads, MonotonicTime now,
                              Duration bound);
[[nodiscard]] Health Readiness(const WorkerStatus& status);

}  // namespace coho
