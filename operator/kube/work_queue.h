// The work queue between watches and the reconcile loop: work_queue_state.h behind a lock, with the
// metrics that dashboards of Kubernetes operators know (workqueue_*). Safe to use from any thread.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "operator/kube/work_queue_state.h"

namespace coho::kube {

class WorkQueue final : public prometheus::Collectable {
 public:
  // `name` labels the metrics. `clock` and `registry` must outlive this.
  WorkQueue(std::string name, const Clock& clock, prometheus::Registry& registry);

  // Each does nothing once the queue was stopped.
  void Add(const ObjectKey& key);
  void AddAfter(const ObjectKey& key, Duration delay);
  // Returns the pause.
  Duration AddAfterFailure(const ObjectKey& key);
  void Forget(const ObjectKey& key);

  // Waits for a key; nullopt: stopped. REQUIRES: Done() for each key taken.
  [[nodiscard]] std::optional<ObjectKey> Take();
  void Done(const ObjectKey& key);
  // Take() returns nullopt from now on; what is queued is forgotten.
  void Stop();

  // How long the work under way takes already, which no counter can tell before it ends.
  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::string name_;
  const Clock& clock_;
  prometheus::Gauge& depth_;
  prometheus::Counter& adds_;
  prometheus::Counter& retries_;
  prometheus::Histogram& queue_seconds_;
  prometheus::Histogram& work_seconds_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  WorkQueueState state_;                        // guarded by mutex_
  std::map<ObjectKey, MonotonicTime> started_;  // guarded by mutex_
  bool stopped_ = false;                        // guarded by mutex_
};

}  // namespace coho::kube
