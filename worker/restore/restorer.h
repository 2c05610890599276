// Brings stores home: opens a task's engines, plans, replays changelogs, and hands the task's stores over. One thread of its own
// replays all tasks that restore at a time, side by side on one consumer; tasks that are caught up are not touched.
//
// Thread rule: methods from any thread; `done` and `progress` are called on the restorer's thread.
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
#include "worker/restore/plan.h"
#include "worker/restore/restore_port.h"
#include "worker/store/engine.h"
#include "worker/store/task_store.h"

namespace coho {

class Restorer final : public RestorePort {
 public:
  struct Options {
    kafka::ClientConfig kafka;
    const Job* job = nullptr;         // outlives the restorer
    const JobModel* model = nullptr;  // outlives the restorer
    EngineFactory* engines = nullptr;
    int64_t overlay_bytes_max = 32 << 20;  // per store
    const Clock* clock = &Clock::Real();
    // Totals over all restores, for metrics: records, bytes, wipes.
    std::atomic<int64_t>* records_total = nullptr;
    std::atomic<int64_t>* bytes_total = nullptr;
    std::atomic<int64_t>* wipes_total = nullptr;
  };
  [[nodiscard]] static Result<std::unique_ptr<Restorer>> Create(Options options);
  ~Restorer() override;  // stops; requests under way are dropped

  void Restore(RestoreRequest request) override;
  // Drops the task's restore; `done` is not called after Cancel returned. Its engines are closed.
  void Cancel(TaskId task) override;

 private:
  Restorer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coho
