#include "operator/kube/work_queue.h"

#include <algorithm>
#include <utility>

namespace coho::kube {
namespace {

using Labels = std::map<std::string, std::string>;

// 10 ns to 1000 s.
prometheus::Histogram::BucketBoundaries Decades() {
  prometheus::Histogram::BucketBoundaries bounds;
  double bound = 1e-8;
  for (int i = 0; i < 12; ++i, bound *= 10) bounds.push_back(bound);
  return bounds;
}

prometheus::Histogram& AddHistogram(prometheus::Registry& registry, const char* name,
                                    const char* help, const Labels& labels) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(labels,
                                                                                   Decades());
}

prometheus::MetricFamily RunningGauge(const char* name, const char* help, const std::string& queue,
                                      double value) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = prometheus::MetricType::Gauge;
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  metric.label = {{"controller", queue}, {"name", queue}};
  metric.gauge.value = value;
  return family;
}

}  // namespace

WorkQueue::WorkQueue(std::string name, const Clock& clock, prometheus::Registry& registry)
    : name_(std::move(name)),
      clock_(clock),
      depth_(prometheus::BuildGauge()
                 .Name("workqueue_depth")
                 .Help("Keys that wait to be worked on.")
                 .Register(registry)
                 .Add({{"name", name_}, {"controller", name_}})),
      adds_(prometheus::BuildCounter()
                .Name("workqueue_adds_total")
                .Help("Keys added to the queue.")
                .Register(registry)
                .Add({{"name", name_}, {"controller", name_}})),
      retries_(prometheus::BuildCounter()
                   .Name("workqueue_retries_total")
                   .Help("Keys added again after a failure.")
                   .Register(registry)
                   .Add({{"name", name_}, {"controller", name_}})),
      queue_seconds_(AddHistogram(registry, "workqueue_queue_duration_seconds",
                                  "How long a key waits before it is worked on.",
                                  {{"name", name_}, {"controller", name_}})),
      work_seconds_(AddHistogram(registry, "workqueue_work_duration_seconds",
                                 "How long the work on a key takes.",
                                 {{"name", name_}, {"controller", name_}})) {}

void WorkQueue::Add(const ObjectKey& key) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || !state_.Add(key, clock_.Now())) return;
    adds_.Increment();
    depth_.Set(static_cast<double>(state_.depth()));
  }
  changed_.notify_one();
}

void WorkQueue::AddAfter(const ObjectKey& key, Duration delay) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    state_.AddAt(key, clock_.Now() + delay);
  }
  changed_.notify_one();
}

Duration WorkQueue::AddAfterFailure(const ObjectKey& key) {
  Duration pause{};
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return pause;
    pause = state_.AddAfterFailure(key, clock_.Now());
    retries_.Increment();
  }
  changed_.notify_one();
  return pause;
}

void WorkQueue::Forget(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  state_.Forget(key);
}

std::optional<ObjectKey> WorkQueue::Take() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    const MonotonicTime now = clock_.Now();
    if (std::optional<WorkQueueState::Taken> taken = state_.Take(now)) {
      started_[taken->key] = now;
      queue_seconds_.Observe(std::chrono::duration<double>(taken->waited).count());
      depth_.Set(static_cast<double>(state_.depth()));
      return std::move(taken->key);
    }
    if (const std::optional<MonotonicTime> due = state_.NextDue()) {
      changed_.wait_for(lock, *due - now);
    } else {
      changed_.wait(lock);
    }
  }
  return std::nullopt;
}

void WorkQueue::Done(const ObjectKey& key) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = started_.find(key); it != started_.end()) {
      work_seconds_.Observe(std::chrono::duration<double>(clock_.Now() - it->second).count());
      started_.erase(it);
    }
    state_.Done(key);
    depth_.Set(static_cast<double>(state_.depth()));
  }
  changed_.notify_one();
}

void WorkQueue::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

std::vector<prometheus::MetricFamily> WorkQueue::Collect() const {
  double sum = 0;
  double longest = 0;
  {
    const std::lock_guard lock(mutex_);
    const MonotonicTime now = clock_.Now();
    for (const auto& [key, since] : started_) {
      const double seconds = std::chrono::duration<double>(now - since).count();
      sum += seconds;
      longest = std::max(longest, seconds);
    }
  }
  return {RunningGauge("workqueue_unfinished_work_seconds",
                       "Seconds spent on work that is under way, summed over keys.", name_, sum),
          RunningGauge("workqueue_longest_running_processor_seconds",
                       "Seconds that the longest work under way takes already.", name_, longest)};
}

}  // namespace coho::kube
