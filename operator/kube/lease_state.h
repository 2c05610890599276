// Who leads, as far as one candidate can tell from a Lease. Pure: times come in as arguments.
//
// Whether another leader's lease ran out is judged by our own monotonic clock since we last saw the
// record change, never by the times written in it: clocks of machines differ.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/clock.h"

namespace coho::kube {

struct LeaseTiming {
  Duration duration =
      std::chrono::seconds(15);  // others wait this long after the last change they saw
  Duration renew_deadline =
      std::chrono::seconds(10);  // a leader that could not renew for so long stops leading
  Duration retry_period = std::chrono::seconds(2);
  Duration attempt = std::chrono::seconds(4);  // one read and one write take no longer
};

// What is stored.
struct LeaseRecord {
  bool exists = false;
  std::string holder;  // empty: released
  int64_t duration_seconds = 0;
  int64_t transitions = 0;
  std::string acquire_time;
  std::string renew_time;
  std::string resource_version;
};

enum class LeaseAction {
  kCreate,  // there is none
  kTake,    // released, or its holder is gone
  kRenew,   // ours
  kWait,    // another's, and maybe alive
};

// One candidate's memory. Thread-compatible.
class LeaseState {
 public:
  explicit LeaseState(std::string self) : self_(std::move(self)) {}

  // A record was read.
  void Observe(const LeaseRecord& record, MonotonicTime now);
  // Our write succeeded: we lead.
  void Held(MonotonicTime now);

  [[nodiscard]] LeaseAction Next(MonotonicTime now) const;
  // True while we lead and our last successful write is younger than the renew deadline.
  [[nodiscard]] bool Leads(const LeaseTiming& timing, MonotonicTime now) const;
  // The moment from which we lead no more unless we renew before it; nullopt: we do not lead.
  // Strictly before any other candidate may take the lease, since it counts from before our write,
  // and theirs from after they saw it.
  [[nodiscard]] std::optional<MonotonicTime> LeadsUntil(const LeaseTiming& timing) const;
  // How long an attempt that begins now may take: it never goes on beyond that moment. Zero: there
  // is no time for one.
  [[nodiscard]] Duration AttemptTime(const LeaseTiming& timing, MonotonicTime now) const;
  [[nodiscard]] bool holding() const { return holding_; }
  [[nodiscard]] const LeaseRecord& record() const { return record_; }

 private:
  const std::string self_;
  LeaseRecord record_;
  MonotonicTime changed_at_;
  bool observed_ = false;
  bool holding_ = false;
  MonotonicTime held_at_;
};

}  // namespace coho::kube
