// Brings stores home: opens a task's engines, plans, replays changelogs, and hands the task's
// stores and positions over. All tasks that restore at a time do so side by side, turn by turn;
// tasks that are caught up are not touched.
//
//   turn: requests and cancels ─► open some ─► ask for ranges / plan what was answered ─► hand over what is caught up ─► replay
//
// Thread rule: methods from any thread, Turn from one; `done` and `progress` are called in turns.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/kafka/config.h"
#include "common/model/assignment.h"
#include "common/model/job.h"
#include "worker/restore/changelog_port.h"
#include "worker/restore/plan.h"
#include "worker/restore/restore_port.h"
#include "worker/store/engine.h"
#include "worker/store/task_store.h"

namespace coho {

class Restorer final : public RestorePort {
 public:
  struct Options {
    kafka::ClientConfig kafka;        // of Create
    const Job* job = nullptr;         // outlives the restorer
    const JobModel* model = nullptr;  // outlives the restorer
    EngineFactory* engines = nullptr;
    OverlayBudget* overlays = nullptr;  // outlives the stores; nullptr: each has one of its own
    const Clock* clock = &Clock::Real();
    // Totals over all restores, for metrics: records, bytes, wipes.
    std::atomic<int64_t>* records_total = nullptr;
    std::atomic<int64_t>* bytes_total = nullptr;
    std::atomic<int64_t>* wipes_total = nullptr;
  };
  // With a thread of its own that takes turns, on Kafka.
  [[nodiscard]] static Result<std::unique_ptr<Restorer>> Create(Options options);
  // Without one: the caller takes the turns.
  [[nodiscard]] static Result<std::unique_ptr<Restorer>> CreateWithoutThread(
      Options options, std::unique_ptr<ChangelogPort> port);
  ~Restorer() override;  // stops; requests under way are dropped

  void Restore(RestoreRequest request) override;
  void Cancel(TaskId task) override;

  // Waits no longer than `wait` for records. False: nothing is to be done. REQUIRES:
  // CreateWithoutThread.
  bool Turn(Duration wait);

 private:
  Restorer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coho
