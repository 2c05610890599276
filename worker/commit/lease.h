// The right to process with guarantee AtLeastOnce. Kafka cannot fence a producer without transactions, so such a worker fences
// itself: it processes and commits only while Kafka acknowledged a heartbeat of its within the session timeout. The coordinator calls a
// worker lost no sooner than a session timeout after it heard the last heartbeat, so the lease is over by then.
//
// A lease that ran out once is not good again by itself: the loops give up their tasks, and the member reads the assignment anew.
//
// Safe to use from any thread.
#pragma once

#include <atomic>

#include "common/base/clock.h"

namespace coho {

class Lease {
 public:
  explicit Lease(Duration length) : length_(length) {}
  // `sent_at`: when the acknowledged heartbeat was handed to the producer, not when the acknowledgement came.
  void Renew(MonotonicTime sent_at) { until_ = (sent_at + length_).time_since_epoch().count(); }
  [[nodiscard]] bool Valid(MonotonicTime now) const { return now.time_since_epoch().count() < until_; }

 private:
  const Duration length_;
  std::atomic<int64_t> until_{0};
};

}  // namespace coho
