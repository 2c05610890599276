#include "common/coordinating/service.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/log.h"
#include "common/coordinating/cluster.h"
#include "common/coordinating/job_runner.h"

namespace coho {
namespace {

constexpr Duration kTurn = std::chrono::milliseconds(100);  // how long a turn waits for heartbeats
constexpr Duration kFirstRetry = std::chrono::milliseconds(500);
constexpr Duration kLongestRetry = std::chrono::seconds(10);

// Whether people would notice a difference: being heard once more is none.
bool SameView(const JobView& a, const JobView& b) {
  const auto same_worker = [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.standing == y.second.standing &&
           x.second.incarnation == y.second.incarnation && x.second.phase == y.second.phase &&
           x.second.acknowledged == y.second.acknowledged && x.second.report == y.second.report;
  };
  return a.prepared == b.prepared && a.problem == b.problem && a.model == b.model &&
         a.settled == b.settled && a.removable == b.removable && a.assignment == b.assignment &&
         a.locality == b.locality &&
         std::equal(a.workers.begin(), a.workers.end(), b.workers.begin(), b.workers.end(),
                    same_worker);
}

}  // namespace

struct CoordinationService::Impl {
  explicit Impl(Options o)
      : options(std::move(o)), cluster(options.kafka, options.transactional_id) {}

  void Run();
  void TakeWishes();
  [[nodiscard]] bool Connected();
  void StepJobs();
  void Publish();
  void OnStatus(const Status& status);

  const Options options;
  std::atomic<bool> fenced{false};

  std::mutex mutex;  // guards what follows up to `views`
  std::condition_variable wake;
  bool stop = false;
  // In order of arrival; each is done by the service's thread.
  std::vector<std::function<void()>> wishes;
  std::map<JobId, JobView> views;

  // The service's thread only.
  Cluster cluster;
  std::map<JobId, std::unique_ptr<JobRunner>> runners;
  std::map<std::string, JobRunner*> by_heartbeats;
  JobId prepared_last;
  MonotonicTime connect_at;
  Duration connect_after = kFirstRetry;
  std::thread thread;
};

void CoordinationService::Impl::TakeWishes() {
  std::vector<std::function<void()>> taken;
  {
    const std::lock_guard lock(mutex);
    taken.swap(wishes);
  }
  for (const auto& wish : taken) wish();
}

bool CoordinationService::Impl::Connected() {
  const MonotonicTime now = options.clock->Now();
  if (now < connect_at) return false;
  const Status status = cluster.Connect();
  if (status.ok()) {
    connect_after = kFirstRetry;
    return true;
  }
  OnStatus(status);
  connect_at = options.clock->Now() + connect_after;
  connect_after = std::min(connect_after * 2, kLongestRetry);
  for (const auto& [id, runner] : runners) runner->OnUnreachable(status);
  return false;
}

void CoordinationService::Impl::OnStatus(const Status& status) {
  if (status.code() != Code::kFenced || fenced.exchange(true)) return;
  LogError("another coordinator took over; this one writes nothing any more",
           {{"transactional_id", options.transactional_id}, {"error", status}});
}

// One job's preparation a turn: it may take seconds, and the others have to be heard meanwhile.
void CoordinationService::Impl::StepJobs() {
  auto next = runners.upper_bound(prepared_last);
  JobRunner* preparing = nullptr;
  for (size_t i = 0; i < runners.size() && preparing == nullptr; ++i) {
    if (next == runners.end()) next = runners.begin();
    if (next->second->PreparationDue()) {
      preparing = next->second.get();
      prepared_last = next->first;
    }
    ++next;
  }
  for (const auto& [id, runner] : runners) {
    if (runner->PreparationDue() && runner.get() != preparing) continue;
    if (cluster.connection() == 0)
      return;  // given up by the job before; all go on after the next Connect
    const Status status = runner->Step();
    OnStatus(status);
    if (fenced) return;
  }
}

void CoordinationService::Impl::Publish() {
  std::vector<JobId> changed;
  for (const auto& [id, runner] : runners) {
    if (!runner->TakeChanged()) continue;
    JobView view = runner->View();
    const std::lock_guard lock(mutex);
    JobView& published = views[id];
    if (!SameView(published, view)) changed.push_back(id);
    published = std::move(view);
  }
  if (!options.on_change) return;
  for (const JobId& id : changed) options.on_change(id);
}

void CoordinationService::Impl::Run() {
  const auto on_record = [this](const std::string& topic, int64_t offset, std::string_view value) {
    const auto runner = by_heartbeats.find(topic);
    if (runner != by_heartbeats.end()) runner->second->OnHeartbeat(offset, value);
  };
  while (true) {
    TakeWishes();
    bool wait = true;
    if (!fenced && Connected()) {
      StepJobs();
      if (!runners.empty()) {
        wait = false;
        OnStatus(cluster.Poll(kTurn, on_record));
        if (!fenced) StepJobs();
      }
    }
    Publish();
    std::unique_lock lock(mutex);
    if (wait && wishes.empty() && !stop) wake.wait_for(lock, kTurn);
    if (stop && wishes.empty()) return;
  }
}

CoordinationService::CoordinationService() = default;

std::unique_ptr<CoordinationService> CoordinationService::Start(Options options) {
  std::unique_ptr<CoordinationService> service(new CoordinationService);
  service->impl_ = std::make_unique<Impl>(std::move(options));
  Impl* impl = service->impl_.get();
  impl->thread = std::thread([impl] { impl->Run(); });
  return service;
}

CoordinationService::~CoordinationService() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->wake.notify_all();
  impl_->thread.join();
  impl_->runners.clear();  // before the cluster that they point to
}

void CoordinationService::SetJob(const Job& job, const JobIdentity& /*identity*/) {
  const std::lock_guard lock(impl_->mutex);
  impl_->views.try_emplace(job.id);
  impl_->wishes.push_back([impl = impl_.get(), job] {
    auto& runner = impl->runners[job.id];
    if (runner != nullptr && runner->heartbeats_topic() == job.HeartbeatsTopic())
      return runner->SetJob(job);
    if (runner != nullptr) impl->by_heartbeats.erase(runner->heartbeats_topic());
    const auto on_event = [impl](const JobId& id, const EmitEvent& event) {
      if (impl->options.on_event) impl->options.on_event(id, event);
    };
    runner = std::make_unique<JobRunner>(job, &impl->cluster, impl->options.clock, on_event);
    impl->by_heartbeats[runner->heartbeats_topic()] = runner.get();
  });
  impl_->wake.notify_all();
}

void CoordinationService::SetPodFacts(const JobId& id, const std::map<WorkerId, PodFact>& facts) {
  const std::lock_guard lock(impl_->mutex);
  impl_->wishes.push_back([impl = impl_.get(), id, facts] {
    const auto runner = impl->runners.find(id);
    if (runner != impl->runners.end()) runner->second->SetPodFacts(facts);
  });
  impl_->wake.notify_all();
}

void CoordinationService::RemoveJob(const JobId& id) {
  const std::lock_guard lock(impl_->mutex);
  impl_->wishes.push_back([impl = impl_.get(), id] {
    const auto runner = impl->runners.find(id);
    if (runner == impl->runners.end()) return;
    impl->by_heartbeats.erase(runner->second->heartbeats_topic());
    impl->runners.erase(runner);
    const std::lock_guard inner(impl->mutex);
    impl->views.erase(id);
  });
  impl_->wake.notify_all();
}

std::optional<JobView> CoordinationService::View(const JobId& id) const {
  const std::lock_guard lock(impl_->mutex);
  const auto view = impl_->views.find(id);
  if (view == impl_->views.end()) return std::nullopt;
  return view->second;
}

bool CoordinationService::fenced() const { return impl_->fenced; }

}  // namespace coho
