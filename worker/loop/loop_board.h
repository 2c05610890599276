// What the rest of the process sees of a run loop without a message to it: its status, when it was
// last heard from, whether it ended; and the one thing it may be told so, to give up.
//
// Thread rule: const methods and GiveUp from any thread, the rest on the run loop's.
#pragma once

#include <atomic>
#include <mutex>

#include "common/base/clock.h"
#include "common/base/thread_annotations.h"
#include "worker/loop/loop_status.h"

namespace coho {

class LoopBoard {
 public:
  explicit LoopBoard(MonotonicTime now) : progress_(now.time_since_epoch().count()) {}

  [[nodiscard]] LoopStatus status() const;
  [[nodiscard]] MonotonicTime progress() const { return MonotonicTime(Duration(progress_.load())); }
  [[nodiscard]] bool given_up() const { return given_up_; }
  [[nodiscard]] bool ended() const { return ended_; }
  void GiveUp() { given_up_ = true; }

  void NoteProgress(MonotonicTime now) { progress_ = now.time_since_epoch().count(); }
  void End() { ended_ = true; }
  // Whether the status is to be published in this turn, and with it the sizes of the stores, which
  // cost more to know.
  struct Due {
    bool status = false;
    bool sizes = false;
  };
  [[nodiscard]] Due PublishDue(MonotonicTime now) const;
  // Something changed that is to be shown with this turn.
  void HurryPublish() { published_at_ = {}; }
  void Publish(const LoopStatus& status, bool sizes, MonotonicTime now);

 private:
  std::atomic<int64_t> progress_;
  std::atomic<bool> given_up_{false};
  std::atomic<bool> ended_{false};
  mutable std::mutex mutex_;
  LoopStatus published_ COHO_GUARDED_BY(mutex_);
  MonotonicTime published_at_;  // the run loop's own, like the next
  MonotonicTime sizes_at_;
};

}  // namespace coho
