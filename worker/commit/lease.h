// The right to process with guarantee AtLeastOnce. Kafka cannot fence a producer without
// transactions, so such a worker fences itself: it processes and commits only while Kafka
// acknowledged a heartbeat of its within the session timeout. The coordinator calls a worker lost
// no sooner than a session timeout after it heard the last heartbeat, so the lease is over by then.
//
// A lease that ran out is not good again by itself: its epoch grows, the loops give up tasks that
// were granted in an older one, and the member reads the assignment anew.
//
// Renew on one thread; the rest from any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "common/base/clock.h"
#include "common/base/status.h"

namespace coho {

class Lease {
 public:
  explicit Lease(Duration length) : length_(length) {}

  // `sent_at`: when the acknowledged heartbeat was handed to the producer, not when the
  // acknowledgement came. The time is taken here and not before: whoever saw the lease end before
  // it is extended must find that its epoch grew.
  void Renew(MonotonicTime sent_at, const Clock& clock) {
    if (!Valid(clock.Now())) ++epoch_;
    until_ = (sent_at + length_).time_since_epoch().count();
  }
  [[nodiscard]] bool Valid(MonotonicTime now) const {
    return now.time_since_epoch().count() < until_;
  }
  [[nodiscard]] MonotonicTime until() const { return MonotonicTime(Duration(until_.load())); }
  [[nodiscard]] int64_t epoch() const { return epoch_; }

 private:
  const Duration length_;
  std::atomic<int64_t> until_{0};
  std::atomic<int64_t> epoch_{0};
};

// Whoever notices it first says the same.
inline constexpr char kLeaseIsOver[] =
    "no heartbeat was acknowledged within spec.failover.sessionTimeout";
[[nodiscard]] inline Status LeaseIsOverError() { return Fenced(kLeaseIsOver); }

}  // namespace coho
