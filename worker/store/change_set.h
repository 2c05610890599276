// What changed since a commit, with what was there before: the open part of a commit set collects
// first changes of entries, the frozen part is under way in a transaction. Values before lie in an
// arena that keeps its memory, so that noting one allocates nothing as a rule.
//
// Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace coho {

// Bytes that all go at once.
class Arena {
 public:
  [[nodiscard]] const char* Copy(std::string_view bytes);
  // Keeps one block, for the next time.
  void Clear();
  void Release();  // that one, too
  // Takes over the blocks of `other`, which is empty then.
  void Absorb(Arena* other);
  [[nodiscard]] int64_t bytes() const { return bytes_; }  // that were copied
  [[nodiscard]] int64_t capacity() const { return capacity_; }

 private:
  struct Block {
    std::unique_ptr<char[]> memory;
    size_t size = 0;
  };
  std::vector<Block> blocks_;  // the last one is being filled
  size_t used_ = 0;            // of the last one
  int64_t bytes_ = 0;
  int64_t capacity_ = 0;
};

// REQUIRES of EntryType: none; the set only keeps the pointers.
template <class EntryType>
class ChangeSet {
 public:
  enum class Before : uint8_t { kAbsent, kClean, kDirty };  // kAbsent: not in the overlay
  struct Change {
    EntryType* entry = nullptr;
    const char* value = nullptr;
    uint32_t size = 0;
    Before before = Before::kAbsent;
    bool present = false;  // the key had a value
    [[nodiscard]] std::string_view value_before() const { return {value, size}; }
  };

  void Add(EntryType* entry, Before before, bool present, std::string_view value) {
    changes_.push_back({.entry = entry,
                        .value = present ? arena_.Copy(value) : nullptr,
                        .size = present ? static_cast<uint32_t>(value.size()) : 0,
                        .before = before,
                        .present = present});
  }
  [[nodiscard]] const std::vector<Change>& changes() const { return changes_; }
  [[nodiscard]] bool empty() const { return changes_.empty(); }
  [[nodiscard]] int64_t bytes() const {
    return arena_.bytes() + static_cast<int64_t>(changes_.size() * sizeof(Change));
  }
  void Clear() {
    changes_.clear();
    arena_.Clear();
  }
  // Memory that is kept for later goes.
  void Release() {
    if (!changes_.empty()) return;
    changes_ = {};
    arena_.Release();
  }
  // Those of `other` come behind one's own; it is empty then.
  void Absorb(ChangeSet* other) {
    if (changes_.empty()) {
      std::swap(changes_, other->changes_);
      std::swap(arena_, other->arena_);
      other->Clear();
      return;
    }
    changes_.insert(changes_.end(), other->changes_.begin(), other->changes_.end());
    arena_.Absorb(&other->arena_);
    other->changes_.clear();
  }

 private:
  std::vector<Change> changes_;  // in order
  Arena arena_;
};

}  // namespace coho
