#include "worker/commit/position_mirror.h"

namespace coho {

PositionMap PositionMirror::ToShow(const PositionMap& committed, MonotonicTime now) {
  looked_at_ = now;
  const bool all = !all_shown_at_ || now - *all_shown_at_ >= kRefresh;
  if (all) all_shown_at_ = now;
  PositionMap out;
  for (const auto& [partition, next] : committed) {
    const auto shown = shown_.find(partition);
    if (!all && shown != shown_.end() && shown->second == next) continue;
    out[partition] = next;
    shown_[partition] = next;
  }
  return out;
}

}  // namespace coho
