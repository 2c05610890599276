// Messages to one thread from others. Bounded by the protocol of its users: a run loop, for
// example, gets at most one grant, one revocation and one restored task per task that is under way,
// and one stop; beyond a million messages something is broken, and it says so.
//
// Post from any thread; the rest on the receiving thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/clock.h"

namespace coho {

template <class Message>
class Mailbox {
 public:
  void Post(Message message) {
    {
      const std::lock_guard lock(mutex_);
      COHO_CHECK(messages_.size() < kMost, "mailbox overflow");
      messages_.push_back(std::move(message));
      size_.store(messages_.size(), std::memory_order_release);
    }
    arrived_.notify_one();
  }

  // One atomic load: cheap enough for the middle of a batch.
  [[nodiscard]] bool empty() const { return size_.load(std::memory_order_acquire) == 0; }

  [[nodiscard]] std::optional<Message> Take() {
    const std::lock_guard lock(mutex_);
    if (messages_.empty()) return std::nullopt;
    Message message = std::move(messages_.front());
    messages_.pop_front();
    size_.store(messages_.size(), std::memory_order_release);
    return message;
  }

  // Returns when there is a message or `timeout` is over.
  void Wait(Duration timeout) {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, timeout, [this] { return !messages_.empty(); });
  }

  template <class Predicate>
  void EraseIf(Predicate predicate) {
    const std::lock_guard lock(mutex_);
    messages_.erase(std::remove_if(messages_.begin(), messages_.end(), predicate), messages_.end());
    size_.store(messages_.size(), std::memory_order_release);
  }

 private:
  static constexpr size_t kMost = 1 << 20;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Message> messages_;
  std::atomic<size_t> size_{0};
};

}  // namespace coho
