// Limits of a job's spec that other decisions build on. crds/streamjobs.yaml has them, too.
#pragma once

#include <cstdint>

namespace coho {

inline constexpr int32_t kWorkersMost = 1000;  // spec.workers.count

}  // namespace coho
