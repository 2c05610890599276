// The reconcile loop: takes a job's key from the queue, gathers what is known of it, plans,
// performs, and says when to look again. One thread, so one reconcile at a time. Runs in the leader
// only.
//
// Level-based: what made a key enter the queue does not matter. A failed reconcile is logged and
// counted here and comes back after its back-off; it never touches other jobs.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <thread>

#include "common/base/clock.h"
#include "operator/api/observed.h"
#include "operator/apply/perform.h"
#include "operator/coordination_services.h"
#include "operator/kafka_secrets.h"
#include "operator/kube/api.h"
#include "operator/kube/events.h"
#include "operator/kube/work_queue.h"
#include "operator/observe/cluster_cache.h"

namespace coho {

class Reconciler {
 public:
  // All must outlive this.
  struct Parts {
    kube::Api& api;
    const ClusterCache& cache;
    kube::WorkQueue& queue;
    kube::EventRecorder& events;
    CoordinationServices& coordination;
    const Clock& clock;
    prometheus::Registry& registry;
    OperatorSettings settings;
    MayWrite may_write;
  };
  explicit Reconciler(Parts parts);
  ~Reconciler();  // REQUIRES: the queue was stopped, or Start() was never called

  void Start();
  // Waits for the reconcile under way. REQUIRES: the queue was stopped.
  void Join();
  // The same, but no longer than `most`: then false.
  [[nodiscard]] bool JoinWithin(Duration most);
  // When the reconcile under way began; nullopt: none is. For /livez.
  [[nodiscard]] std::optional<MonotonicTime> busy_since() const;

 private:
  // What we remember of a job between reconciles; losing it costs a few calls.
  struct Memory {
    std::string uid;  // of the StreamJob that all this was learned of
    std::optional<std::map<ObjectKey, ObjectFacts>> objects;  // nullopt: to be read
    MonotonicTime objects_read_at;
    std::optional<MonotonicTime> repaired_at;
    std::optional<WallTime> status_written;
    std::optional<JobProblem> connection_problem;
    std::string write_error;
    std::string internal_error;
  };
  struct Metrics {
    prometheus::Counter& success;
    prometheus::Counter& error;
    prometheus::Counter& requeue_after;
    prometheus::Counter& errors;
    prometheus::Counter& panics;
    prometheus::Histogram& seconds;
    prometheus::Gauge& active;
    prometheus::Gauge& jobs;
  };
  [[nodiscard]] static Metrics MakeMetrics(prometheus::Registry& registry);

  void Loop();
  void Handle(const kube::ObjectKey& key);
  // Reconcile, with an exception as a failure of this job alone.
  [[nodiscard]] Result<std::optional<Duration>> Contained(const kube::ObjectKey& key);
  [[nodiscard]] Status Caught(const kube::ObjectKey& key, const std::string& what);
  [[nodiscard]] Result<std::optional<Duration>> Reconcile(const kube::ObjectKey& key);
  [[nodiscard]] Result<Observed> Gather(StreamJob job, Memory* memory);
  // Hands the job to its coordination service, or away from it.
  struct Coordinated {
    bool show_again = false;  // that changed what is to be shown
    bool waits = false;       // the service before has not let go of the job
  };
  [[nodiscard]] Coordinated Coordinate(const StreamJob& job, const ReconcilePlan& plan,
                                       Memory* memory);
  void Gone(const JobId& id);

  const Parts parts_;
  const Metrics metrics_;
  KafkaSecrets secrets_;
  std::map<JobId, Memory> memory_;          // the loop's thread only
  std::optional<std::string> cluster_uid_;  // the loop's thread only; nullopt: to be read
  std::atomic<bool> done_{true};
  std::atomic<int64_t> busy_since_{0};  // MonotonicTime's count; 0: idle
  std::thread thread_;
};

}  // namespace coho
