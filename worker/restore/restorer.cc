#include "worker/restore/restorer.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "common/base/log.h"
#include "worker/restore/changelog_reader.h"
#include "worker/restore/task_restore.h"

namespace coho {

namespace {

constexpr Duration kPollTimeout = std::chrono::milliseconds(50);
constexpr Duration kReportInterval = std::chrono::seconds(5);

void AddTo(std::atomic<int64_t>* total, int64_t value) {
  if (total != nullptr) *total += value;
}

}  // namespace

struct Restorer::Impl {
  explicit Impl(Options o)
      : options(std::move(o)), reader(options.kafka, options.job->ConsumerGroup()) {}

  void Run();
  bool WaitForWork();
  void TakeRequests();
  void AdvanceAll();
  void Replay();
  void WaitForRetry();
  void Report();
  void End(TaskRestore* task, Result<RestoredTask> outcome);
  void Drop(TaskId id);
  void Forget(TaskId id);
  [[nodiscard]] std::vector<TaskRestore*> Tasks(TaskRestore::Phase phase) const;

  const Options options;
  // Only the thread's.
  ChangelogReader reader;
  std::map<TaskId, std::unique_ptr<TaskRestore>> tasks;
  MonotonicTime next_report;

  std::mutex mutex;
  std::condition_variable changed;
  // Guarded by mutex:
  std::vector<RestoreRequest> requests;
  std::set<TaskId> active;     // the thread holds the task, or is calling its `done`
  std::set<TaskId> cancelled;  // of `active`
  bool stopping = false;

  std::thread thread;
};

Restorer::Restorer() = default;

Result<std::unique_ptr<Restorer>> Restorer::Create(Options options) {
  if (options.job == nullptr || options.model == nullptr || options.engines == nullptr) {
    return Internal("a restorer needs job, model and engines");
  }
  std::unique_ptr<Restorer> restorer(new Restorer);
  restorer->impl_ = std::make_unique<Impl>(std::move(options));
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
  impl_->thread.join();
}

void Restorer::Restore(RestoreRequest request) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->requests.push_back(std::move(request));
  }
  impl_->changed.notify_all();
}

void Restorer::Cancel(TaskId task) {
  std::unique_lock lock(impl_->mutex);
  std::erase_if(impl_->requests,
                [&](const RestoreRequest& request) { return request.task == task; });
  if (!impl_->active.contains(task)) return;
  impl_->cancelled.insert(task);
  impl_->changed.notify_all();
  // A `done` that cancels cannot wait for itself.
  if (std::this_thread::get_id() == impl_->thread.get_id()) return;
  impl_->changed.wait(lock, [&] { return !impl_->active.contains(task) || impl_->stopping; });
}

void Restorer::Impl::Run() {
  while (WaitForWork()) {
    TakeRequests();
    AdvanceAll();
    if (!Tasks(TaskRestore::Phase::kReplaying).empty()) {
      Replay();
    } else {
      WaitForRetry();
    }
    Report();
  }
  reader.Close();
  tasks.clear();
}

// False: stop.
bool Restorer::Impl::WaitForWork() {
  const auto has_work = [&] { return stopping || !requests.empty() || !tasks.empty(); };
  std::unique_lock lock(mutex);
  if (!has_work()) {
    lock.unlock();
    reader.Close();  // its memory is worth more than its connections
    lock.lock();
    changed.wait(lock, has_work);
  }
  return !stopping;
}

void Restorer::Impl::TakeRequests() {
  std::vector<RestoreRequest> taken;
  std::set<TaskId> dropped;
  {
    const std::lock_guard lock(mutex);
    taken.swap(requests);
    dropped.swap(cancelled);
    for (const RestoreRequest& request : taken) active.insert(request.task);
  }
  for (const TaskId task : dropped) Drop(task);
  if (tasks.empty()) next_report = options.clock->Now() + kReportInterval;
  for (RestoreRequest& request : taken) {
    const TaskId id = request.task;
    Forget(id);
    tasks[id] = std::make_unique<TaskRestore>(options, std::move(request));
  }
}

std::vector<TaskRestore*> Restorer::Impl::Tasks(TaskRestore::Phase phase) const {
  std::vector<TaskRestore*> found;
  for (const auto& [id, task] : tasks) {
    if (task->phase() == phase) found.push_back(task.get());
  }
  return found;
}

void Restorer::Impl::AdvanceAll() {
  for (TaskRestore* task : Tasks(TaskRestore::Phase::kPlanning)) {
    if (options.clock->Now() < task->retry_at()) continue;
    if (Status status = task->Prepare(&reader); !status.ok()) End(task, std::move(status));
  }
  for (TaskRestore* task : Tasks(TaskRestore::Phase::kReplaying)) {
    const TaskRestore::Advance advance = task->TakeAdvance();
    AddTo(options.records_total, advance.records);
    AddTo(options.bytes_total, advance.bytes);
    AddTo(options.wipes_total, advance.wipes);
    if (task->caught_up()) End(task, task->Finish());
  }
}

void Restorer::Impl::Replay() {
  std::vector<ChangelogReader::Failure> failures;
  if (Status status = reader.Poll(kPollTimeout, &failures); !status.ok()) {
    // Nothing that hangs on the consumer can go on.
    reader.Close();
    while (!tasks.empty()) End(tasks.begin()->second.get(), status);
  }
  for (const auto& [store, status] : failures) {
    const auto task = tasks.find(store->options().task);
    if (task != tasks.end())
      End(task->second.get(), status.WithContext("store " + store->options().spec.name));
  }
}

void Restorer::Impl::WaitForRetry() {
  const auto waiting = Tasks(TaskRestore::Phase::kPlanning);
  if (waiting.empty()) return;
  const auto first = std::min_element(waiting.begin(), waiting.end(), [](auto* a, auto* b) {
    return a->retry_at() < b->retry_at();
  });
  const Duration wait = std::clamp<Duration>((*first)->retry_at() - options.clock->Now(),
                                             Duration::zero(), kPollTimeout);
  std::unique_lock lock(mutex);
  changed.wait_for(lock, wait, [&] { return stopping || !requests.empty() || !cancelled.empty(); });
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
  const auto done = task->TakeDone();
  Forget(id);
  bool wanted = false;
  {
    const std::lock_guard lock(mutex);
    wanted = cancelled.erase(id) == 0 && !stopping;
  }
  if (!wanted) {
    outcome = Aborted("not wanted any more");  // closes its engines before anybody is told
  } else if (outcome.ok()) {
    done(std::move(outcome));
  } else {
    done(outcome.status().WithContext("restoring task " + ToString(id)));
  }
  const std::lock_guard lock(mutex);
  // A Cancel that came while `done` ran waits for this; its task is not ours any more.
  cancelled.erase(id);
  active.erase(id);
  changed.notify_all();
}

void Restorer::Impl::Drop(TaskId id) {
  Forget(id);
  const std::lock_guard lock(mutex);
  active.erase(id);
  changed.notify_all();
}

void Restorer::Impl::Forget(TaskId id) {
  const auto task = tasks.find(id);
  if (task == tasks.end()) return;
  reader.Remove(task->second->Stores());
  tasks.erase(task);
}

}  // namespace coho
