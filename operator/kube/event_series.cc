#include "operator/kube/event_series.h"

namespace coho::kube {
namespace {

constexpr Duration kSeriesEndsAfter = std::chrono::minutes(6);
constexpr Duration kWriteCountEvery = std::chrono::seconds(30);
constexpr Duration kBurstLasts = std::chrono::minutes(10);
constexpr int kSinglesPerBurst = 10;
constexpr Duration kBudgetIsFullAfter = std::chrono::minutes(55);

}  // namespace

EventVerdict EventSeries::Record(const EventKind& kind, const std::string& note,
                                 const std::string& name, MonotonicTime now, WallTime wall) {
  Forget(now);
  auto it = series_.find({kind, note});
  Burst& burst = bursts_.try_emplace(kind, Burst{.began = now}).first->second;
  if (it == series_.end() && burst.created >= kSinglesPerBurst)
    it = series_.find({kind, burst.latest_note});
  if (it != series_.end()) {
    Series& series = it->second;
    ++series.count;
    series.last_observed = wall;
    series.last_seen = now;
    return EventVerdict::kCounted;
  }
  Budget& budget = budgets_[kind.object];
  budget.last_used = now;
  if (!budget.bucket.TryTake(now)) return EventVerdict::kDropped;
  ++burst.created;
  burst.latest_note = note;
  series_[{kind, note}] = Series{.name = name, .last_observed = wall, .last_seen = now};
  return EventVerdict::kCreate;
}

std::vector<SeriesUpdate> EventSeries::DueUpdates(MonotonicTime now) {
  std::vector<SeriesUpdate> due;
  for (auto& [key, series] : series_) {
    if (series.count == series.written_count) continue;
    if (series.written_at && now - *series.written_at < kWriteCountEvery) continue;
    series.written_at = now;
    series.written_count = series.count;
    due.push_back({.ns = key.first.ns,
                   .event_name = series.name,
                   .count = series.count,
                   .last_observed = series.last_observed});
  }
  return due;
}

bool EventSeries::has_pending() const {
  for (const auto& [key, series] : series_) {
    if (series.count != series.written_count) return true;
  }
  return false;
}

void EventSeries::Forget(MonotonicTime now) {
  std::erase_if(series_, [&](const auto& entry) {
    const Series& series = entry.second;
    return series.count == series.written_count && now - series.last_seen >= kSeriesEndsAfter;
  });
  std::erase_if(bursts_,
                [&](const auto& entry) { return now - entry.second.began >= kBurstLasts; });
  std::erase_if(budgets_, [&](const auto& entry) {
    return now - entry.second.last_used >= kBudgetIsFullAfter;
  });
}

}  // namespace coho::kube
