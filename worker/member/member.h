// Takes part in the job (docs/design.md): reads the coordinator topic, sends heartbeats, and has
// the loops run what the assignment gives. Performs what MemberState decides. Start runs it on a
// thread of its own; Turn lets anybody else run it, turn by turn.
//
// Thread rule: Turn on one thread; the rest from any thread. Callbacks come from the thread that
// turns it and must not block.
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
#include "common/model/job.h"
#include "worker/commit/lease.h"
#include "worker/loop/run_loop.h"
#include "worker/member/member_state.h"
#include "worker/member/ports.h"
#include "worker/member/report.h"
#include "worker/member/worker_status.h"
#include "worker/sdk/lifecycle.h"
#include "worker/store/engine.h"
#include "worker/store/overlay_budget.h"

namespace coho {

struct RestoreTotals {
  std::atomic<int64_t> records{0};
  std::atomic<int64_t> bytes{0};
  std::atomic<int64_t> wipes{0};
};

class Member {
 public:
  struct Options {
    const Job* job = nullptr;  // outlives the member, like everything pointed to
    kafka::ClientConfig kafka;
    // Instead of `kafka`, for tests; outlive the member.
    CoordinatorLog* coordinator_log = nullptr;
    HeartbeatLog* heartbeat_log = nullptr;
    WorkerIdentity identity;
    MemberOptions state;
    EngineFactory* engines = nullptr;
    OverlayBudget* overlays = nullptr;
    RestoreTotals* restore_totals = nullptr;
    Lease* lease = nullptr;  // guarantee AtLeastOnce
    const Clock* clock = &Clock::Real();
    std::function<void(const LifecycleStep&)> on_step;
    std::function<void()> on_ready;    // once: the first assignment's tasks all run
    std::function<void()> on_drained;  // everything is closed and the goodbye sent
    std::function<void(int exit_code, const std::string& message)> on_failed;
  };
  // options.state.incarnation may be empty: then it gets a new one.
  explicit Member(Options options);
  ~Member();
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  // The loops report to OnLoopEvent from their first moment on, which may be before this. They end
  // before the member does.
  void Start(std::vector<RunLoop*> loops);
  // The same without a thread: then Turn until it says false. One turn waits up to `wait` where
  // there is nothing to do.
  void SetLoops(std::vector<RunLoop*> loops);
  [[nodiscard]] bool Turn(Duration wait);

  // What a loop has to tell.
  void OnLoopEvent(int32_t loop, LoopEvent event);
  // Drains the loops, says goodbye, then on_drained.
  void Drain();

  [[nodiscard]] MemberStatus status() const;
  [[nodiscard]] MonotonicTime progress() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coho
