// The operator's process: wires its parts, serves health and metrics, takes part in leader
// election, and ends in good order.
//
//   every operator: caches filled, /metrics /livez /readyz      the leader besides: reconcile loop,
//   coordination services
//
// Ending: intake stops, the plan under way is cut between two writes, coordination ends, the lease
// is given back, watches end, each within a bound, well within Kubernetes' grace period. Losing the
// lease ends the process with exit code 1: its successor is at work already. What happens to
// coordinators in Kafka is a matter of their jobs and ends nothing.
#pragma once

#include <prometheus/registry.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/http/server.h"
#include "operator/coordination_services.h"
#include "operator/kube/access.h"
#include "operator/kube/api.h"
#include "operator/kube/events.h"
#include "operator/kube/lease.h"
#include "operator/kube/work_queue.h"
#include "operator/observe/cluster_cache.h"
#include "operator/options.h"
#include "operator/reconciler.h"

namespace coho {

class Operator {
 public:
  // Reads credentials, binds the HTTP port and starts everything but the leader's work.
  [[nodiscard]] static Result<std::unique_ptr<Operator>> Start(const OperatorOptions& options);
  ~Operator();

  // A step of the main thread, some times a second: begins the leader's work when it is time, and
  // tells when the process has to end. OK: go on.
  [[nodiscard]] Status Tick();
  // Ends in good order. Idempotent. False: a coordination service has not ended in time, and its
  // thread still runs.
  bool Stop();

 private:
  Operator(const OperatorOptions& options, std::unique_ptr<kube::AccessSource> access);
  [[nodiscard]] Status Serve();
  // Whether this process may act: it leads, by the clock, and does not end.
  [[nodiscard]] bool MayWrite() const;
  [[nodiscard]] http::Response Livez() const;
  [[nodiscard]] http::Response Readyz() const;
  void OnJobEvent(const JobId& id, const EmitEvent& event);

  const OperatorOptions options_;
  const Clock& clock_;
  const std::string identity_;
  const std::shared_ptr<prometheus::Registry> registry_;  // shared with the /metrics handler
  const std::unique_ptr<kube::AccessSource> access_;
  kube::Api api_;
  kube::Api lease_api_;  // of its own, so that no burst of other calls holds up a renewal
  const std::shared_ptr<kube::WorkQueue> queue_;  // shared with the /metrics handler
  kube::EventRecorder events_;
  ClusterCache cache_;
  CoordinationServices coordination_;
  Reconciler reconciler_;
  kube::Lease lease_;
  http::Server server_;

  bool reconciling_ = false;  // the main thread only
  bool stopped_ = false;      // the main thread only
  bool all_ended_ = true;     // the main thread only
  std::atomic<bool> ending_ = false;
  std::atomic<bool> leading_ = false;
  std::atomic<bool> lost_ = false;
};

}  // namespace coho
