#include "operator/coordination_services.h"

#include <cstdint>
#include <cstdio>
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

}  // namespace

CoordinationServices::~CoordinationServices() { Stop(); }

std::string CoordinationServices::ClusterKey(const Job& job) {
  std::string key = job.kafka.bootstrap_servers;
  for (const auto& [name, value] : job.kafka.properties) key += '\n' + name + '=' + value;
  if (!job.kafka.secret_name.empty()) key += "\nsecret " + job.id.ns + '/' + job.kafka.secret_name;
  return key;
}

std::unique_ptr<CoordinationService> CoordinationServices::StartService(
    const std::string& key, const Job& job,
    const std::map<std::string, std::string>& secrets) const {
  const std::string transactional_id =
      "coho-operator-" + options_.installation_id + "-" + StableHash(key);
  LogInfo("coordination starts", {{"bootstrapServers", job.kafka.bootstrap_servers},
                                  {"transactionalId", transactional_id}});
  return CoordinationService::Start({.kafka = {.bootstrap_servers = job.kafka.bootstrap_servers,
                                               .properties = job.kafka.properties,
                                               .secrets = secrets,
                                               .client_id = "coho-operator"},
                                     .transactional_id = transactional_id,
                                     .on_change = options_.on_change,
                                     .on_event = options_.on_event});
}

void CoordinationServices::Run(const Job& job, const std::map<std::string, std::string>& secrets) {
  const std::lock_guard lock(mutex_);
  const std::string key = ClusterKey(job);
  if (const auto it = key_of_job_.find(job.id); it != key_of_job_.end() && it->second != key)
    ForgetLocked(job.id);
  Entry& entry = entries_[key];
  if (entry.service != nullptr && entry.secrets != secrets) {
    LogInfo("Kafka credentials changed",
            {{"job", job.id.ToString()}, {"secret", job.kafka.secret_name}});
    entry.service.reset();  // before the new one starts: they share a transactional id
  }
  if (entry.service == nullptr) {
    entry.secrets = secrets;
    entry.service = StartService(key, job, secrets);
    for (const auto& [id, other] : entry.jobs) {
      if (id != job.id) entry.service->SetJob(other);
    }
    entry.jobs.erase(job.id);
  }
  key_of_job_[job.id] = key;
  const auto it = entry.jobs.find(job.id);
  if (it != entry.jobs.end() && it->second == job) return;
  entry.jobs.insert_or_assign(job.id, job);
  entry.service->SetJob(job);
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
  entry->second.jobs.erase(id);
  if (entry->second.jobs.empty()) entries_.erase(entry);
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

bool CoordinationServices::fenced() const {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, entry] : entries_) {
    if (entry.service->fenced()) return true;
  }
  return false;
}

size_t CoordinationServices::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void CoordinationServices::Stop() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
  key_of_job_.clear();
}

}  // namespace coho
