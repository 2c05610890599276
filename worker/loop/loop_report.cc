// What a run loop shows of its tasks.
#include <algorithm>

#include "worker/loop/loop_tasks.h"

namespace coho {
namespace {

TaskState Shown(LoopTaskState state) {
  switch (state) {
    case LoopTaskState::kGone:
      return TaskState::kClosed;
    case LoopTaskState::kRestoring:
    case LoopTaskState::kWaiting:
      return TaskState::kRestoring;
    case LoopTaskState::kPositioning:
    case LoopTaskState::kRecording:
    case LoopTaskState::kRewound:
      return TaskState::kStarting;
    case LoopTaskState::kRunning:
      return TaskState::kRunning;
    case LoopTaskState::kClosing:
      return TaskState::kClosing;
  }
  return TaskState::kClosed;
}

int64_t SizeBefore(const std::vector<TaskStatus>& before, TaskId task, size_t store) {
  const auto old = std::find_if(before.begin(), before.end(),
                                [&](const TaskStatus& t) { return t.report.task == task; });
  return old != before.end() && old->stores.size() > store ? old->stores[store].bytes : 0;
}

}  // namespace

void LoopTasks::FillStatus(const LoopState& state, bool sizes, LoopStatus* status) {
  const std::vector<TaskStatus> before = std::exchange(status->tasks, {});
  for (auto& [id, task] : tasks_) {
    TaskStatus& out = status->tasks.emplace_back();
    const LoopTaskState now = state.state(id);
    out.report.task = id;
    out.report.state = Shown(now);
    out.report.restore_source = task.source;
    out.report.restored_records = task.replayed;
    out.report.lag = -1;
    if (task.progress) {
      if (now == LoopTaskState::kRestoring)
        out.report.restored_records = task.progress->records_done;
      out.report.restore_total = task.progress->records_total;
      out.restore_bytes = task.progress->bytes_done;
    }
    if (!task.runtime) continue;
    for (InputPosition& p : task.runtime->inputs().positions()) {
      if (const auto range = inputs_ ? inputs_->CachedRange(p.partition) : std::nullopt)
        p.end = std::max(p.end, range->end);
      out.inputs.push_back(
          {.partition = p.partition, .next = p.next, .committed = p.committed, .end = p.end});
    }
    out.report.lag = task.runtime->inputs().Lag();
    out.report.changelog_position = task.runtime->ChangelogPosition();
    for (CommitStore& s : task.runtime->stores()) {
      StoreStatus& store = out.stores.emplace_back();
      store.name = s.store->spec().name;
      store.overlay_bytes = s.store->overlay_bytes();
      store.dirty_bytes = s.store->dirty_bytes();
      store.changelog_position = s.store->marker().position;
      store.commit_time_ms = s.store->marker().commit_time_ms;
      store.bytes = sizes ? s.store->SizeBytes() : SizeBefore(before, id, out.stores.size() - 1);
      out.report.state_bytes += store.bytes;
    }
  }
  status->counters = counters_;
  status->restores_planned = restores_planned_;
  if (inputs_ != nullptr) status->records_lost = records_lost_ + inputs_->records_lost();
}

}  // namespace coho
