// One task on its way home: its stores, opened and planned, then replayed by a ChangelogReader, then handed over.
//
//   planning ──(every store planned)──► replaying ──(every store caught up)──► Finish
//      └── Kafka does not answer: again at retry_at()
//
// Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "worker/restore/changelog_reader.h"
#include "worker/restore/restorer.h"
#include "worker/restore/store_restore.h"

namespace coho {

class TaskRestore {
 public:
  TaskRestore(const Restorer::Options& options, RestoreRequest request);

  enum class Phase { kPlanning, kReplaying };
  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] MonotonicTime retry_at() const { return retry_at_; }
  // Opens and plans what is not planned yet, and has the reader follow it. What may pass by itself (Kafka does not answer, a
  // transaction is still open) is logged and tried again at retry_at(); the Status is for what does not.
  [[nodiscard]] Status Prepare(ChangelogReader* reader);

  [[nodiscard]] bool caught_up() const;
  // REQUIRES: phase kReplaying, caught_up().
  [[nodiscard]] Result<RestoredTask> Finish();

  // What was replayed since the last call.
  struct Advance {
    int64_t records = 0;
    int64_t bytes = 0;
    int64_t wipes = 0;
  };
  Advance TakeAdvance();

  [[nodiscard]] TaskId id() const { return request_.task; }
  [[nodiscard]] int64_t offsets_done() const;
  [[nodiscard]] int64_t offsets_total() const;
  [[nodiscard]] std::vector<StoreRestore*> Stores() const;
  [[nodiscard]] std::function<void(Result<RestoredTask>)> TakeDone() {
    return std::move(request_.done);
  }

 private:
  struct Item {
    std::unique_ptr<StoreRestore> store;
    bool opened = false;
    bool planned = false;
  };
  [[nodiscard]] Status PrepareStore(Item* item, ChangelogReader* reader);
  [[nodiscard]] Status AskKafka(ChangelogReader* reader, Item* item,
                                StoreRestore::Changelog* changelog);
  void LogRestored(const StoreRestore& store) const;

  const Restorer::Options& options_;
  RestoreRequest request_;
  std::vector<Item> items_;  // in the order of spec.stores
  Phase phase_ = Phase::kPlanning;
  MonotonicTime began_at_;
  MonotonicTime retry_at_;
  Duration backoff_;
  Advance taken_;
};

}  // namespace coho
