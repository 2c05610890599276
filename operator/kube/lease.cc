#include "operator/kube/lease.h"

#include <utility>

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
}

bool Lease::Sleep(Duration time) {
  std::unique_lock lock(mutex_);
  stop_.wait_for(lock, time, [this] { return stopping_; });
  return !stopping_;
}

void Lease::Run() {
  do {
    const Status status = Try();
    const std::string error = status.ok() ? "" : status.ToString();
    // A Conflict means that another candidate was faster: nothing to tell.
    if (error != last_error_ && !status.ok() && status.code() != Code::kConflict) {
      LogWarn("lease cannot be read or written",
              {{"lease", options_.ns + "/" + options_.name}, {"error", error}});
    }
    last_error_ = error;
    const bool leads = state_.Leads(options_.timing, clock_.Now());
    if (leads && !leading_.exchange(true)) {
      status_metric_.Set(1);
      LogInfo("leading",
              {{"lease", options_.ns + "/" + options_.name}, {"identity", options_.identity}});
      options_.on_leading();
    } else if (!leads && leading_.exchange(false)) {
      status_metric_.Set(0);
      LogError("leadership lost",
               {{"lease", options_.ns + "/" + options_.name}, {"holder", state_.record().holder}});
      options_.on_lost();
      return;
    }
  } while (Sleep(std::chrono::duration_cast<Duration>(
      options_.timing.retry_period *
      (leading_ ? 1.0 : std::uniform_real_distribution<double>(1.0, 1.2)(random_)))));
}

Status Lease::Try() {
  Result<LeaseRecord> record = Read();
  if (!record.ok()) return record.status();
  state_.Observe(*record, clock_.Now());
  const LeaseAction action = state_.Next(clock_.Now());
  if (action == LeaseAction::kWait) return Status::Ok();
  // From before the write: it is no older than what the others will see.
  const MonotonicTime before = clock_.Now();
  COHO_RETURN_IF_ERROR(Write(action));
  state_.Held(before);
  return Status::Ok();
}

Result<LeaseRecord> Lease::Read() {
  Result<Json> object = api_.Get(LeaseType(), {options_.ns, options_.name});
  if (!object.ok()) {
    if (object.status().code() == Code::kNotFound) return LeaseRecord{};
    return object.status();
  }
  return LeaseRecord{.exists = true,
                     .holder = TextAt(*object, {"spec", "holderIdentity"}),
                     .duration_seconds = IntAt(*object, {"spec", "leaseDurationSeconds"}),
                     .transitions = IntAt(*object, {"spec", "leaseTransitions"}),
                     .acquire_time = TextAt(*object, {"spec", "acquireTime"}),
                     .renew_time = TextAt(*object, {"spec", "renewTime"}),
                     .resource_version = TextAt(*object, {"metadata", "resourceVersion"})};
}

Status Lease::Write(LeaseAction action) {
  const LeaseRecord& stored = state_.record();
  const std::string now = FormatMicroTime(clock_.WallNow());
  const bool renew = action == LeaseAction::kRenew;
  Json object = {
      {"apiVersion", ApiVersion(LeaseType())},
      {"kind", LeaseType().kind},
      {"metadata", {{"namespace", options_.ns}, {"name", options_.name}}},
      {"spec",
       {{"holderIdentity", options_.identity},
        {"leaseDurationSeconds", options_.timing.duration / std::chrono::seconds(1)},
        {"acquireTime", renew && !stored.acquire_time.empty() ? stored.acquire_time : now},
        {"renewTime", now},
        {"leaseTransitions",
         action == LeaseAction::kTake ? stored.transitions + 1 : stored.transitions}}}};
  if (action == LeaseAction::kCreate) return api_.Create(LeaseType(), options_.ns, object).status();
  object["metadata"]["resourceVersion"] = stored.resource_version;
  return api_.Update(LeaseType(), object).status();
}

void Lease::Release() {
  Result<LeaseRecord> record = Read();
  if (!record.ok() || record->holder != options_.identity) return;
  const std::string now = FormatMicroTime(clock_.WallNow());
  const Json object = {{"apiVersion", ApiVersion(LeaseType())},
                       {"kind", LeaseType().kind},
                       {"metadata",
                        {{"namespace", options_.ns},
                         {"name", options_.name},
                         {"resourceVersion", record->resource_version}}},
                       {"spec",
                        {{"holderIdentity", ""},
                         {"leaseDurationSeconds", 1},
                         {"acquireTime", now},
                         {"renewTime", now},
                         {"leaseTransitions", record->transitions}}}};
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
  if (leading_.exchange(false)) {
    status_metric_.Set(0);
    Release();
  }
}

}  // namespace coho::kube
