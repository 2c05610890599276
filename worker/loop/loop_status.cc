#include "worker/loop/loop_status.h"

namespace coho {

void CommitTimes::Add(double seconds) {
  size_t bucket = 0;
  while (bucket < kUpperBounds.size() && seconds > kUpperBounds[bucket]) ++bucket;
  ++counts[bucket];
  sum += seconds;
}

}  // namespace coho
