#include "worker/store/overlay.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "common/base/check.h"
#include "common/base/mutant.h"

namespace coho {

namespace {

// Of an entry beyond its own block: a slot of the table at its usual load, and one pointer in each
// of entries_ and dirty_.
constexpr int64_t kBookkeepingBytes = 32;
// A key that was looked for and not found usually gets a value next: a number fits.
constexpr size_t kSpareBytesMin = 8;
constexpr size_t kGrain = 16;  // blocks of malloc come in such steps anyway

size_t RoundUp(size_t size) { return (size + kGrain - 1) / kGrain * kGrain; }

char* AllocateBytes(size_t size) {
  void* block = std::malloc(size);
  COHO_CHECK(block != nullptr, "out of memory");
  return static_cast<char*>(block);
}

// The 8 bytes of a key that decide most comparisons, as a number that orders as they do.
uint64_t SortPrefix(std::string_view key, size_t skip) {
  uint64_t prefix = 0;
  if (key.size() > skip)
    std::memcpy(&prefix, key.data() + skip, std::min<size_t>(8, key.size() - skip));
  return __builtin_bswap64(prefix);
}

}  // namespace

Overlay::~Overlay() {
  for (Entry* entry : entries_) Free(entry);
}

int64_t Overlay::Footprint(const Entry& entry) {
  return static_cast<int64_t>(sizeof(Entry) + entry.key_size_ + entry.value_capacity_) +
         kBookkeepingBytes;
}

Overlay::Entry* Overlay::Allocate(std::string_view key, size_t value_size) {
  COHO_CHECK(key.size() <= std::numeric_limits<uint32_t>::max(), "a key of more than 4 GiB");
  const size_t size = RoundUp(sizeof(Entry) + key.size() + std::max(value_size, kSpareBytesMin));
  char* block = AllocateBytes(size);
  Entry* entry = new (block) Entry;
  entry->key_size_ = static_cast<uint32_t>(key.size());
  entry->value_capacity_ = static_cast<uint32_t>(size - sizeof(Entry) - key.size());
  entry->index_ = static_cast<uint32_t>(entries_.size());
  std::memcpy(block + sizeof(Entry), key.data(), key.size());
  entries_.push_back(entry);
  bytes_ += Footprint(*entry);
  return entry;
}

void Overlay::Assign(Entry* entry, std::optional<std::string_view> value) {
  entry->present_ = value.has_value();
  if (!value) {
    entry->value_size_ = 0;
    return;
  }
  COHO_CHECK(value->size() <= std::numeric_limits<uint32_t>::max() - kGrain,
             "a value of more than 4 GiB");
  if (value->size() > entry->value_capacity_) {
    // Freed after the copy: the value may be a view into the old one.
    char* old = entry->outside_;
    const size_t capacity = RoundUp(value->size());
    char* grown = AllocateBytes(capacity);
    std::memcpy(grown, value->data(), value->size());
    std::free(old);
    const int64_t more = static_cast<int64_t>(capacity) - entry->value_capacity_;
    bytes_ += more;
    if (entry->dirty_) dirty_bytes_ += more;
    entry->outside_ = grown;
    entry->value_capacity_ = static_cast<uint32_t>(capacity);
  } else {
    std::memmove(const_cast<char*>(entry->value_data()), value->data(), value->size());
  }
  entry->value_size_ = static_cast<uint32_t>(value->size());
}

void Overlay::Free(Entry* entry) {
  std::free(entry->outside_);
  entry->~Entry();
  std::free(static_cast<void*>(entry));
}

Overlay::Entry* Overlay::Find(std::string_view key) {
  if (last_ == nullptr || last_->key() != key) {
    const auto it = table_.find(key);
    if (it == table_.end()) return nullptr;
    last_ = *it;
  }
  last_->referenced_ = true;
  return last_;
}

Overlay::Entry* Overlay::AddClean(std::string_view key, std::optional<std::string_view> value) {
  last_ = Allocate(key, value ? value->size() : 0);
  Assign(last_, value);
  table_.insert(last_);
  return last_;
}

void Overlay::Set(std::string_view key, std::optional<std::string_view> value) {
  bool is_new = false;
  if (last_ == nullptr || last_->key() != key) {
    const auto it = table_.lazy_emplace(key, [&](const auto& construct) {
      is_new = true;
      construct(Allocate(key, value ? value->size() : 0));
    });
    last_ = *it;
    last_->referenced_ = !is_new;
  }
  Entry* entry = last_;
  if (!entry->changed_) {
    entry->changed_ = true;
    const auto before = is_new          ? Changes::Before::kAbsent
                        : entry->dirty_ ? Changes::Before::kDirty
                                        : Changes::Before::kClean;
    open_.Add(entry, before, entry->present_, entry->value());
  }
  Assign(entry, value);
  if (!entry->dirty_) {
    entry->dirty_ = true;
    dirty_.push_back(entry);
    dirty_bytes_ += Footprint(*entry);
    if (ordered_kept_) ordered_.insert(entry);
  }
}

void Overlay::FreezeChanges() {
  for (const Changes::Change& change : open_.changes()) change.entry->changed_ = false;
  frozen_.Absorb(&open_);
}

void Overlay::Revert(const Changes& changes) {
  for (auto change = changes.changes().rbegin(); change != changes.changes().rend(); ++change) {
    Entry* entry = change->entry;
    const bool clean = change->before != Changes::Before::kDirty;
    entry->changed_ = false;
    if (clean && COHO_MUTANT("undo-forgets-clean-entries")) continue;
    Assign(entry, change->present ? std::optional(change->value_before()) : std::nullopt);
    if (!clean) continue;
    dirty_bytes_ -= Footprint(*entry);
    entry->dirty_ = false;
    entry->gone_ = change->before == Changes::Before::kAbsent;
  }
}

// The newer changes first: a key may have one of each.
void Overlay::Undo() {
  Revert(open_);
  Revert(frozen_);
  open_.Clear();
  frozen_.Clear();
  std::vector<Entry*> gone;
  std::erase_if(dirty_, [&](Entry* entry) {
    if (entry->gone_) gone.push_back(entry);
    return !entry->dirty_;
  });
  ordered_.clear();
  ordered_kept_ = false;
  for (Entry* entry : gone) Erase(entry);
}

std::vector<const Overlay::Entry*> Overlay::SortedDirty() const {
  if (ordered_kept_) return {ordered_.begin(), ordered_.end()};
  if (dirty_.empty()) return {};
  // Keys often begin alike; the bytes after that tell them apart without a look at the entries.
  const std::string_view first = dirty_.front()->key();
  size_t shared = first.size();
  for (const Entry* entry : dirty_) {
    const std::string_view key = entry->key();
    shared = std::min(shared, key.size());
    while (std::memcmp(first.data(), key.data(), shared) != 0) --shared;
  }
  std::vector<std::pair<uint64_t, const Entry*>> order;
  order.reserve(dirty_.size());
  for (const Entry* entry : dirty_) order.emplace_back(SortPrefix(entry->key(), shared), entry);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second->key() < b.second->key();
  });
  std::vector<const Entry*> sorted;
  sorted.reserve(order.size());
  for (const auto& [prefix, entry] : order) sorted.push_back(entry);
  return sorted;
}

void Overlay::MarkAllClean() {
  COHO_CHECK(open_.empty() && frozen_.empty(), "changes that are not committed cannot be clean");
  open_.Release();
  frozen_.Release();
  for (Entry* entry : dirty_) entry->dirty_ = false;
  dirty_.clear();
  dirty_bytes_ = 0;
  ordered_.clear();
  ordered_kept_ = false;
}

const Overlay::Entry* Overlay::SeekDirty(std::string_view key, bool exclusive) {
  if (!ordered_kept_) {
    ordered_.insert(dirty_.begin(), dirty_.end());
    ordered_kept_ = true;
  }
  const auto it = exclusive ? ordered_.upper_bound(key) : ordered_.lower_bound(key);
  return it == ordered_.end() ? nullptr : *it;
}

// The last entry takes the place.
void Overlay::Erase(Entry* entry) {
  entries_[entry->index_] = entries_.back();
  entries_[entry->index_]->index_ = entry->index_;
  entries_.pop_back();
  table_.erase(entry);
  if (last_ == entry) last_ = nullptr;
  bytes_ -= Footprint(*entry);
  Free(entry);
}

void Overlay::Evict(int64_t limit, size_t steps_max) {
  for (size_t step = 0; bytes() > limit && step < steps_max && !entries_.empty(); ++step) {
    if (hand_ >= entries_.size()) hand_ = 0;
    Entry* entry = entries_[hand_];
    if (entry->dirty_ || std::exchange(entry->referenced_, false)) {
      ++hand_;
    } else {
      Erase(entry);  // the hand looks at the one that takes its place next
    }
  }
}

}  // namespace coho
