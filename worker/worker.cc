#include "worker/worker.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "worker/admin/admin_server.h"

namespace coho {
namespace {

// How long the coordinator in the process may be unable to start the job; what is wrong may be
// about to be put right.
constexpr Duration kProblemGrace = std::chrono::seconds(10);

std::string HostName() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

MemoryShares SharesOf(const Job& job, int64_t limit) {
  return {.limit_bytes = limit,
          .run_loops = job.workers.run_loops,
          .stores = static_cast<int32_t>(job.stores.size())};
}

std::string TextOf(const JobProblem& problem) {
  return std::string(NameOf(problem.reason)) + ": " + problem.message;
}

}  // namespace

Worker::Worker(Options options)
    : options_(std::move(options)),
      job_(options_.job),
      lease_(options_.job.failover.session_timeout) {}

Worker::~Worker() {
  http_.reset();
  // Loops first: they tell the member, and ask its restorer.
  GiveUp();
  for (const auto& loop : loops_) loop->End();
  member_.reset();  // it reads their status to the last
  loops_.clear();
  if (drained()) lifecycle_.AfterStop();
  coordinator_.reset();
  engines_.reset();
}

Failure Worker::Start() {
  started_at_ = Clock::Real().Now();
  lifecycle_.BeforeStart();
  if (Failure failure = OpenState(); failure.exit_code != kExitOk) return failure;
  if (Failure failure = StartHttp(); failure.exit_code != kExitOk) return failure;
  if (options_.flags.in_process_coordinator) StartCoordinator();
  StartLoops();
  return {};
}

Failure Worker::OpenState() {
  const MonotonicTime begin = Clock::Real().Now();
  const std::string path =
      options_.flags.state_dir.empty()
          ? "./coho-state/" + job_.id.ToString() + "/worker-" + ToString(options_.flags.worker)
          : options_.flags.state_dir;
  auto directory = StateDirectory::Open(path);
  if (!directory.ok()) {
    const bool locked = directory.status().code() == Code::kConflict;
    return {locked ? kExitStateDirectoryLocked : kExitStateDirectory, directory.status().message()};
  }
  state_directory_ = std::move(directory).value();

  constexpr int64_t kDefaultLimit = int64_t{1} << 30;
  memory_limit_ = CgroupMemoryLimit().value_or(kDefaultLimit);
  budget_ = MemoryBudgetFor(SharesOf(job_, memory_limit_));
  overlays_ = std::make_unique<OverlayBudget>(budget_.overlay_bytes);
  auto engines = EngineFactory::Create({.directory = state_directory_->path(),
                                        .block_cache_bytes = budget_.block_cache_bytes,
                                        .memtable_bytes = budget_.memtable_bytes});
  if (!engines.ok()) return {kExitStateDirectory, engines.status().ToString()};
  engines_ = std::move(engines).value();
  lifecycle_.Step(
      {.name = "state-directory", .task = std::nullopt, .took = Clock::Real().Now() - begin});
  return {};
}

Failure Worker::StartHttp() {
  const MonotonicTime begin = Clock::Real().Now();
  auto server = StartAdminServer({.host = options_.flags.http_host,
                                  .port = options_.flags.http_port,
                                  .worker = options_.flags.worker,
                                  .version = WorkerVersion(),
                                  .status = [this] { return Snapshot(); },
                                  .progress = [this] { return Progress(); },
                                  .restore_totals = &restore_totals_});
  if (!server.ok()) return {kExitUsage, "--http-address: " + server.status().ToString()};
  http_ = std::move(server).value();
  LogInfo("serving http", {{"host", options_.flags.http_host}, {"port", http_->port()}});
  lifecycle_.Step({.name = "http", .task = std::nullopt, .took = Clock::Real().Now() - begin});
  return {};
}

void Worker::StartCoordinator() {
  // Of several processes that could coordinate the job one does, and another one after it: each
  // respects the claim of one that lives.
  constexpr Duration kRespectClaims = std::chrono::seconds(30);
  coordinator_ =
      CoordinationService::Start({.kafka = options_.kafka,
                                  .transactional_id = job_.kafka.topic_prefix + "-coordinator-" +
                                                      ToString(options_.flags.worker),
                                  .respect_claims = kRespectClaims,
                                  .threads = 2,
                                  .on_change = [wake = options_.wake](const JobId&) { wake(); },
                                  .on_event = {}});
  coordinator_->SetJob(job_, {.job_uid = "", .installation = "standalone"});
}

void Worker::StartLoops() {
  const bool at_least_once = job_.processing.guarantee == Guarantee::kAtLeastOnce;
  const WorkerFlags& flags = options_.flags;
  std::vector<std::string> ids;
  for (int32_t i = 0; i < job_.workers.run_loops; ++i)
    ids.push_back(job_.TransactionalId(flags.worker, i));
  member_ = std::make_unique<Member>(Member::Options{
      .job = &job_,
      .kafka = options_.kafka,
      .identity = {.id = flags.worker,
                   .node = flags.node.empty() ? HostName() : flags.node,
                   .zone = flags.zone,
                   .pod = flags.pod,
                   .volume = flags.volume.empty() ? state_directory_->path() : flags.volume,
                   .disk_id = state_directory_->disk_id(),
                   .version = WorkerVersion()},
      .state = {.transactional_ids = ids,
                .loops = job_.workers.run_loops,
                .transactions = !at_least_once,
                .heartbeat_interval = job_.failover.heartbeat_interval},
      .engines = engines_.get(),
      .overlays = overlays_.get(),
      .restore_totals = &restore_totals_,
      .lease = at_least_once ? &lease_ : nullptr,
      .on_step = [this](const LifecycleStep& step) { lifecycle_.Step(step); },
      .on_ready =
          [this] {
            {
              const std::lock_guard lock(mutex_);
              ready_ = true;
            }
            const Duration took = Clock::Real().Now() - started_at_;
            LogInfo("worker ready", {{"seconds", std::chrono::duration<double>(took).count()}});
            lifecycle_.AfterStart();
          },
      .on_drained =
          [this] {
            {
              const std::lock_guard lock(mutex_);
              drained_ = true;
            }
            options_.wake();
          },
      .on_failed =
          [this](int exit_code, const std::string& message) {
            Fail({exit_code, message});
          }});
  std::vector<RunLoop*> loops;
  for (int32_t i = 0; i < job_.workers.run_loops; ++i) {
    ports_.push_back(std::make_unique<KafkaLoopPorts>(
        KafkaLoopPorts::Options{.job = &job_,
                                .kafka = options_.kafka,
                                .transactional_id = ids[static_cast<size_t>(i)],
                                .consumer_queue_bytes = budget_.consumer_queue_bytes_per_loop,
                                .producer_queue_bytes = budget_.producer_queue_bytes_per_loop}));
    loops_.push_back(std::make_unique<LoopThread>(RunLoop::Options{
        .index = i,
        .job = &job_,
        .factory = options_.factory,
        .ports = ports_.back().get(),
        .transaction_timeout = TransactionTimeout(job_),
        .commit = {.commit_interval = job_.processing.commit_interval,
                   .flush_interval = job_.storage.flush_interval,
                   .dirty_bytes_max = budget_.dirty_bytes_per_loop,
                   .transaction_age_max = TransactionTimeout(job_) / 2},
        .lease = at_least_once ? &lease_ : nullptr,
        .on_event = [this](int32_t loop,
                           LoopEvent event) { member_->OnLoopEvent(loop, std::move(event)); },
        .on_step = [this](const LifecycleStep& step) { lifecycle_.Step(step); }}));
    loops.push_back(&loops_.back()->loop());
  }
  member_->Start(std::move(loops));
  const std::lock_guard lock(mutex_);
  running_ = true;
}

void Worker::Drain() {
  if (std::exchange(stopping_, true)) return;
  lifecycle_.BeforeStop();
  member_->Drain();
}

void Worker::GiveUp() {
  for (const auto& loop : loops_) loop->loop().GiveUp();
}

bool Worker::ended() const {
  return std::all_of(loops_.begin(), loops_.end(),
                     [](const auto& loop) { return loop->loop().ended(); });
}

void Worker::Fail(Failure failure) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
  }
  options_.wake();
}

std::optional<Failure> Worker::failure() {
  CheckCoordinator();
  const std::lock_guard lock(mutex_);
  return failure_;
}

bool Worker::drained() const {
  const std::lock_guard lock(mutex_);
  return drained_;
}

void Worker::CheckCoordinator() {
  if (!coordinator_ || stopping_) return;
  const auto view = coordinator_->View(job_.id);
  if (!view || !view->problem) {
    problem_since_.reset();
    return;
  }
  const JobProblem& problem = *view->problem;
  {
    const std::lock_guard lock(mutex_);
    if (!problem.blocks_start || ready_) return;
  }
  const MonotonicTime now = Clock::Real().Now();
  if (!problem_since_) problem_since_ = now;
  if (now - *problem_since_ < kProblemGrace) return;
  Fail({MeaningOf(problem.reason).exit_code, TextOf(problem)});
}

WorkerStatus Worker::Snapshot() const {
  {
    const std::lock_guard lock(mutex_);
    if (!running_) return {};
  }
  WorkerStatus out{.member = member_->status(), .loops = {}};
  for (const auto& loop : loops_) out.loops.push_back(loop->loop().status());
  const auto view = coordinator_ ? coordinator_->View(job_.id) : std::nullopt;
  if (view && view->problem) {
    out.coordinator =
        CoordinatorProblem{.text = TextOf(*view->problem), .stopped = view->problem->blocks_start};
  }
  return out;
}

std::vector<ThreadProgress> Worker::Progress() const {
  {
    const std::lock_guard lock(mutex_);
    if (!running_) return {};
  }
  std::vector<ThreadProgress> out = {{.name = "the member", .last = member_->progress()}};
  for (size_t i = 0; i < loops_.size(); ++i) {
    out.push_back({.name = "run loop " + std::to_string(i), .last = loops_[i]->loop().progress()});
  }
  return out;
}

}  // namespace coho
