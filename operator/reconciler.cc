#include "operator/reconciler.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "operator/api/names.h"
#include "operator/cluster_identity.h"
#include "operator/kube/json.h"
#include "operator/kube/kinds.h"
#include "operator/observe/observe.h"
#include "operator/report/status.h"

namespace coho {
namespace {

// What others wrote into our objects is found and repaired this often.
constexpr Duration kRepairEvery = std::chrono::minutes(5);
constexpr Duration kReadSecretEvery = std::chrono::seconds(60);
constexpr Duration kTryConnectionAgainAfter = std::chrono::seconds(10);
constexpr Duration kTryHandOverAgainAfter = std::chrono::milliseconds(500);
// Objects that are not ours go away without telling us.
constexpr Duration kReadForeignAgainAfter = std::chrono::seconds(2);
constexpr char kController[] = "streamjob";

prometheus::Histogram::BucketBoundaries ReconcileBuckets() {
  return {0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7,
          1,     1.5,  2,     3,    5,   7,    10,  20,  30,  60};
}

void Sooner(Duration when, std::optional<Duration>* requeue) {
  *requeue = requeue->has_value() ? std::min(**requeue, when) : when;
}

bool HasForeign(const std::map<ObjectKey, ObjectFacts>& objects, const std::string& uid) {
  return std::any_of(objects.begin(), objects.end(),
                     [&](const auto& entry) { return entry.second.controller_uid != uid; });
}

JobProblem ConnectionProblem(const Status& status) {
  return {.reason = status.code() == Code::kNotFound ? ProblemReason::kSecretMissing
                                                     : ProblemReason::kSecretUnreadable,
          .message = status.message()};
}

}  // namespace

Reconciler::Metrics Reconciler::MakeMetrics(prometheus::Registry& registry) {
  auto& totals = prometheus::BuildCounter()
                     .Name("controller_runtime_reconcile_total")
                     .Help("Reconciles by result.")
                     .Register(registry);
  const auto total = [&](const char* result) -> prometheus::Counter& {
    return totals.Add({{"controller", kController}, {"result", result}});
  };
  prometheus::BuildGauge()
      .Name("controller_runtime_max_concurrent_reconciles")
      .Help("Reconciles that may run at the same time.")
      .Register(registry)
      .Add({{"controller", kController}})
      .Set(1);
  total("requeue");  // nothing of ours is requeued without a time; dashboards want the series
  return {.success = total("success"),
          .error = total("error"),
          .requeue_after = total("requeue_after"),
          .errors = prometheus::BuildCounter()
                        .Name("controller_runtime_reconcile_errors_total")
                        .Help("Reconciles that failed.")
                        .Register(registry)
                        .Add({{"controller", kController}}),
          .panics = prometheus::BuildCounter()
                        .Name("controller_runtime_reconcile_panics_total")
                        .Help("Reconciles that ended by an exception, which was caught.")
                        .Register(registry)
                        .Add({{"controller", kController}}),
          .seconds = prometheus::BuildHistogram()
                         .Name("controller_runtime_reconcile_time_seconds")
                         .Help("How long a reconcile takes.")
                         .Register(registry)
                         .Add({{"controller", kController}}, ReconcileBuckets()),
          .active = prometheus::BuildGauge()
                        .Name("controller_runtime_active_workers")
                        .Help("Reconciles that run now.")
                        .Register(registry)
                        .Add({{"controller", kController}}),
          .jobs = prometheus::BuildGauge()
                      .Name("coho_operator_jobs")
                      .Help("StreamJobs that this operator reconciles.")
                      .Register(registry)
                      .Add({})};
}

Reconciler::Reconciler(Parts parts)
    : parts_(std::move(parts)),
      metrics_(MakeMetrics(parts_.registry)),
      secrets_(parts_.api, parts_.clock) {}

Reconciler::~Reconciler() { Join(); }

void Reconciler::Start() {
  done_ = false;
  thread_ = std::thread([this] {
    Loop();
    done_ = true;
    done_.notify_all();
  });
}

bool Reconciler::JoinWithin(Duration most) {
  constexpr Duration kLook = std::chrono::milliseconds(10);
  for (Duration waited{}; !done_; waited += kLook) {
    if (waited >= most) return false;
    std::this_thread::sleep_for(kLook);
  }
  Join();
  return true;
}

void Reconciler::Join() {
  if (thread_.joinable()) thread_.join();
}

std::optional<MonotonicTime> Reconciler::busy_since() const {
  const int64_t since = busy_since_;
  if (since == 0) return std::nullopt;
  return MonotonicTime(Duration(since));
}

void Reconciler::Loop() {
  while (std::optional<kube::ObjectKey> key = parts_.queue.Take()) {
    busy_since_ = std::max<int64_t>(1, parts_.clock.Now().time_since_epoch().count());
    metrics_.active.Set(1);
    Handle(*key);
    metrics_.active.Set(0);
    busy_since_ = 0;
    parts_.queue.Done(*key);
  }
}

void Reconciler::Handle(const kube::ObjectKey& key) {
  const MonotonicTime began = parts_.clock.Now();
  const Result<std::optional<Duration>> result = Contained(key);
  metrics_.seconds.Observe(std::chrono::duration<double>(parts_.clock.Now() - began).count());
  metrics_.jobs.Set(static_cast<double>(parts_.cache.jobs().size()));
  if (!result.ok()) {
    metrics_.error.Increment();
    metrics_.errors.Increment();
    const Duration pause = parts_.queue.AddAfterFailure(key);
    if (result.status().code() == Code::kAborted) return;  // the operator stops
    LogWarn("reconcile failed, will be tried again",
            {{"job", key.ToString()},
             {"error", result.status()},
             {"afterMs", pause / std::chrono::milliseconds(1)}});
    return;
  }
  parts_.queue.Forget(key);
  if (*result) {
    metrics_.requeue_after.Increment();
    parts_.queue.AddAfter(key, **result);
  } else {
    metrics_.success.Increment();
  }
}

Result<std::optional<Duration>> Reconciler::Contained(const kube::ObjectKey& key) {
  try {
    return Reconcile(key);
  } catch (const std::exception& e) {
    return Caught(key, e.what());
  }
}

// A defect, and maybe one that comes again each time: nothing is relied on but what is stored.
Status Reconciler::Caught(const kube::ObjectKey& key, const std::string& what) {
  metrics_.panics.Increment();
  LogError("a reconcile failed by an exception; other jobs go on",
           {{"job", key.ToString()}, {"error", what}});
  try {
    memory_[{key.ns, key.name}].internal_error = what;
    const kube::ObjectPtr object = parts_.cache.jobs().Get(key);
    if (object == nullptr || !parts_.may_write()) return Internal(what);
    const kube::Json status = StatusOfCaughtError(kube::At(*object, {"status"}),
                                                  kube::IntAt(*object, {"metadata", "generation"}),
                                                  what, parts_.clock.WallNow());
    (void)parts_.api.ApplyStatus(StreamJobType(),
                                 {{"apiVersion", std::string(kApiVersion)},
                                  {"kind", std::string(kStreamJobKind)},
                                  {"metadata", {{"name", key.name}, {"namespace", key.ns}}},
                                  {"status", status}});
    parts_.events.Record(
        {.about = SubjectOf({key.ns, key.name}, kube::TextAt(*object, {"metadata", "uid"})),
         .warning = true,
         .reason = std::string(NameOf(ProblemReason::kInternalError)),
         .action = "Reconcile",
         .note = what});
  } catch (const std::exception& e) {
    LogError("what was caught cannot be shown", {{"job", key.ToString()}, {"error", e.what()}});
  }
  return Internal(what);
}

Result<std::optional<Duration>> Reconciler::Reconcile(const kube::ObjectKey& key) {
  // Before the first claim: who we are must not change.
  if (!cluster_uid_) {
    COHO_ASSIGN_OR_RETURN(cluster_uid_, ReadClusterUid(parts_.api));
  }
  const kube::ObjectPtr object = parts_.cache.jobs().Get(key);
  if (object == nullptr) {
    Gone({key.ns, key.name});
    return std::optional<Duration>();
  }
  COHO_ASSIGN_OR_RETURN(StreamJob job, ParseStreamJob(*object));
  Memory& memory = memory_[job.id];
  // Deleted and made again under its name: nothing that was learned holds.
  if (memory.uid != job.uid) memory = {.uid = job.uid};
  COHO_ASSIGN_OR_RETURN(Observed observed, Gather(std::move(job), &memory));
  const ReconcilePlan plan = PlanReconcile(observed);
  // What is coordinated is claimed in Kafka: by the next leader, where this one was frozen on the
  // way.
  if (!parts_.may_write()) return Aborted("this operator leads no more");
  const Coordinated coordinated = Coordinate(observed.job, plan, &memory);

  PerformOutcome outcome = Perform(observed.job, plan, parts_.api, parts_.events, parts_.may_write);
  if (outcome.objects_written > 0 || outcome.status_written) {
    LogDebug("reconciled", {{"job", observed.job.id.ToString()},
                            {"applied", outcome.objects_written},
                            {"deleted", plan.deletes.size()},
                            {"statusWritten", outcome.status_written}});
  }
  if (outcome.status_written) memory.status_written = observed.now;
  for (auto& [applied, facts] : outcome.applied)
    memory.objects->insert_or_assign(applied, std::move(facts));
  for (const ObjectKey& deleted : outcome.deleted) memory.objects->erase(deleted);
  if (outcome.status.ok() && observed.repair) memory.repaired_at = parts_.clock.Now();
  const bool error_changed =
      std::exchange(memory.write_error, outcome.write_error) != outcome.write_error;
  if (error_changed && !outcome.write_error.empty()) {
    parts_.events.Record({.about = SubjectOf(observed.job.id, observed.job.uid),
                          .warning = true,
                          .reason = std::string(NameOf(ProblemReason::kWriteRefused)),
                          .action = "Reconcile",
                          .note = outcome.write_error});
  }
  const bool error_over = !std::exchange(memory.internal_error, "").empty();
  if (coordinated.show_again || error_changed || error_over) parts_.queue.Add(key);
  COHO_RETURN_IF_ERROR(outcome.status);

  std::optional<Duration> requeue = plan.requeue_after;
  if (observed.job.deleting) return requeue;
  if (coordinated.waits) Sooner(kTryHandOverAgainAfter, &requeue);
  if (memory.repaired_at) Sooner(*memory.repaired_at + kRepairEvery - parts_.clock.Now(), &requeue);
  if (memory.connection_problem) {
    Sooner(kTryConnectionAgainAfter, &requeue);
  } else if (observed.job.job && !observed.job.job->kafka.secret_name.empty()) {
    Sooner(kReadSecretEvery, &requeue);
  }
  return requeue;
}

Result<Observed> Reconciler::Gather(StreamJob job, Memory* memory) {
  const MonotonicTime now = parts_.clock.Now();
  Observed observed;
  observed.repair = !memory->repaired_at || now - *memory->repaired_at >= kRepairEvery;
  const bool look_again = memory->objects && HasForeign(*memory->objects, job.uid) &&
                          now - memory->objects_read_at >= kReadForeignAgainAfter;
  if ((!memory->objects || observed.repair || look_again) && !job.deleting) {
    COHO_ASSIGN_OR_RETURN(memory->objects, ReadSmallObjects(parts_.api, job.id));
    memory->objects_read_at = now;
  }
  if (!memory->objects) memory->objects.emplace();
  observed.job = std::move(job);
  const JobId& id = observed.job.id;
  ObserveCluster(parts_.cache, id, &observed);
  observed.coordination = parts_.coordination.View(id);
  observed.connection_problem = memory->connection_problem;
  observed.write_error = memory->write_error;
  observed.internal_error = memory->internal_error;
  if (observed.job.job) {
    observed.prefix_holder =
        OlderJobWithPrefix(parts_.cache, {.job = id,
                                          .prefix = observed.job.job->kafka.topic_prefix,
                                          .created = observed.job.created});
  }
  std::erase_if(*memory->objects, [&](const auto& entry) {
    const auto& [object, facts] = entry;
    return parts_.cache.IsGone(object.kind, {id.ns, object.name}, facts.uid);
  });
  observed.objects = *memory->objects;
  observed.status_written = memory->status_written;
  observed.settings = parts_.settings;
  observed.now = parts_.clock.WallNow();
  return observed;
}

Reconciler::Coordinated Reconciler::Coordinate(const StreamJob& job, const ReconcilePlan& plan,
                                               Memory* memory) {
  switch (plan.coordination) {
    case Coordination::kForget:
      parts_.coordination.Forget(job.id);
      return {};
    case Coordination::kKeep:
      parts_.coordination.SetPodFacts(job.id, plan.pod_facts);
      return {};
    case Coordination::kRun:
      break;
  }
  KafkaSecrets::Properties secrets;
  std::optional<JobProblem> problem;
  if (!job.job->kafka.secret_name.empty()) {
    Result<KafkaSecrets::Properties> read = secrets_.Read({job.id.ns, job.job->kafka.secret_name});
    if (read.ok()) {
      secrets = std::move(*read);
    } else {
      problem = ConnectionProblem(read.status());
    }
  }
  // A job that is coordinated already goes on with the credentials it has.
  Coordinated out;
  if (!problem) {
    const JobIdentity identity{.job_uid = job.uid,
                               .installation = parts_.settings.installation,
                               .kubernetes_cluster_uid = *cluster_uid_};
    out.waits = !parts_.coordination.Run(*job.job, identity, secrets);
  }
  parts_.coordination.SetPodFacts(job.id, plan.pod_facts);
  out.show_again = memory->connection_problem != problem;
  memory->connection_problem = std::move(problem);
  return out;
}

void Reconciler::Gone(const JobId& id) {
  if (memory_.erase(id) > 0) LogInfo("job is gone", {{"job", id.ToString()}});
  parts_.coordination.Forget(id);
}

}  // namespace coho
