#include "common/coordination/inventory.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace coho {
namespace {

constexpr Duration kNowMeansAfter = std::chrono::seconds(1);
constexpr Duration kLaterMeansAfter = std::chrono::minutes(1);
constexpr int64_t kBytesThatMatter = 1 << 20;

bool SizesDiffer(int64_t a, int64_t b) {
  const int64_t more = std::max(a, b);
  const int64_t less = std::min(a, b);
  return more - less > std::max(kBytesThatMatter, more / 4);
}

bool SamePlace(const WorkerCopies& a, const WorkerCopies& b) {
  return a.disk_id == b.disk_id && a.node == b.node && a.zone == b.zone && a.volume == b.volume;
}

// On the same disk a position of 0 means that it was not looked up yet.
void KeepKnownPositions(const TaskCopy& before, TaskCopy* copy) {
  for (StoreCopy& store : copy->stores) {
    const auto known = std::find_if(before.stores.begin(), before.stores.end(),
                                    [&](const StoreCopy& s) { return s.store == store.store; });
    if (known == before.stores.end() || store.position != 0) continue;
    store.position = known->position;
    store.marker_time_ms = known->marker_time_ms;
  }
}

}  // namespace

Inventory::Inventory(Copies recorded) : copies_(recorded), recorded_(std::move(recorded)) {}

void Inventory::Observe(WorkerId worker, const WorkerReport& report, const std::set<TaskId>& owned,
                        WallTime wall) {
  TakeAlong(worker, report.disk_id);
  const WorkerCopies& before = copies_[worker];
  const bool same_disk = before.disk_id == report.disk_id;
  WorkerCopies after{.disk_id = report.disk_id,
                     .node = report.node,
                     .zone = report.zone,
                     .volume = report.volume,
                     .seen_at_ms = ToUnixMillis(wall),
                     .tasks = {}};
  if (report.partial && same_disk) after.tasks = before.tasks;
  const auto take = [&](const TaskReport& task) {
    TaskCopy copy{.stores = task.stores};
    if (const auto known = before.tasks.find(task.task); same_disk && known != before.tasks.end())
      KeepKnownPositions(known->second, &copy);
    after.tasks[task.task] = std::move(copy);
  };
  for (const TaskReport& task : report.on_disk) take(task);
  for (const TaskReport& task : report.tasks) {
    if (task.state == TaskState::kRunning && owned.contains(task.task)) {
      take(task);
    } else if (const auto known = before.tasks.find(task.task);
               same_disk && known != before.tasks.end()) {
      after.tasks.insert(*known);  // being brought home: no worse than it was
    }
  }
  copies_[worker] = std::move(after);

  const auto recorded = recorded_.find(worker);
  const WorkerCopies& now = copies_[worker];
  if (recorded == recorded_.end() || !SamePlace(recorded->second, now) ||
      recorded->second.tasks.size() != now.tasks.size())
    return Changed(worker, Urgency::kNow);
  for (const auto& [task, copy] : now.tasks) {
    const auto known = recorded->second.tasks.find(task);
    if (known == recorded->second.tasks.end()) return Changed(worker, Urgency::kNow);
    if (SizesDiffer(known->second.bytes(), copy.bytes())) Changed(worker, Urgency::kLater);
  }
}

void Inventory::TakeAlong(WorkerId worker, const std::string& disk_id) {
  if (disk_id.empty() || copies_[worker].disk_id == disk_id) return;
  for (auto& [other, copies] : copies_) {
    if (other == worker || copies.disk_id != disk_id) continue;
    copies_[worker] = std::move(copies);
    return Forget(other);
  }
}

void Inventory::Forget(WorkerId worker) {
  copies_.erase(worker);
  if (recorded_.contains(worker)) Changed(worker, Urgency::kNow);
}

void Inventory::Changed(WorkerId worker, Urgency urgency) {
  Urgency& known = changed_.try_emplace(worker, urgency).first->second;
  known = std::max(known, urgency);
}

int64_t Inventory::BytesOf(TaskId task) const {
  int64_t bytes = 0;
  for (const auto& [id, worker] : copies_) {
    if (const auto copy = worker.tasks.find(task); copy != worker.tasks.end())
      bytes = std::max(bytes, copy->second.bytes());
  }
  return bytes;
}

bool Inventory::Due(MonotonicTime now) const {
  if (under_way_ || changed_.empty()) return false;
  const bool urgent = std::any_of(changed_.begin(), changed_.end(),
                                  [](const auto& c) { return c.second == Urgency::kNow; });
  return !written_at_ || now - *written_at_ >= (urgent ? kNowMeansAfter : kLaterMeansAfter);
}

std::vector<TopicRecord> Inventory::Write() {
  COHO_CHECK(!under_way_, "one write of copies at a time");
  std::vector<TopicRecord> records;
  under_way_.emplace();
  for (const auto& [worker, urgency] : changed_) {
    const auto now = copies_.find(worker);
    if (now == copies_.end()) {
      records.push_back(ForgetCopies(worker));
      (*under_way_)[worker];
    } else {
      records.push_back(EncodeCopies(worker, now->second));
      (*under_way_)[worker] = now->second;
    }
  }
  changed_.clear();
  return records;
}

void Inventory::Written(bool ok, MonotonicTime now) {
  COHO_CHECK(under_way_.has_value(), "only what was asked for can have been written");
  written_at_ = now;
  Copies written = std::move(*under_way_);
  under_way_.reset();
  for (auto& [worker, copies] : written) {
    if (!ok) {
      Changed(worker, Urgency::kNow);
    } else if (copies_.contains(worker)) {
      recorded_[worker] = std::move(copies);
    } else {
      recorded_.erase(worker);
    }
  }
}

}  // namespace coho
