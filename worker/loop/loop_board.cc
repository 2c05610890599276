#include "worker/loop/loop_board.h"

namespace coho {
namespace {

constexpr Duration kPublishInterval = std::chrono::milliseconds(200);
constexpr Duration kSizesInterval = std::chrono::seconds(1);

}  // namespace

LoopStatus LoopBoard::status() const {
  const std::lock_guard lock(mutex_);
  return published_;
}

LoopBoard::Due LoopBoard::PublishDue(MonotonicTime now) const {
  return {.status = now - published_at_ >= kPublishInterval,
          .sizes = now - sizes_at_ >= kSizesInterval};
}

void LoopBoard::Publish(const LoopStatus& status, bool sizes, MonotonicTime now) {
  published_at_ = now;
  if (sizes) sizes_at_ = now;
  const std::lock_guard lock(mutex_);
  published_ = status;
}

}  // namespace coho
