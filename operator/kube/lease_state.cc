#include "operator/kube/lease_state.h"

#include <algorithm>

namespace coho::kube {

void LeaseState::Observe(const LeaseRecord& record, MonotonicTime now) {
  const bool changed = !observed_ || record.exists != record_.exists ||
                       record.holder != record_.holder ||
                       record.resource_version != record_.resource_version;
  if (changed) changed_at_ = now;
  observed_ = true;
  record_ = record;
  if (record_.holder != self_) holding_ = false;
}

void LeaseState::Held(MonotonicTime now) {
  holding_ = true;
  held_at_ = now;
}

LeaseAction LeaseState::Next(MonotonicTime now) const {
  if (!record_.exists) return LeaseAction::kCreate;
  if (record_.holder == self_) return LeaseAction::kRenew;
  if (record_.holder.empty()) return LeaseAction::kTake;
  const Duration validity = std::chrono::seconds(record_.duration_seconds);
  return now - changed_at_ > validity ? LeaseAction::kTake : LeaseAction::kWait;
}

bool LeaseState::Leads(const LeaseTiming& timing, MonotonicTime now) const {
  return holding_ && now - held_at_ < timing.renew_deadline;
}

std::optional<MonotonicTime> LeaseState::LeadsUntil(const LeaseTiming& timing) const {
  if (!holding_) return std::nullopt;
  return held_at_ + timing.renew_deadline;
}

Duration LeaseState::AttemptTime(const LeaseTiming& timing, MonotonicTime now) const {
  const auto until = LeadsUntil(timing);
  if (!until) return timing.attempt;
  return std::clamp<Duration>(*until - now, Duration::zero(), timing.attempt);
}

}  // namespace coho::kube
