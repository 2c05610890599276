#include "operator/operator.h"

#include <unistd.h>

#include <cstdio>
#include <random>
#include <utility>

#include "common/base/log.h"
#include "common/contract/worker_command.h"
#include "common/http/metrics.h"
#include "operator/apply/perform.h"

namespace coho {
namespace {

// A coordinator's view changes with every heartbeat; reconciling a moment later takes a burst at
// once.
constexpr Duration kGatherChangesFor = std::chrono::milliseconds(100);
constexpr Duration kLongestReconcile = std::chrono::minutes(5);
// Together with the lease's last call well below the 30 s that Kubernetes grants.
constexpr Duration kEndReconcile = std::chrono::seconds(5);
constexpr Duration kEndCoordination = std::chrono::seconds(8);

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

std::string NewIdentity() {
  char suffix[16];
  std::snprintf(suffix, sizeof suffix, "_%08x", std::random_device{}());
  return HostName() + suffix;
}

Result<kube::ClusterAccess> LoadAccess(const OperatorOptions& options) {
  if (options.kubeconfig.empty() && options.context.empty() && kube::RunsInCluster())
    return kube::LoadInCluster();
  return kube::LoadKubeconfig(options.kubeconfig, options.context);
}

std::string LeaseNamespace(const OperatorOptions& options, kube::AccessSource& access) {
  if (!options.lease_namespace.empty()) return options.lease_namespace;
  const std::string own = access.Current()->default_namespace;
  return own.empty() ? "default" : own;
}

}  // namespace

Operator::Operator(const OperatorOptions& options, std::unique_ptr<kube::AccessSource> access)
    : options_(options),
      clock_(Clock::Real()),
      identity_(NewIdentity()),
      registry_(std::make_shared<prometheus::Registry>()),
      access_(std::move(access)),
      api_(*access_, clock_, {}, *registry_),
      // A renewal is tried once and then judged: nothing is slept away.
      lease_api_(*access_, clock_,
                 {.timeout = kube::LeaseTiming().attempt, .tries_when_throttled = 1}, *registry_),
      queue_(std::make_shared<kube::WorkQueue>("streamjob", clock_, *registry_)),
      events_(api_, clock_, HostName(), *registry_),
      cache_(api_, clock_, options_.ns, [this](const kube::ObjectKey& job) { queue_->Add(job); }),
      coordination_(
          {.on_change =
               [this](const JobId& id) {
                 queue_->AddAfter({id.ns, id.name}, kGatherChangesFor);
               },
           .on_event = [this](const JobId& id, const EmitEvent& event) { OnJobEvent(id, event); },
           .may_write = [this] { return MayWrite(); }}),
      reconciler_({.api = api_,
                   .cache = cache_,
                   .queue = *queue_,
                   .events = events_,
                   .coordination = coordination_,
                   .clock = clock_,
                   .registry = *registry_,
                   .settings = {.installation = options_.installation_id,
                                .image_pull_policy = options_.image_pull_policy},
                   .may_write = [this] { return MayWrite(); }}),
      lease_(lease_api_, clock_,
             {.ns = LeaseNamespace(options_, *access_),
              .name = options_.lease_name,
              .identity = identity_,
              .timing = {},
              .on_leading = [this] { leading_ = true; },
              .on_lost = [this] { lost_ = true; }},
             *registry_),
      server_({.host = options_.metrics_host, .port = options_.metrics_port}) {}

Operator::~Operator() { (void)Stop(); }

bool Operator::MayWrite() const {
  return !ending_ && !lost_ && (!options_.leader_elect || lease_.leading());
}

Result<std::unique_ptr<Operator>> Operator::Start(const OperatorOptions& options) {
  COHO_ASSIGN_OR_RETURN(
      std::unique_ptr<kube::AccessSource> access,
      kube::AccessSource::Create([options] { return LoadAccess(options); }, Clock::Real()));
  const auto at = access->Current();
  std::unique_ptr<Operator> self(new Operator(options, std::move(access)));
  COHO_RETURN_IF_ERROR(self->Serve());
  LogInfo("operator starts", {{"identity", self->identity_},
                              {"apiServer", at->host + ":" + std::to_string(at->port)},
                              {"namespace", options.ns.empty() ? "all" : options.ns},
                              {"httpPort", self->server_.port()},
                              {"installationId", options.installation_id}});
  self->events_.Start();
  self->cache_.Start();
  if (options.leader_elect) {
    self->lease_.Start();
  } else {
    self->leading_ = true;
  }
  return self;
}

Status Operator::Serve() {
  server_.Route(kPathMetrics, http::MetricsHandler(
                                  {registry_, queue_, std::make_shared<http::ProcessMetrics>()}));
  for (const char* path : {kPathLive, "/healthz"}) {
    server_.Route(path, [this](const http::Request&) { return Livez(); });
  }
  server_.Route(kPathReady, [this](const http::Request&) { return Readyz(); });
  return server_.Start();
}

http::Response Operator::Livez() const {
  const std::optional<MonotonicTime> since = reconciler_.busy_since();
  if (since && clock_.Now() - *since > kLongestReconcile) {
    return {.status = 503, .body = "a reconcile has not ended for more than 5 minutes\n"};
  }
  return {.body = "ok\n"};
}

http::Response Operator::Readyz() const {
  if (ending_) return {.status = 503, .body = "the operator ends\n"};
  std::string missing;
  for (const std::string& plural : cache_.unsynced()) missing += " " + plural;
  if (!missing.empty()) return {.status = 503, .body = "not listed yet:" + missing + "\n"};
  return {.body = leading_ ? "ok, leading\n" : "ok, standing by\n"};
}

void Operator::OnJobEvent(const JobId& id, const EmitEvent& event) {
  const kube::ObjectPtr job = cache_.jobs().Get({id.ns, id.name});
  if (job == nullptr) return;
  events_.Record({.about = SubjectOf(id, kube::TextAt(*job, {"metadata", "uid"})),
                  .warning = event.warning,
                  .reason = std::string(NameOf(event.reason)),
                  .action = "Coordinate",
                  .note = event.message});
}

Status Operator::Tick() {
  if (lost_)
    return Fenced("lease " + options_.lease_name +
                  ": not renewed in time, or taken by another operator");
  if (leading_ && !reconciling_ && cache_.synced()) {
    reconciling_ = true;
    LogInfo("reconciling begins", {{"jobs", cache_.jobs().size()}});
    reconciler_.Start();
  }
  return Status::Ok();
}

bool Operator::Stop() {
  if (std::exchange(stopped_, true)) return all_ended_;
  ending_ = true;
  LogInfo("operator ends");
  queue_->Stop();
  // Who leads no more waits for no answer; else the call under way may end by itself.
  if (lost_ || !reconciler_.JoinWithin(kEndReconcile)) api_.Stop();
  reconciler_.Join();
  all_ended_ = coordination_.Stop(lost_ ? Duration::zero() : kEndCoordination);
  lease_.Stop();
  lease_api_.Stop();
  events_.Stop();
  api_.Stop();
  cache_.Stop();
  server_.Stop();
  return all_ended_;
}

}  // namespace coho
