// Leader election through a coordination.k8s.io/v1 Lease: one thread that tries to take it, then
// renews it. What a record means is decided by lease_state.h; a second thread watches the time, so
// that leading ends when it has to, whatever an API call does. A lease is no fence (a stalled
// leader does not know that it lost): what a leader writes must be harmless anyway, and is:
// server-side apply of a function of what is stored, and Kafka fences coordinators.
//
// Thread rule: callbacks come from the lease's threads. After on_lost the process should end: it
// holds half of a leader's state.
#pragma once

#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "common/base/clock.h"
#include "operator/kube/api.h"
#include "operator/kube/lease_state.h"

namespace coho::kube {

class Lease {
 public:
  struct Options {
    std::string ns;
    std::string name;
    std::string identity;  // different for each process
    LeaseTiming timing;
    std::function<void()> on_leading;
    std::function<void()>
        on_lost;  // could not renew in time, or another holds it; comes at most once
  };

  // `api` is nobody else's: its rate limit and its time-outs are the lease's. Both must outlive
  // this.
  Lease(Api& api, const Clock& clock, Options options, prometheus::Registry& registry);
  ~Lease();  // stops

  void Start();
  // Ends the thread; gives the lease back if it is ours, so that the next leader need not wait.
  // Call it when the leader's work has ended. Idempotent.
  void Stop();
  // By the clock, too: false from the moment on which others may count, even before anybody was
  // told.
  [[nodiscard]] bool leading() const;

 private:
  void Run();
  // One attempt to read and write the lease.
  [[nodiscard]] Status Try(Duration at_most);
  void WatchTime();
  void Lose();
  [[nodiscard]] Result<LeaseRecord> Read();
  [[nodiscard]] Status Write(LeaseAction action);
  [[nodiscard]] Json With(Json spec) const;
  void Release();
  [[nodiscard]] bool Sleep(Duration time);

  Api& api_;
  const Clock& clock_;
  const Options options_;
  prometheus::Gauge& status_metric_;
  LeaseState state_;  // the lease's thread; after it ended, Stop()
  // As it was read last, with whatever others keep in it.
  Json stored_;  // the lease's thread; after it ended, Stop()
  std::minstd_rand random_;
  std::string last_error_;
  std::atomic<bool> leading_ = false;
  std::atomic<bool> lost_ = false;
  // MonotonicTime's count; 0: never held.
  std::atomic<int64_t> leads_until_ = 0;

  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
  std::thread time_thread_;
};

}  // namespace coho::kube
