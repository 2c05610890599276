#include "common/coordinating/service.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/log.h"
#include "common/base/overloaded.h"
#include "common/coordinating/kafka_cluster.h"
#include "common/coordinating/service_state.h"

namespace coho {
namespace {

constexpr Duration kTurn = std::chrono::milliseconds(100);  // how long a turn waits for events
constexpr size_t kEventsPerTurn = 2000;
// Time passes at last, however much arrives.
constexpr Duration kTickAtLeast = std::chrono::seconds(1);

std::string RandomText() {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::random_device random;
  std::string text;
  for (int i = 0; i < 12; ++i) text += kDigits[random() % 16];
  return text;
}

// Whether people would notice a difference: being heard once more is none.
bool SameView(const JobView& a, const JobView& b) {
  const auto same_worker = [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.standing == y.second.standing &&
           x.second.incarnation == y.second.incarnation && x.second.phase == y.second.phase &&
           x.second.acknowledged == y.second.acknowledged && x.second.report == y.second.report;
  };
  return a.prepared == b.prepared && a.problem == b.problem && a.model == b.model &&
         a.settled == b.settled && a.listening == b.listening && a.removable == b.removable &&
         a.assignment == b.assignment && a.locality == b.locality &&
         std::equal(a.workers.begin(), a.workers.end(), b.workers.begin(), b.workers.end(),
                    same_worker);
}

}  // namespace

struct CoordinationService::Impl {
  explicit Impl(Options o)
      : options(std::move(o)),
        state({.transactional_id = options.transactional_id + "-" + RandomText(),
               .respect_claims = options.respect_claims,
               .new_life = RandomText}),
        cluster(options.kafka, options.threads, options.may_write) {}

  void Run();
  void Turn();
  void Publish(MonotonicTime now);
  void Perform();
  void Wish(std::function<void(Times)> wish) {
    {
      const std::lock_guard lock(mutex);
      wishes.push_back(std::move(wish));
    }
    cluster.Wake();
  }

  const Options options;
  std::atomic<bool> stop{false};

  mutable std::mutex mutex;  // guards wishes and views
  // In order of arrival; each is done by the service's thread.
  std::vector<std::function<void(Times)>> wishes;
  std::map<JobId, JobView> views;

  // The service's thread only.
  ServiceState state;
  MonotonicTime ticked_at;
  KafkaCluster cluster;
  std::thread thread;
};

void CoordinationService::Impl::Publish(MonotonicTime now) {
  std::vector<JobId> changed;
  for (auto& [id, view] : state.TakeViews(now)) {
    const std::lock_guard lock(mutex);
    const auto published = views.find(id);
    if (published == views.end()) continue;  // removed meanwhile
    if (!SameView(published->second, view)) changed.push_back(id);
    published->second = std::move(view);
  }
  if (!options.on_change) return;
  for (const JobId& id : changed) options.on_change(id);
}

void CoordinationService::Impl::Perform() {
  for (ServiceAction& action : state.Take()) {
    std::visit(
        Overloaded{
            [&](AskCluster& ask) { cluster.Ask(ask.id, std::move(ask.request)); },
            [&](TellJobEvent& tell) {
              LogInfo("coordination", {{"job", tell.job.ToString()},
                                       {"reason", NameOf(tell.event.reason)},
                                       {"message", tell.event.message}});
              if (options.on_event) options.on_event(tell.job, tell.event);
            },
            [&](JobNote& note) {
              Log(note.note.warning ? LogLevel::kWarn : LogLevel::kInfo, note.note.sentence,
                  {{"job", note.job ? note.job->ToString() : ""}, {"detail", note.note.detail}});
            },
        },
        action);
  }
}

void CoordinationService::Impl::Turn() {
  std::vector<ClusterEvent> events = cluster.Take(kTurn, kEventsPerTurn);
  const bool all = events.size() < kEventsPerTurn;
  std::vector<std::function<void(Times)>> taken;
  {
    const std::lock_guard lock(mutex);
    taken.swap(wishes);
  }
  const Times t{options.clock->Now(), options.clock->WallNow()};
  for (const auto& wish : taken) wish(t);
  state.OnEvents(std::move(events), t);
  if (all || t.now - ticked_at >= kTickAtLeast) {
    ticked_at = t.now;
    state.OnTick(t);
  }
  Perform();
  Publish(t.now);
}

void CoordinationService::Impl::Run() {
  while (!stop) {
    try {
      Turn();
    } catch (const std::exception& e) {
      // A defect, or no memory: the next turn begins with what is left of it.
      LogError("a coordination turn failed", {{"error", std::string(e.what())}});
    }
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

void CoordinationService::Stop() {
  impl_->stop = true;
  impl_->cluster.Wake();
}

CoordinationService::~CoordinationService() {
  Stop();
  impl_->thread.join();
}

void CoordinationService::SetJob(const Job& job, const JobIdentity& identity) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->views.try_emplace(job.id);
  }
  impl_->Wish([impl = impl_.get(), job, identity](Times t) {
    impl->state.SetJob(job, identity, t);
    // Once more: it may have been removed just before, after it was set.
    const std::lock_guard lock(impl->mutex);
    impl->views.try_emplace(job.id);
  });
}

void CoordinationService::SetPodFacts(const JobId& id, const std::map<WorkerId, PodFact>& facts) {
  impl_->Wish([impl = impl_.get(), id, facts](Times t) { impl->state.SetPodFacts(id, facts, t); });
}

void CoordinationService::RemoveJob(const JobId& id) {
  impl_->Wish([impl = impl_.get(), id](Times) {
    impl->state.RemoveJob(id);
    const std::lock_guard lock(impl->mutex);
    impl->views.erase(id);
  });
}

std::optional<JobView> CoordinationService::View(const JobId& id) const {
  const std::lock_guard lock(impl_->mutex);
  const auto view = impl_->views.find(id);
  if (view == impl_->views.end()) return std::nullopt;
  return view->second;
}

}  // namespace coho
