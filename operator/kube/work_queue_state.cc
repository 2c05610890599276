#include "operator/kube/work_queue_state.h"

#include <algorithm>

namespace coho::kube {
namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds(5);
constexpr Duration kLongestPause = std::chrono::seconds(1000);

Duration PauseAfter(int failures) {
  Duration pause = kFirstPause;
  for (int i = 1; i < failures && pause < kLongestPause; ++i) pause *= 2;
  return std::min(pause, kLongestPause);
}

}  // namespace

bool WorkQueueState::Add(const ObjectKey& key, MonotonicTime now) {
  if (!queued_.emplace(key, now).second) return false;
  if (!processing_.contains(key)) ready_.push_back(key);
  return true;
}

void WorkQueueState::AddAt(const ObjectKey& key, MonotonicTime due) {
  const auto [it, fresh] = delayed_.emplace(key, due);
  if (!fresh) {
    if (it->second <= due) return;
    by_due_.erase({it->second, key});
    it->second = due;
  }
  by_due_.emplace(due, key);
}

Duration WorkQueueState::AddAfterFailure(const ObjectKey& key, MonotonicTime now) {
  const Duration pause = std::max(PauseAfter(++failures_[key]), retries_.Take(now));
  AddAt(key, now + pause);
  return pause;
}

void WorkQueueState::Ripen(MonotonicTime now) {
  while (!by_due_.empty() && by_due_.begin()->first <= now) {
    const auto [due, key] = *by_due_.begin();
    by_due_.erase(by_due_.begin());
    delayed_.erase(key);
    Add(key, due);
  }
}

std::optional<WorkQueueState::Taken> WorkQueueState::Take(MonotonicTime now) {
  Ripen(now);
  if (ready_.empty()) return std::nullopt;
  Taken taken{.key = std::move(ready_.front())};
  ready_.pop_front();
  const auto it = queued_.find(taken.key);
  taken.waited = now - it->second;
  queued_.erase(it);
  processing_.insert(taken.key);
  return taken;
}

void WorkQueueState::Done(const ObjectKey& key) {
  processing_.erase(key);
  if (queued_.contains(key)) ready_.push_back(key);
}

std::optional<MonotonicTime> WorkQueueState::NextDue() const {
  if (by_due_.empty()) return std::nullopt;
  return by_due_.begin()->first;
}

int WorkQueueState::failures(const ObjectKey& key) const {
  const auto it = failures_.find(key);
  return it == failures_.end() ? 0 : it->second;
}

}  // namespace coho::kube
