#include "worker/store/change_set.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

namespace coho {
namespace {

// Many stores are small or idle, and a large one soon has large blocks.
constexpr size_t kBlockMin = 512;
constexpr size_t kBlockMax = 64 << 10;

}  // namespace

const char* Arena::Copy(std::string_view bytes) {
  if (blocks_.empty() || blocks_.back().size - used_ < bytes.size()) {
    const size_t grown = blocks_.empty() ? kBlockMin : std::min(kBlockMax, 2 * blocks_.back().size);
    const size_t size = std::max(grown, bytes.size());
    blocks_.push_back({std::make_unique_for_overwrite<char[]>(size), size});
    used_ = 0;
    capacity_ += static_cast<int64_t>(size);
  }
  char* place = blocks_.back().memory.get() + used_;
  std::memcpy(place, bytes.data(), bytes.size());
  used_ += bytes.size();
  bytes_ += static_cast<int64_t>(bytes.size());
  return place;
}

void Arena::Clear() {
  used_ = 0;
  bytes_ = 0;
  if (blocks_.size() <= 1 && capacity_ <= static_cast<int64_t>(kBlockMax)) return;
  Block kept = std::move(blocks_.back());
  Release();
  if (kept.size > kBlockMax) return;
  capacity_ = static_cast<int64_t>(kept.size);
  blocks_.push_back(std::move(kept));
}

void Arena::Release() {
  std::vector<Block>().swap(blocks_);
  used_ = 0;
  bytes_ = 0;
  capacity_ = 0;
}

void Arena::Absorb(Arena* other) {
  if (other->blocks_.empty()) return;
  std::move(other->blocks_.begin(), other->blocks_.end(), std::back_inserter(blocks_));
  used_ = other->used_;
  bytes_ += other->bytes_;
  capacity_ += other->capacity_;
  other->Release();
}

}  // namespace coho
