#include "operator/coordination_services.h"

#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <thread>
#include <utility>

#include "common/base/log.h"

namespace coho {
namespace {

// FNV-1a: stable over versions and machines, which std::hash is not.
std::string StableHash(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  char out[17];
  std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(hash));
  return out;
}

// Two Kubernetes clusters whose installations have the same name are told apart by the cluster's
// uid.
std::string TransactionalId(const JobIdentity& identity, const std::string& key) {
  constexpr size_t kEnoughOfUid = 8;
  std::string id = "coho-operator-" + identity.installation;
  if (!identity.kubernetes_cluster_uid.empty())
    id += "-" + identity.kubernetes_cluster_uid.substr(0, kEnoughOfUid);
  return id + "-" + StableHash(key);
}

class ServiceCoordination final : public JobCoordination {
 public:
  explicit ServiceCoordination(CoordinationService::Options options)
      : service_(CoordinationService::Start(std::move(options))) {}
  void SetJob(const Job& job, const JobIdentity& identity) override {
    service_->SetJob(job, identity);
  }
  void SetPodFacts(const JobId& id, const std::map<WorkerId, PodFact>& facts) override {
    service_->SetPodFacts(id, facts);
  }
  void RemoveJob(const JobId& id) override { service_->RemoveJob(id); }
  [[nodiscard]] std::optional<JobView> View(const JobId& id) const override {
    return service_->View(id);
  }

 private:
  const std::unique_ptr<CoordinationService> service_;
};

}  // namespace

// Calls nobody once it is closed, and lets no exception into a service's thread.
class CoordinationServices::Gate {
 public:
  Gate(OnChange on_change, OnEvent on_event, std::function<bool()> may_write)
      : on_change_(std::move(on_change)),
        on_event_(std::move(on_event)),
        may_write_(std::move(may_write)) {}
  void Close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void Changed(const JobId& id) {
    Pass(id, [&] {
      if (on_change_) on_change_(id);
    });
  }
  void Happened(const JobId& id, const EmitEvent& event) {
    Pass(id, [&] {
      if (on_event_) on_event_(id, event);
    });
  }
  [[nodiscard]] bool MayWrite() {
    const std::lock_guard lock(mutex_);
    return open_ && (!may_write_ || may_write_());
  }

 private:
  template <class F>
  void Pass(const JobId& id, F call) {
    const std::lock_guard lock(mutex_);
    if (!open_) return;
    try {
      call();
    } catch (const std::exception& e) {
      LogError("a coordination callback failed", {{"job", id.ToString()}, {"error", e.what()}});
    }
  }

  const OnChange on_change_;
  const OnEvent on_event_;
  const std::function<bool()> may_write_;
  std::mutex mutex_;
  bool open_ = true;  // guarded by mutex_
};

// Destroys services, each in a thread of its own: one may wait for a broker that does not answer.
class CoordinationServices::Reaper {
 public:
  static void End(const std::shared_ptr<Reaper>& self, ServicePtr service, EndedFlag ended) {
    {
      const std::lock_guard lock(self->mutex_);
      ++self->ending_;
    }
    // Detached: it holds all that it needs, and who must end in time does not wait for it beyond a
    // bound.
    std::thread([self, service = std::move(service), ended = std::move(ended)]() mutable {
      service.reset();
      *ended = true;
      {
        const std::lock_guard lock(self->mutex_);
        --self->ending_;
      }
      self->ended_.notify_all();
    }).detach();
  }
  bool WaitFor(Duration most) {
    std::unique_lock lock(mutex_);
    return ended_.wait_for(lock, most, [this] { return ending_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  int ending_ = 0;  // guarded by mutex_
};

std::unique_ptr<JobCoordination> CoordinationServices::StartService(
    CoordinationService::Options options) {
  return std::make_unique<ServiceCoordination>(std::move(options));
}

CoordinationServices::CoordinationServices(Options options)
    : options_(std::move(options)),
      gate_(std::make_shared<Gate>(options_.on_change, options_.on_event, options_.may_write)),
      reaper_(std::make_shared<Reaper>()) {}

CoordinationServices::~CoordinationServices() { (void)Stop(Duration::zero()); }

std::string CoordinationServices::ClusterKey(const Job& job) {
  std::string key = job.kafka.bootstrap_servers;
  for (const auto& [name, value] : job.kafka.properties) key += '\n' + name + '=' + value;
  if (!job.kafka.secret_name.empty()) key += "\nsecret " + job.id.ns + '/' + job.kafka.secret_name;
  return key;
}

CoordinationServices::ServicePtr CoordinationServices::StartLocked(
    const std::string& key, const Job& job, const JobIdentity& identity,
    const std::map<std::string, std::string>& secrets) const {
  const std::string transactional_id = TransactionalId(identity, key);
  LogInfo("coordination starts", {{"bootstrapServers", job.kafka.bootstrap_servers},
                                  {"transactionalId", transactional_id}});
  CoordinationService::Options options;
  options.kafka = {.bootstrap_servers = job.kafka.bootstrap_servers,
                   .properties = job.kafka.properties,
                   .secrets = secrets,
                   .client_id = "coho-operator"};
  options.transactional_id = transactional_id;
  options.on_change = [gate = gate_](const JobId& id) { gate->Changed(id); };
  options.on_event = [gate = gate_](const JobId& id, const EmitEvent& event) {
    gate->Happened(id, event);
  };
  options.may_write = [gate = gate_] { return gate->MayWrite(); };
  return options_.start(std::move(options));
}

bool CoordinationServices::LetGoLocked(const JobId& id) {
  const auto leaving = leaving_.find(id);
  if (leaving == leaving_.end()) return true;
  bool gone = *leaving->second.ended;
  for (const auto& [key, entry] : entries_) {
    if (entry.ended == leaving->second.ended) gone = !entry.service->View(id);
  }
  if (!gone && options_.clock->Now() - leaving->second.since < options_.longest_hand_over)
    return false;
  if (!gone) {
    LogWarn("a coordinator has not let go of a job; its claim in Kafka keeps it from writing",
            {{"job", id.ToString()}});
  }
  leaving_.erase(leaving);
  return true;
}

bool CoordinationServices::Run(const Job& job, const JobIdentity& identity,
                               const std::map<std::string, std::string>& secrets) {
  const std::lock_guard lock(mutex_);
  const std::string key = ClusterKey(job);
  if (const auto it = key_of_job_.find(job.id); it != key_of_job_.end()) {
    const Entry& now = entries_.at(it->second);
    // Deleted and made again under its name, it is another job.
    if (it->second != key || now.jobs.at(job.id).identity != identity) ForgetLocked(job.id);
  }
  if (const auto at = entries_.find(key); at != entries_.end() && at->second.secrets != secrets) {
    LogInfo("Kafka credentials changed",
            {{"job", job.id.ToString()}, {"secret", job.kafka.secret_name}});
    // All its jobs are handed over; each comes back with its next reconcile.
    const std::map<JobId, Given> jobs = at->second.jobs;
    for (const auto& [id, other] : jobs) {
      ForgetLocked(id);
      if (id != job.id) gate_->Changed(id);
    }
  }
  if (!LetGoLocked(job.id)) return false;
  Entry& entry = entries_[key];
  if (entry.service == nullptr) {
    entry.secrets = secrets;
    entry.service = StartLocked(key, job, identity, secrets);
  }
  key_of_job_[job.id] = key;
  const auto it = entry.jobs.find(job.id);
  const Given given{job, identity};
  if (it != entry.jobs.end() && it->second == given) return true;
  entry.jobs.insert_or_assign(job.id, given);
  entry.service->SetJob(job, identity);
  return true;
}

void CoordinationServices::SetPodFacts(const JobId& id, const std::map<WorkerId, PodFact>& facts) {
  const std::lock_guard lock(mutex_);
  const auto it = key_of_job_.find(id);
  if (it != key_of_job_.end()) entries_.at(it->second).service->SetPodFacts(id, facts);
}

void CoordinationServices::ForgetLocked(const JobId& id) {
  const auto it = key_of_job_.find(id);
  if (it == key_of_job_.end()) return;
  const auto entry = entries_.find(it->second);
  entry->second.service->RemoveJob(id);
  std::erase_if(leaving_, [](const auto& past) { return past.second.ended->load(); });
  leaving_[id] = {.ended = entry->second.ended, .since = options_.clock->Now()};
  entry->second.jobs.erase(id);
  if (entry->second.jobs.empty()) {
    Reaper::End(reaper_, std::move(entry->second.service), entry->second.ended);
    entries_.erase(entry);
  }
  key_of_job_.erase(it);
}

void CoordinationServices::Forget(const JobId& id) {
  const std::lock_guard lock(mutex_);
  ForgetLocked(id);
}

std::optional<JobView> CoordinationServices::View(const JobId& id) const {
  const std::lock_guard lock(mutex_);
  const auto it = key_of_job_.find(id);
  if (it == key_of_job_.end()) return std::nullopt;
  return entries_.at(it->second).service->View(id);
}

size_t CoordinationServices::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

bool CoordinationServices::Stop(Duration most) {
  gate_->Close();
  {
    const std::lock_guard lock(mutex_);
    for (auto& [key, entry] : entries_) Reaper::End(reaper_, std::move(entry.service), entry.ended);
    entries_.clear();
    key_of_job_.clear();
    leaving_.clear();
  }
  return reaper_->WaitFor(most);
}

}  // namespace coho
