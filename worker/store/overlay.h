// What a TaskStore holds in memory: values that the engine does not have yet (dirty), values it has
// as well (clean, a cache, with "no such key" among them), and what changed since the last commit,
// with the values before. An entry is one block of memory that stays where it is, so writing a
// value that fits allocates nothing, and the lists can hold pointers. Only clean entries are ever
// evicted, by a clock: who was read again since the hand last passed stays.
//
//   Set ──► open changes ──FreezeChanges──► frozen changes ──ForgetFrozen──► (committed, dirty) ──MarkAllClean──► clean
//                └───────────────── Undo ────────┴──► as at the last ForgetFrozen
//
// Thread-compatible.
#pragma once

#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_set.h>
#include <absl/hash/hash.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "worker/store/change_set.h"

namespace coho {

class Overlay {
 public:
  class Entry {
   public:
    [[nodiscard]] std::string_view key() const { return {tail(), key_size_}; }
    [[nodiscard]] std::string_view value() const { return {value_data(), value_size_}; }
    [[nodiscard]] bool present() const { return present_; }  // false: no such key, or removed

   private:
    friend class Overlay;
    Entry() = default;
    [[nodiscard]] const char* tail() const { return reinterpret_cast<const char*>(this + 1); }
    [[nodiscard]] const char* value_data() const {
      return outside_ != nullptr ? outside_ : tail() + key_size_;
    }

    char* outside_ = nullptr;  // a value that outgrew the block; else it lies behind the key
    uint32_t key_size_ = 0;
    uint32_t value_size_ = 0;
    uint32_t value_capacity_ = 0;
    uint32_t index_ = 0;  // in entries_
    bool present_ = false;
    bool changed_ = false;     // in the open changes
    bool dirty_ = false;       // differs from the engine
    bool referenced_ = false;  // since the clock's hand passed
    bool gone_ = false;        // an undo takes it out
  };

  Overlay() = default;
  ~Overlay();
  Overlay(const Overlay&) = delete;
  Overlay& operator=(const Overlay&) = delete;

  [[nodiscard]] Entry* Find(std::string_view key);
  // What the engine holds for a key. REQUIRES: Find(key) == nullptr.
  Entry* AddClean(std::string_view key, std::optional<std::string_view> value);
  // nullopt removes. The entry is changed and dirty then.
  void Set(std::string_view key, std::optional<std::string_view> value);

  // The open changes, in the order of each key's first.
  using Changes = ChangeSet<Entry>;
  [[nodiscard]] const std::vector<Changes::Change>& changed() const { return open_.changes(); }
  // They are under way from now on; another change of such a key is a new one.
  void FreezeChanges();
  [[nodiscard]] bool has_frozen() const { return !frozen_.empty(); }
  // What is frozen is committed.
  void ForgetFrozen() { frozen_.Clear(); }
  // Takes back what is open and what is frozen: every key has the value, and the place in memory or
  // none, that it had then.
  void Undo();

  [[nodiscard]] bool has_dirty() const { return !dirty_.empty(); }
  [[nodiscard]] std::vector<const Entry*> SortedDirty() const;
  // REQUIRES: no change is open or frozen.
  void MarkAllClean();
  // The first dirty entry at or after `key` (after it, when `exclusive`), in byte order; nullptr:
  // none.
  [[nodiscard]] const Entry* SeekDirty(std::string_view key, bool exclusive);

  // Memory, bookkeeping and values before included.
  [[nodiscard]] int64_t bytes() const { return bytes_ + undo_bytes(); }
  [[nodiscard]] int64_t dirty_bytes() const { return dirty_bytes_; }
  [[nodiscard]] int64_t undo_bytes() const { return open_.bytes() + frozen_.bytes(); }
  // Evicts clean entries until `bytes() <= limit`, looking at no more than `steps_max` entries.
  void Evict(int64_t limit, size_t steps_max);
  [[nodiscard]] size_t size() const { return entries_.size(); }

 private:
  static std::string_view KeyOf(std::string_view key) { return key; }
  static std::string_view KeyOf(const Entry* entry) { return entry->key(); }
  struct Hash {
    using is_transparent = void;
    template <class K>
    size_t operator()(const K& key) const {
      return absl::Hash<std::string_view>{}(KeyOf(key));
    }
  };
  struct Equal {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return KeyOf(a) == KeyOf(b);
    }
  };
  struct Less {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return KeyOf(a) < KeyOf(b);
    }
  };

  Entry* Allocate(std::string_view key, size_t value_size);
  void Assign(Entry* entry, std::optional<std::string_view> value);
  void Revert(const Changes& changes);
  void Erase(Entry* entry);
  void Free(Entry* entry);
  [[nodiscard]] static int64_t Footprint(const Entry& entry);

  absl::flat_hash_set<Entry*, Hash, Equal> table_;
  std::vector<Entry*> entries_;  // in no order; the clock's dial
  size_t hand_ = 0;
  Entry* last_ = nullptr;  // of the latest Find or Set: the next Set is often of the same key
  Changes open_;
  Changes frozen_;
  std::vector<Entry*> dirty_;
  // dirty_ in order; kept only from the first SeekDirty to the next MarkAllClean, so that stores
  // without scans do not pay.
  absl::btree_set<const Entry*, Less> ordered_;
  bool ordered_kept_ = false;
  int64_t bytes_ = 0;
  int64_t dirty_bytes_ = 0;
};

}  // namespace coho
