#include "worker/restore/restorer.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "common/base/log.h"
#include "common/base/mutant.h"
#include "worker/restore/kafka_changelogs.h"
#include "worker/restore/replays.h"
#include "worker/restore/task_restore.h"

namespace coho {

namespace {

constexpr Duration kPollTimeout = std::chrono::milliseconds(50);
// While an answer is awaited.
constexpr Duration kAnswerTimeout = std::chrono::milliseconds(5);
constexpr Duration kReportInterval = std::chrono::seconds(5);
// Opening and closing go on no longer than this before replays and callers have their turn.
constexpr Duration kDiskSlice = std::chrono::milliseconds(100);

void AddTo(std::atomic<int64_t>* total, int64_t value) {
  if (total != nullptr) *total += value;
}

// A disk that is full stays so: unlike a full queue it is nothing to try again soon.
Status Final(const Status& status) {
  return status.code() == Code::kResourceExhausted ? Internal(status.message()) : status;
}

}  // namespace

struct Restorer::Impl {
  Impl(Options o, std::unique_ptr<ChangelogPort> p)
      : options(std::move(o)), port(std::move(p)), replays(port.get()) {}

  void Run();
  bool Turn(Duration wait);
  bool WaitForWork();
  void TakeRequests();
  void OpenSome();
  void Ask();
  void PlanAnswered();
  bool HandOver();  // true: there is more
  void Replay(Duration wait);
  void WaitForRetry(Duration most);
  void Report();
  void End(TaskRestore* task, Result<RestoredTask> outcome);
  void Forget(TaskId id);
  [[nodiscard]] std::vector<TaskRestore*> Tasks(TaskRestore::Phase phase) const;
  // Somebody waits: requests, cancels, the end.
  [[nodiscard]] bool Interrupted();
  [[nodiscard]] bool Wanted(TaskId id, uint64_t number);

  const Options options;
  // Only the turns'.
  const std::unique_ptr<ChangelogPort> port;
  Replays replays;
  std::map<TaskId, std::unique_ptr<TaskRestore>> tasks;
  bool asking = false;
  std::set<uint64_t> asked_for;  // requests; of a later one of the same task an answer says nothing
  WallTime asked_at;
  MonotonicTime next_report;

  std::mutex mutex;
  std::condition_variable changed;
  // Guarded by mutex:
  struct Numbered {
    uint64_t number = 0;
    RestoreRequest request;
  };
  std::vector<Numbered> requests;
  uint64_t last_number = 0;
  std::map<TaskId, uint64_t> cancelled;  // requests of the task up to this number are not wanted
  bool any_cancelled = false;            // since they were looked at
  bool stopping = false;

  // Held while `done` runs, which may ask for more or cancel. Taken before `mutex`.
  std::recursive_mutex delivery;

  std::thread thread;
};

Restorer::Restorer() = default;

Result<std::unique_ptr<Restorer>> Restorer::CreateWithoutThread(
    Options options, std::unique_ptr<ChangelogPort> port) {
  if (options.job == nullptr || options.model == nullptr || options.engines == nullptr)
    return Internal("a restorer needs job, model and engines");
  std::unique_ptr<Restorer> restorer(new Restorer);
  restorer->impl_ = std::make_unique<Impl>(std::move(options), std::move(port));
  return restorer;
}

Result<std::unique_ptr<Restorer>> Restorer::Create(Options options) {
  if (options.job == nullptr) return Internal("a restorer needs a job");
  auto port = std::make_unique<KafkaChangelogs>(options.kafka, options.job->ConsumerGroup());
  COHO_ASSIGN_OR_RETURN(auto restorer, CreateWithoutThread(std::move(options), std::move(port)));
  restorer->impl_->thread = std::thread([impl = restorer->impl_.get()] { impl->Run(); });
  return restorer;
}

Restorer::~Restorer() {
  if (!impl_) return;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void Restorer::Restore(RestoreRequest request) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->requests.push_back({++impl_->last_number, std::move(request)});
  }
  impl_->changed.notify_all();
}

void Restorer::Cancel(TaskId task) {
  {
    // What is being handed over was wanted when that began; afterwards it is the caller's to throw
    // away.
    const std::lock_guard handed_over(impl_->delivery);
    const std::lock_guard lock(impl_->mutex);
    std::erase_if(impl_->requests, [&](const Impl::Numbered& r) { return r.request.task == task; });
    impl_->cancelled[task] = impl_->last_number;
    impl_->any_cancelled = true;
  }
  impl_->changed.notify_all();
}

bool Restorer::Turn(Duration wait) { return impl_->Turn(wait); }

void Restorer::Impl::Run() {
  while (WaitForWork()) Turn(kPollTimeout);
  replays.Close();
  tasks.clear();
}

bool Restorer::Impl::Turn(Duration wait) {
  TakeRequests();
  OpenSome();
  Ask();
  PlanAnswered();
  const bool more = HandOver();
  if (tasks.empty()) return false;
  if (asking) wait = std::min(wait, kAnswerTimeout);
  if (more || !Tasks(TaskRestore::Phase::kOpening).empty()) wait = Duration::zero();
  if (!replays.empty()) {
    Replay(wait);
  } else if (wait > Duration::zero() && !Interrupted()) {
    WaitForRetry(wait);
  }
  Report();
  return true;
}

// False: stop.
bool Restorer::Impl::WaitForWork() {
  const auto has_work = [&] { return stopping || !requests.empty() || !tasks.empty(); };
  std::unique_lock lock(mutex);
  if (!has_work()) {
    lock.unlock();
    replays.Close();  // its memory is worth more than its connections
    asking = false;
    lock.lock();
    changed.wait(lock, has_work);
  }
  return !stopping;
}

bool Restorer::Impl::Interrupted() {
  const std::lock_guard lock(mutex);
  return stopping || any_cancelled || !requests.empty();
}

bool Restorer::Impl::Wanted(TaskId id, uint64_t number) {
  const std::lock_guard lock(mutex);
  const auto through = cancelled.find(id);
  return !stopping && (through == cancelled.end() || number > through->second);
}

void Restorer::Impl::TakeRequests() {
  std::vector<Numbered> taken;
  {
    const std::lock_guard lock(mutex);
    taken.swap(requests);
    any_cancelled = false;
  }
  std::vector<TaskId> gone;
  for (const auto& [id, task] : tasks) {
    if (!Wanted(id, task->number())) gone.push_back(id);
  }
  for (const TaskId id : gone) {
    COHO_SOMETIMES("a restore is cancelled under way");
    Forget(id);
  }
  if (tasks.empty()) next_report = options.clock->Now() + kReportInterval;
  for (Numbered& request : taken) {
    const TaskId id = request.request.task;
    Forget(id);
    tasks[id] = std::make_unique<TaskRestore>(options, std::move(request.request), request.number);
  }
}

std::vector<TaskRestore*> Restorer::Impl::Tasks(TaskRestore::Phase phase) const {
  std::vector<TaskRestore*> found;
  for (const auto& [id, task] : tasks) {
    if (task->phase() == phase) found.push_back(task.get());
  }
  return found;
}

void Restorer::Impl::OpenSome() {
  const MonotonicTime until = options.clock->Now() + kDiskSlice;
  for (TaskRestore* task : Tasks(TaskRestore::Phase::kOpening)) {
    if (Status status = task->Open(); !status.ok()) End(task, std::move(status));
    if (options.clock->Now() >= until || Interrupted()) return;
  }
}

// One question for all that need an answer; while it is under way nothing waits for it.
void Restorer::Impl::Ask() {
  const MonotonicTime now = options.clock->Now();
  std::vector<TopicPartition> partitions;
  const auto planning = Tasks(TaskRestore::Phase::kPlanning);
  if (!asking) {
    asked_for.clear();
    for (const TaskRestore* task : planning) {
      const size_t before = partitions.size();
      task->AddQuestions(now, &partitions);
      if (partitions.size() > before) asked_for.insert(task->number());
    }
    if (!partitions.empty()) {
      asked_at = options.clock->WallNow();
      const Status asked = port->AskRanges(partitions);
      asking = asked.ok();
      for (TaskRestore* task : planning) {
        if (!asked.ok()) End(task, asked);
      }
    }
  }
}

void Restorer::Impl::PlanAnswered() {
  ChangelogRanges ranges;
  const ChangelogRanges nothing;
  if (asking) {
    if (auto answer = port->TakeRanges()) {
      asking = false;
      ranges = std::move(*answer);
    }
  }
  for (TaskRestore* task : Tasks(TaskRestore::Phase::kPlanning)) {
    // Who was cancelled meanwhile is not worth a replay.
    if (!Wanted(task->id(), task->number())) continue;
    const ChangelogRanges& known = asked_for.contains(task->number()) ? ranges : nothing;
    if (Status status = task->Plan(known, asked_at, port.get(), &replays); !status.ok())
      End(task, std::move(status));
  }
}

bool Restorer::Impl::HandOver() {
  bool more = false;
  const MonotonicTime until = options.clock->Now() + kDiskSlice;
  for (TaskRestore* task : Tasks(TaskRestore::Phase::kReplaying)) {
    const TaskRestore::Advance advance = task->TakeAdvance();
    AddTo(options.records_total, advance.records);
    AddTo(options.bytes_total, advance.bytes);
    AddTo(options.wipes_total, advance.wipes);
    if (!task->caught_up()) continue;
    more = options.clock->Now() >= until;
    if (more) break;
    auto finished = task->Finish();
    AddTo(options.wipes_total, task->TakeAdvance().wipes);
    if (task->phase() == TaskRestore::Phase::kPlanning) {
      more = true;  // of which a store begins anew
      continue;
    }
    End(task, std::move(finished));
  }
  return more;
}

void Restorer::Impl::Replay(Duration wait) {
  std::vector<Replays::Failure> failures;
  if (Status status = replays.Poll(wait, &failures); !status.ok()) {
    // Nothing that hangs on the port can go on.
    replays.Close();
    asking = false;
    while (!tasks.empty()) End(tasks.begin()->second.get(), status);
    return;
  }
  for (const auto& [id, status] : failures) {
    // Of a task with two stores both may have failed.
    const auto task = tasks.find(id);
    if (task != tasks.end()) End(task->second.get(), status);
  }
}

void Restorer::Impl::WaitForRetry(Duration most) {
  Duration wait = most;
  for (const TaskRestore* task : Tasks(TaskRestore::Phase::kPlanning)) {
    const Duration until = task->retry_at() - options.clock->Now();
    if (!asking) wait = std::min(wait, std::max(until, Duration::zero()));
  }
  std::unique_lock lock(mutex);
  changed.wait_for(lock, wait, [&] { return stopping || any_cancelled || !requests.empty(); });
}

void Restorer::Impl::Report() {
  const MonotonicTime now = options.clock->Now();
  const auto replaying = Tasks(TaskRestore::Phase::kReplaying);
  if (replaying.empty() || now < next_report) return;
  next_report = now + kReportInterval;
  int64_t done = 0;
  int64_t total = 0;
  for (const TaskRestore* task : replaying) {
    done += task->offsets_done();
    total += task->offsets_total();
  }
  LogInfo("restoring stores", {{"tasks", replaying.size()}, {"records", done}, {"of", total}});
}

// Lets go of the task and tells how it ended, unless that is not wanted any more.
void Restorer::Impl::End(TaskRestore* task, Result<RestoredTask> outcome) {
  const TaskId id = task->id();
  const uint64_t number = task->number();
  const auto done = task->TakeDone();
  Forget(id);
  const std::lock_guard handing_over(delivery);
  if (!Wanted(id, number)) return;
  if (outcome.ok()) {
    done(std::move(outcome));
  } else {
    done(Final(outcome.status()).WithContext("restoring task " + ToString(id)));
  }
}

void Restorer::Impl::Forget(TaskId id) {
  const auto task = tasks.find(id);
  if (task == tasks.end()) return;
  replays.Remove(task->second->All());
  tasks.erase(task);
}

}  // namespace coho
