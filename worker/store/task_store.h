// A task's store: an overlay in memory over an Engine. Put and Remove touch the
// overlay only. A commit sends one changelog record per key changed since the last commit; a
// write-back, only ever right after a commit, moves all dirty values with the marker into the
// engine as one sorted batch. Values that are clean stay as a cache.
//
//   Put ──► overlay (changed) ──TakeChanges──► changelog, in the transaction
//                │ Committed(position)       └──Undo──► as at the last Committed
//                ▼
//           overlay (dirty, committed) ──WriteBack──► engine + marker        engine is never ahead of the changelog
//
// What a transaction has to do with it: changes collect in the open part of a commit set,
// TakeChanges freezes them, Committed lets go of them, Undo takes back both parts. The values
// before are kept, so no undo closes or replays anything.
//
// Thread rule: the run loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "worker/sdk/store.h"
#include "worker/store/engine.h"
#include "worker/store/overlay_budget.h"

namespace coho {

class TaskStore final : public StoreBackend {
 public:
  struct Options {
    StoreSpec spec;
    StoreMarker marker;                    // as restored: job, topic, partition, position
    OverlayBudget* budget = nullptr;       // outlives the store; nullptr: one of its own
    int64_t overlay_bytes_max = 32 << 20;  // of its own
    // Largest key and value together, as they lie in the changelog; 0: no limit.
    int64_t record_bytes_max = 0;
  };
  TaskStore(Options options, std::unique_ptr<Engine> engine);
  ~TaskStore() override;

  [[nodiscard]] const StoreSpec& spec() const override;
  [[nodiscard]] std::optional<std::string_view> Get(std::string_view key) override;
  // What is too large for the changelog is not stored or removed; see TakeRefused.
  void Put(std::string_view key, std::string_view value) override;
  void Remove(std::string_view key) override;
  [[nodiscard]] std::unique_ptr<StoreIterator> Range(std::string_view from,
                                                     std::string_view to) override;

  void Fail(Status error) override;

  // First error of the engine or of a value in it; OK if there was none. It stays: the loop asks
  // before each commit, and drops the store when there is one.
  [[nodiscard]] Status status() const;
  // kInvalidRecord: the first write since the last call that was refused, with its sizes and the
  // limit. It follows onError of the record whose processing wrote it.
  [[nodiscard]] bool refused() const;
  [[nodiscard]] Status TakeRefused();

  // Calls send(key, value or nullopt for a removal) for each key changed since the last call, the
  // last value of each; both as they lie in a changelog (changelog_key.h, value_format.h), valid
  // during the call. They are under way from then on. After an error none of them is: Undo, or take
  // them again. A store without changelog has nothing to send.
  using SendChange =
      std::function<Status(std::string_view key, std::optional<std::string_view> value)>;
  [[nodiscard]] Status TakeChanges(const SendChange& send);
  [[nodiscard]] size_t changed_keys() const;
  // The transaction with the taken changes is committed; `position`: next changelog offset after
  // them (nullopt: nothing was sent); `positions`: the task's, in the same transaction.
  void Committed(std::optional<int64_t> position, WallTime at, const Positions& positions);
  // Takes back every change since the last Committed, taken or not. REQUIRES: no iterator is open.
  void Undo();

  [[nodiscard]] int64_t dirty_bytes() const;    // committed or not, not yet in the engine
  [[nodiscard]] int64_t overlay_bytes() const;  // all of the overlay
  // The overlays are at their budget, and this one has its part in it: commit and write back now.
  [[nodiscard]] bool over_budget() const;
  [[nodiscard]] std::optional<MonotonicTime> dirty_since() const;
  // The oldest change that is neither in the engine's files nor in a flush under way. Where there
  // is none, since when the marker is behind, once that is long: commits that changed nothing here
  // move it, too.
  [[nodiscard]] std::optional<MonotonicTime> unflushed_since() const;
  // The loop's time of now, for both; to be told often, also to a store that is not used: it gives
  // room to others then.
  void NoteTime(MonotonicTime now);

  // REQUIRES: changed_keys() == 0 and the taken ones are committed; no iterator is open. Afterwards
  // everything is clean; clean values over the budget go.
  [[nodiscard]] Status WriteBack();
  // Engine's memtable to disk; after it the marker on disk is this one.
  [[nodiscard]] Status Flush();
  // The same without waiting for it. Does nothing while an earlier one is under way.
  [[nodiscard]] Status StartFlush();

  [[nodiscard]] const StoreMarker& marker() const;  // of the last commit (not of the engine)
  [[nodiscard]] int64_t SizeBytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coho
