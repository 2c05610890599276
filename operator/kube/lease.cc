#include "operator/kube/lease.h"

#include <utility>

#include "common/base/guarded.h"
#include "common/base/log.h"
#include "operator/kube/time.h"

namespace coho::kube {
namespace {

const ResourceType& LeaseType() {
  static const ResourceType kType{
      .group = "coordination.k8s.io", .version = "v1", .plural = "leases", .kind = "Lease"};
  return kType;
}

}  // namespace

Lease::Lease(Api& api, const Clock& clock, Options options, prometheus::Registry& registry)
    : api_(api),
      clock_(clock),
      options_(std::move(options)),
      status_metric_(prometheus::BuildGauge()
                         .Name("leader_election_master_status")
                         .Help("1 while this process leads, else 0.")
                         .Register(registry)
                         .Add({{"name", options_.name}})),
      state_(options_.identity),
      random_(std::random_device{}()) {}

Lease::~Lease() { Stop(); }

void Lease::Start() {
  thread_ = std::thread([this] { Run(); });
  time_thread_ = std::thread([this] { WatchTime(); });
}

bool Lease::leading() const {
  return leading_ && !lost_ && clock_.Now().time_since_epoch().count() < leads_until_;
}

void Lease::Lose() {
  if (!leading_ || lost_.exchange(true)) return;
  status_metric_.Set(0);
  LogError("leadership lost", {{"lease", options_.ns + "/" + options_.name}});
  options_.on_lost();
  const std::lock_guard lock(mutex_);
  stop_.notify_all();
}

// Apart from the attempts, of which any may hang.
void Lease::WatchTime() {
  std::unique_lock lock(mutex_);
  while (!stopping_ && !lost_) {
    const MonotonicTime now = clock_.Now();
    const MonotonicTime until{Duration(leads_until_)};
    if (!leading_) {
      stop_.wait_for(lock, options_.timing.retry_period);
    } else if (now < until) {
      stop_.wait_for(lock, until - now);
    } else {
      lock.unlock();
      Lose();
      return;
    }
  }
}

bool Lease::Sleep(Duration time) {
  std::unique_lock lock(mutex_);
  stop_.wait_for(lock, time, [this] { return stopping_ || lost_; });
  return !stopping_ && !lost_;
}

void Lease::Run() {
  do {
    const Duration at_most = state_.AttemptTime(options_.timing, clock_.Now());
    // An answer that brings down its reader costs an attempt, not the process.
    const Status status = at_most > Duration::zero()
                              ? Guarded([&] { return Try(at_most); })
                              : DeadlineExceeded("no time is left to renew it");
    const std::string error = status.ok() ? "" : status.ToString();
    // A Conflict means that another candidate was faster: nothing to tell.
    if (error != last_error_ && !status.ok() && status.code() != Code::kConflict) {
      LogWarn("lease cannot be read or written",
              {{"lease", options_.ns + "/" + options_.name}, {"error", error}});
    }
    last_error_ = error;
    if (lost_) return;
    if (const auto until = state_.LeadsUntil(options_.timing))
      leads_until_ = until->time_since_epoch().count();
    const bool leads = state_.Leads(options_.timing, clock_.Now());
    if (leads && !leading_.exchange(true)) {
      status_metric_.Set(1);
      LogInfo("leading",
              {{"lease", options_.ns + "/" + options_.name}, {"identity", options_.identity}});
      options_.on_leading();
      // The time counts from now on.
      const std::lock_guard lock(mutex_);
      stop_.notify_all();
    } else if (!leads && leading_) {
      Lose();
      return;
    }
  } while (Sleep(std::chrono::duration_cast<Duration>(
      options_.timing.retry_period *
      (leading_ ? 1.0 : std::uniform_real_distribution<double>(1.0, 1.2)(random_)))));
}

Status Lease::Try(Duration at_most) {
  const MonotonicTime deadline = clock_.Now() + at_most;
  api_.SetTimeout(at_most);
  Result<LeaseRecord> record = Read();
  if (!record.ok()) return record.status();
  state_.Observe(*record, clock_.Now());
  const LeaseAction action = state_.Next(clock_.Now());
  if (action == LeaseAction::kWait) return Status::Ok();
  // From before the write: it is no older than what the others will see.
  const MonotonicTime before = clock_.Now();
  if (before >= deadline) return DeadlineExceeded("reading it took all the time");
  api_.SetTimeout(deadline - before);
  COHO_RETURN_IF_ERROR(Write(action));
  state_.Held(before);
  return Status::Ok();
}

Result<LeaseRecord> Lease::Read() {
  Result<Json> object = api_.Get(LeaseType(), {options_.ns, options_.name});
  if (!object.ok()) {
    stored_ = Json();
    if (object.status().code() == Code::kNotFound) return LeaseRecord{};
    return object.status();
  }
  stored_ = *object;
  return LeaseRecord{.exists = true,
                     .holder = TextAt(*object, {"spec", "holderIdentity"}),
                     .duration_seconds = IntAt(*object, {"spec", "leaseDurationSeconds"}),
                     .transitions = IntAt(*object, {"spec", "leaseTransitions"}),
                     .acquire_time = TextAt(*object, {"spec", "acquireTime"}),
                     .renew_time = TextAt(*object, {"spec", "renewTime"}),
                     .resource_version = TextAt(*object, {"metadata", "resourceVersion"})};
}

// The lease as it is stored, labels and annotations with it, and ours in it.
Json Lease::With(Json spec) const {
  Json object = stored_.is_object() ? stored_ : Json::object();
  object["apiVersion"] = ApiVersion(LeaseType());
  object["kind"] = LeaseType().kind;
  object["metadata"]["namespace"] = options_.ns;
  object["metadata"]["name"] = options_.name;
  object["metadata"].erase("managedFields");
  object["spec"].update(spec);
  return object;
}

Status Lease::Write(LeaseAction action) {
  const LeaseRecord& stored = state_.record();
  const std::string now = FormatMicroTime(clock_.WallNow());
  const bool renew = action == LeaseAction::kRenew;
  const Json object =
      With({{"holderIdentity", options_.identity},
            {"leaseDurationSeconds", options_.timing.duration / std::chrono::seconds(1)},
            {"acquireTime", renew && !stored.acquire_time.empty() ? stored.acquire_time : now},
            {"renewTime", now},
            {"leaseTransitions",
             action == LeaseAction::kTake ? stored.transitions + 1 : stored.transitions}});
  if (action == LeaseAction::kCreate) return api_.Create(LeaseType(), options_.ns, object).status();
  return api_.Update(LeaseType(), object).status();
}

void Lease::Release() {
  api_.SetTimeout(options_.timing.attempt);
  Result<LeaseRecord> record = Read();
  if (!record.ok() || record->holder != options_.identity) return;
  const std::string now = FormatMicroTime(clock_.WallNow());
  const Json object = With({{"holderIdentity", ""},
                            {"leaseDurationSeconds", 1},
                            {"acquireTime", now},
                            {"renewTime", now},
                            {"leaseTransitions", record->transitions}});
  const Result<Json> released = api_.Update(LeaseType(), object);
  if (released.ok()) {
    LogInfo("lease released", {{"lease", options_.ns + "/" + options_.name}});
  } else {
    LogWarn("lease not released, the next leader waits until it runs out",
            {{"error", released.status()}});
  }
}

void Lease::Stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
  time_thread_.join();
  if (leading_.exchange(false) && !lost_) {
    status_metric_.Set(0);
    Release();
  }
}

}  // namespace coho::kube
