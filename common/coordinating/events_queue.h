// Events on their way from the threads that wait for Kafka to the one that decides. Bounded: who
// follows heartbeats waits while it is full, so that a slow receiver costs no memory; answers are
// never held up, there is one per request.
//
// Safe to use from any thread.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/coordinating/cluster_port.h"

namespace coho {

class EventsQueue {
 public:
  void Put(ClusterEvent event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    arrived_.notify_one();
  }
  // False: it stayed full for so long; nothing was put.
  [[nodiscard]] bool AwaitRoom(Duration timeout) {
    std::unique_lock lock(mutex_);
    return taken_.wait_for(lock, timeout, [this] { return events_.size() < kMost; });
  }
  [[nodiscard]] std::vector<ClusterEvent> Take(Duration timeout, size_t most) {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, timeout, [this] { return !events_.empty() || woken_; });
    woken_ = false;
    const auto count = static_cast<std::ptrdiff_t>(std::min(most, events_.size()));
    std::vector<ClusterEvent> events(std::make_move_iterator(events_.begin()),
                                     std::make_move_iterator(events_.begin() + count));
    events_.erase(events_.begin(), events_.begin() + count);
    taken_.notify_all();
    return events;
  }
  void Wake() {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    arrived_.notify_one();
  }

 private:
  static constexpr size_t kMost = 20'000;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::condition_variable taken_;
  std::deque<ClusterEvent> events_;
  bool woken_ = false;
};

}  // namespace coho
