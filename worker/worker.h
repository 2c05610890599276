// A worker process put together: state directory, HTTP, coordinator if it is in the
// process, run loops, member.
//
//   Worker worker(std::move(options));
//   if (const Failure failure = worker.Start(); failure.exit_code != 0) ...
//
// Thread rule: one thread. Callbacks come from the worker's own threads.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/coordinating/service.h"
#include "common/http/server.h"
#include "common/kafka/config.h"
#include "common/model/job.h"
#include "worker/admin/health.h"
#include "worker/drain_state.h"
#include "worker/flags.h"
#include "worker/lifecycle.h"
#include "worker/loop/kafka_ports.h"
#include "worker/loop/loop_thread.h"
#include "worker/loop/memory_budget.h"
#include "worker/member/member.h"
#include "worker/sdk/task.h"
#include "worker/state_directory.h"
#include "worker/store/engine.h"
#include "worker/store/overlay_budget.h"

namespace coho {

class Worker {
 public:
  struct Options {
    Job job;
    TaskFactory factory;
    WorkerFlags flags;
    kafka::ClientConfig kafka;
    std::function<void()>
        wake;  // something happened that ended() or drained() tells; from any thread
  };
  explicit Worker(Options options);
  ~Worker();  // ends everything, committed or not

  // Returns when all threads are started; what needs Kafka goes on in the background.
  [[nodiscard]] Failure Start();
  // Commits and closes all tasks in the background.
  void Drain();
  // Nothing more is waited for: what is under way ends as if the process had been killed.
  void GiveUp();

  // Why the worker cannot go on; nullopt: it can. Also looks at the coordinator in the process, so
  // ask now and then.
  [[nodiscard]] std::optional<Failure> failure();
  [[nodiscard]] bool drained() const;
  // No run loop does anything any more. User code that never returns keeps this from becoming true.
  [[nodiscard]] bool ended() const;

 private:
  [[nodiscard]] Failure OpenState();
  [[nodiscard]] Failure StartHttp();
  void StartCoordinator();
  void StartLoops();
  void CheckCoordinator();
  [[nodiscard]] WorkerStatus Snapshot() const;
  [[nodiscard]] std::vector<ThreadProgress> Progress() const;
  void Fail(Failure failure);

  const Options options_;
  const Job& job_;
  Lifecycle lifecycle_;
  RestoreTotals restore_totals_;
  Lease lease_;
  MemoryBudget budget_;
  int64_t memory_limit_ = 0;
  std::unique_ptr<StateDirectory> state_directory_;
  std::unique_ptr<OverlayBudget> overlays_;  // outlives the stores
  std::unique_ptr<EngineFactory> engines_;
  std::unique_ptr<CoordinationService> coordinator_;
  MonotonicTime started_at_;
  std::optional<MonotonicTime> problem_since_;
  bool stopping_ = false;

  mutable std::mutex mutex_;
  std::optional<Failure> failure_;  // the first; guarded by mutex_, like the next three
  bool ready_ = false;
  bool drained_ = false;
  bool running_ = false;  // member_ and loops_ are there

  std::unique_ptr<Member> member_;
  std::vector<std::unique_ptr<KafkaLoopPorts>> ports_;
  std::vector<std::unique_ptr<LoopThread>> loops_;
  std::unique_ptr<http::Server> http_;
};

}  // namespace coho
