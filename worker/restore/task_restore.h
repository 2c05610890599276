// One task on its way home: its stores are opened, planned when Kafka has said how far their
// changelogs go, replayed, and handed over with the task's positions.
//
//   opening ──► planning ──(every changelog planned)──► replaying ──(all caught up)──► Finish
//                  └── Kafka has no answer for some: again at retry_at()
//
// Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "worker/restore/positions_restore.h"
#include "worker/restore/positions_source.h"
#include "worker/restore/replays.h"
#include "worker/restore/restorer.h"
#include "worker/restore/store_restore.h"

namespace coho {

class TaskRestore {
 public:
  // `number`: of the request.
  TaskRestore(const Restorer::Options& options, RestoreRequest request, uint64_t number);

  enum class Phase { kOpening, kPlanning, kReplaying };
  [[nodiscard]] Phase phase() const { return phase_; }
  // REQUIRES: phase kOpening.
  [[nodiscard]] Status Open();
  // Adds the partitions whose ranges a plan needs now.
  void AddQuestions(MonotonicTime now, std::vector<TopicPartition>* partitions) const;
  [[nodiscard]] MonotonicTime retry_at() const { return retry_at_; }
  // Plans what these ranges say something about, and has it replayed. What may pass by itself
  // (Kafka does not answer, a transaction is still open) is logged and asked again at retry_at();
  // the Status is for what does not. REQUIRES: kPlanning.
  [[nodiscard]] Status Plan(const ChangelogRanges& ranges, WallTime asked_at, ChangelogPort* port,
                            Replays* replays);

  [[nodiscard]] bool caught_up() const;
  // REQUIRES: phase kReplaying, caught_up(). In phase kPlanning afterwards: a store turned out to
  // be corrupt, and is restored anew; then the answer is nothing yet.
  [[nodiscard]] Result<RestoredTask> Finish();

  // What was replayed since the last call.
  struct Advance {
    int64_t records = 0;
    int64_t bytes = 0;
    int64_t wipes = 0;
  };
  Advance TakeAdvance();

  [[nodiscard]] TaskId id() const { return request_.task; }
  [[nodiscard]] uint64_t number() const { return number_; }
  [[nodiscard]] int64_t offsets_done() const;
  [[nodiscard]] int64_t offsets_total() const;
  [[nodiscard]] std::vector<Replayed*> All() const;
  [[nodiscard]] std::function<void(Result<RestoredTask>)> TakeDone() {
    return std::move(request_.done);
  }

 private:
  struct Item {
    std::unique_ptr<StoreRestore> store;
    bool opened = false;
    // A store without changelog is planned at the end, when the positions are known.
    bool planned = false;
    bool distrusted = false;  // once; a disk that is broken is not written over and over
    int64_t record_bytes_max = 0;
  };
  [[nodiscard]] Status PlanStore(Item* item, const ChangelogRange& range, WallTime asked_at,
                                 ChangelogPort* port, Replays* replays);
  [[nodiscard]] Status WriteMarkers(RestoredTask* restored);
  [[nodiscard]] Status PlanPositions(const ChangelogRange& range, Replays* replays);
  // Whether the failure may pass by itself.
  [[nodiscard]] bool MayPass(const Status& status) const;
  [[nodiscard]] std::optional<Positions> FindPositions() const;
  void LogRestored(const StoreRestore& store) const;

  const Restorer::Options& options_;
  RestoreRequest request_;
  const uint64_t number_;
  const PositionsSource source_;
  std::vector<Item> items_;                      // in the order of spec.stores
  std::unique_ptr<PositionsRestore> positions_;  // where they lie in a topic of their own
  bool positions_planned_ = false;
  Phase phase_ = Phase::kOpening;
  MonotonicTime began_at_;
  MonotonicTime retry_at_;
  Backoff backoff_;
  Advance taken_;
};

}  // namespace coho
